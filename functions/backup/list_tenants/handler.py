"""Collection, ListTenants: store the list of the tenants and environments that the run is to look at."""

from tidemark import bootstrap
from tidemark.tasks import Context, Result, Told, task
from tidemark.usecases.collection_runs import list_owners


class Input(Told, frozen=True):
    """`run` names the run: the name of its execution."""

    run: str


@task("ListTenants", Input)
def handler(step: Input, context: Context) -> Result:
    """Where the list is, for the map over it."""
    stored = list_owners(bootstrap.ports(), step.run)
    return {"run": step.run, "tenantsKey": stored.key, "tenants": stored.tenants, "environments": stored.environments}
