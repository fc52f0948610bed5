"""Collection, CollectGarbage: delete what nobody needs of one owner, for as long as one invocation may run."""

from tidemark import bootstrap
from tidemark.tasks import Context, OwnerStep, Result, budget_s, task
from tidemark.telemetry import BYTES, COUNT, ENVIRONMENT, TENANT, logger, measure
from tidemark.usecases.collect_garbage import collect_garbage
from tidemark.usecases.collect_images import collect_images
from tidemark.usecases.collection_runs import note_report


class Input(OwnerStep, frozen=True):
    """`run` names the run, in which the report is stored. With `dry_run` nothing is deleted or changed."""

    run: str
    dry_run: bool


@task("CollectGarbage", Input)
def handler(step: Input, context: Context) -> Result:
    """Whether nothing is left to do for this owner."""
    ports, budget = bootstrap.ports(), budget_s(context)
    if step.environment is None:
        days = bootstrap.settings().recycle_bin_days
        report = collect_garbage(ports, step.tenant, dry_run=step.dry_run, budget_s=budget, recycle_bin_days=days)
    else:
        report = collect_images(ports, step.environment, dry_run=step.dry_run, budget_s=budget)
    for problem in report.problems:
        logger().warning(f"not all was collected: {problem}")
    if not step.dry_run:
        counts = {
            "CollectedObjects": (report.deleted.objects, COUNT),
            "CollectedBytes": (report.deleted.size_bytes, BYTES),
            "RetainedObjects": (report.retained.objects, COUNT),
            "CollectionProblems": (len(report.problems), COUNT),
        }
        measure(counts, **{TENANT: step.tenant, ENVIRONMENT: step.environment})
    note_report(ports, step.run, report)
    return {"done": report.done}
