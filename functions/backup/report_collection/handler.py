"""Collection, Report: add up what was reported of each tenant and environment."""

from tidemark import bootstrap
from tidemark.domain.collection import Collection
from tidemark.domain.tenant import Tenant
from tidemark.tasks import Context, Result, Told, task
from tidemark.usecases.collection_runs import total_of

_TALLIES = ("listed", "kept", "deleted", "retained")


class Input(Told, frozen=True):
    """`run` names the run."""

    run: str


@task("Report", Input)
def handler(step: Input, context: Context) -> Result:
    """The sum; `whole` is true when every owner was finished and met no problem, else `message` names the first."""
    found = total_of(bootstrap.ports(), step.run)
    total = found.total or Collection(Tenant(""), dry_run=False)
    missed = [f"{owner} was not finished" for owner in found.unfinished]
    return {
        "whole": not missed and not found.problems,
        "message": "; ".join([*missed, *found.problems])[:1000],
        "tenants": found.tenants,
        "environments": found.environments,
        "finished": found.finished,
        **{f"{name}Objects": getattr(total, name).objects for name in _TALLIES},
        **{f"{name}Bytes": getattr(total, name).size_bytes for name in _TALLIES},
        "recycled": total.recycled,
        "expired": total.expired,
        "purged": total.purged,
        "sweptGenerations": total.swept_generations,
        "closed": total.closed,
    }
