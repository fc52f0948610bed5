"""Failures that only restores and their dry runs have: leaves of the taxonomy, which `tidemark.errors` passes on."""

from tidemark.errors.categories import Conflict, NotFound, Unprocessable


class PlanNotFound(NotFound):
    """No plan of a restore has this id, or its time is over."""


class PlanOutdated(Conflict):
    """Live data has moved since the plan of a restore was made."""


class PlanNotReady(Conflict):
    """The dry run that makes the plan goes on, or has failed."""


class DryRunInProgress(Conflict):
    """A dry run of a restore is looking at the tenant's data."""


class NothingSelected(Unprocessable):
    """The filter of a restore selects no entity, neither of the snapshot nor of live data."""


class RestoreOutpaced(Conflict):
    """Entities were written as fast as a partial restore could follow, so it never came to its cutover."""
