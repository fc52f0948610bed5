"""Collection, CollectGarbage: delete what nobody needs of one tenant, for as long as one invocation may run."""

from tidemark import bootstrap
from tidemark.tasks import Context, Result, Step, budget_s, task
from tidemark.telemetry import BYTES, COUNT, TENANT, logger, measure
from tidemark.usecases.collect_garbage import collect_garbage
from tidemark.usecases.collection_runs import note_report


class Input(Step, frozen=True):
    """`run` names the run, in which the report is stored. With `dry_run` nothing is deleted or changed."""

    run: str
    dry_run: bool


@task("CollectGarbage", Input)
def handler(step: Input, context: Context) -> Result:
    """Whether nothing is left to do for this tenant."""
    ports = bootstrap.ports()
    days = bootstrap.settings().recycle_bin_days
    report = collect_garbage(
        ports, step.tenant, dry_run=step.dry_run, budget_s=budget_s(context), recycle_bin_days=days
    )
    for problem in report.problems:
        logger().warning(f"garbage was kept: {problem}")
    if not step.dry_run:
        measure(
            {
                "CollectedObjects": (report.deleted.objects, COUNT),
                "CollectedBytes": (report.deleted.size_bytes, BYTES),
                "RetainedObjects": (report.retained.objects, COUNT),
                "CollectionProblems": (len(report.problems), COUNT),
            },
            **{TENANT: step.tenant},
        )
    note_report(ports, step.run, report)
    return {"done": report.done}
