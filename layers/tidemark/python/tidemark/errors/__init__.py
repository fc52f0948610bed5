"""The error taxonomy.

Every failure that Tidemark names is a leaf class here. A leaf belongs to one category (`InvalidRequest`, `NotFound`,
`Conflict`, ...); the dialects map categories to HTTP, the state machines name leaves in `Retry` and `Catch`. The class
names are therefore a wire contract.
"""

from tidemark.errors.categories import (
    Conflict,
    Corrupt,
    Fenced,
    Forbidden,
    InvalidRequest,
    NotAcceptable,
    NotFound,
    NotSupported,
    TidemarkError,
    TooLarge,
    Unauthorized,
    Unavailable,
    Unprocessable,
    UnsupportedMediaType,
)
from tidemark.errors.restores import *  # noqa: F403 - leaves, each of which belongs here too
from tidemark.errors.volumes import *  # noqa: F403 - leaves, each of which belongs here too

__all__ = [
    # What is defined here needs no mention to be imported from here.
    "Conflict",
    "Corrupt",
    "Fenced",
    "Forbidden",
    "InvalidRequest",
    "NotAcceptable",
    "NotFound",
    "NotSupported",
    "TidemarkError",
    "TooLarge",
    "Unauthorized",
    "Unavailable",
    "Unprocessable",
    "UnsupportedMediaType",
]

# --- invalid request


class ImportRefused(InvalidRequest):
    """A file that was to be imported is not one: the sentence names it, the line, and why."""


class MalformedBody(InvalidRequest):
    """The body is not what its content type says it is."""


# --- not found


class SnapshotNotFound(NotFound):
    """No such snapshot in this tenant."""


class RestoreNotFound(NotFound):
    """No such restore in this tenant."""


class ScheduleNotFound(NotFound):
    """No such schedule in this tenant."""


class EntityNotFound(NotFound):
    """No such entity in this tenant."""


class AttributeNotFound(NotFound):
    """The entity has no such attribute."""


class RouteNotFound(NotFound):
    """No such path."""


class MethodNotAllowed(TidemarkError):
    """The path exists, but not with this method; `allow` holds those that do."""

    def __init__(self, message: str, *, allow: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allow = allow


# --- conflicts


class CaptureInProgress(Conflict):
    """A capture of this tenant is running; `snapshot_id` names it."""

    def __init__(self, message: str, *, snapshot_id: str) -> None:
        super().__init__(message)
        self.snapshot_id = snapshot_id


class RestoreInProgress(Conflict):
    """A restore of this tenant is running; `restore_id` names it."""

    def __init__(self, message: str, *, restore_id: str) -> None:
        super().__init__(message)
        self.restore_id = restore_id


class SnapshotInUse(Conflict):
    """A capture or restore needs the snapshot."""


class SnapshotPinned(Conflict):
    """The snapshot is pinned, so it is not deleted."""


class SnapshotHeld(Conflict):
    """The snapshot is under a legal hold, so it is not deleted."""


class HoldInProgress(Conflict):
    """A legal hold is being placed or lifted at this moment."""


class SnapshotNotCompleted(Conflict):
    """The snapshot is not completed, so it cannot be restored, read, verified, copied or exported."""


class ExportFailed(Conflict):
    """What the export needs could not be made; asking for it again tries anew."""


class ImportNotOpen(Conflict):
    """The snapshot waits for no files: it is no import, or its import is over."""


class ImportIncomplete(Conflict):
    """Not all files of the import are uploaded yet."""


class SnapshotNotInRecycleBin(Conflict):
    """The snapshot was not deleted, or its time in the recycle bin is over."""


class RequestInProgress(Conflict):
    """The same request, under the same key, is being served at this moment."""


class KeyReused(Conflict):
    """Another request was made under the key that this one has."""


class ScheduleQuotaReached(Conflict):
    """There are as many schedules as there may be, of this tenant or in this account of AWS."""


class ScheduleOfStack(Conflict):
    """The schedule is that of the stack, which its parameters alone change."""


class RestoreNotCancellable(Conflict):
    """The restore has reached its cutover, or is over."""


class TooManyResults(Conflict):
    """Several entities share the id; the request must name the type (NGSIv2, `TooManyResults`)."""


# --- unprocessable


class EntityExists(Unprocessable):
    """The entity exists and the request asked to create it."""


class AttributeExists(Unprocessable):
    """The attribute exists and the request asked to append it strictly."""


class PartialUpdate(Unprocessable):
    """Some of what the request asked for was done and some could not be (NGSIv2, `PartialUpdate`)."""


# --- too large


class EntityTooLarge(TooLarge):
    """The entity's JSON is above the limit of one entity."""


class BodyTooLarge(TooLarge):
    """The request body is above the documented limit."""


class AnswerTooLarge(TooLarge):
    """What the request asks for does not fit in one answer; asking for fewer at a time helps."""


class AnswerTooSlow(TooLarge):
    """The answer would take longer than one request may; asking for less helps."""


# --- corruption


class ManifestCorrupt(Corrupt):
    """A manifest is missing, has the wrong checksum, or cannot be read."""


class PackCorrupt(Corrupt):
    """A pack is missing, has the wrong length or checksum, or cannot be read."""


class CatalogCorrupt(Corrupt):
    """A record of the catalog is not what was stored there."""


class VerificationFailed(Corrupt):
    """What was written to the live store does not read back as what the snapshot holds."""


class CutViolated(Corrupt):
    """An item was changed after a cut without keeping what it was before."""


class StageIncomplete(Corrupt):
    """A part of the staging work left no result."""


class CountIncomplete(Corrupt):
    """A shard that a dry run was to count left no result."""


# --- fencing


class LeaseLost(Fenced):
    """The lease has passed to another holder."""


class LeaseHeld(Conflict):
    """Another capture or restore of this tenant holds the lease; `kind` is its kind, `subject` the snapshot or restore
    id.
    """

    def __init__(self, message: str, *, kind: str, owner: str, subject: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.owner = owner
        self.subject = subject


class TransferEnded(Fenced):
    """The copy, export or import is over, or a later execution drives it."""


class TransferCancelled(Fenced):
    """The copy or import was deleted before it was completed."""


class RestoreCancelled(Fenced):
    """The restore was cancelled before its cutover."""


# --- stored records


class RecordExists(Conflict):
    """A record with this identity is already stored."""


class StaleRecord(Conflict):
    """The record changed since it was read."""


class ObjectExists(Conflict):
    """An object with this key is already stored."""


class ObjectNotFound(NotFound):
    """No object with this key."""


class KeyNotFound(NotFound):
    """No such API key."""


class StackNotFound(NotFound):
    """No such stack is deployed, where the operator looks for one."""


# --- contention and AWS


class WriteConflict(Unavailable):
    """A transaction lost against another one; read again and retry."""


class GenerationMoved(Unavailable):
    """A restore was cut over while the request was reading; read again."""


class GatesClosed(Unavailable):
    """Writers were kept waiting by a cut for longer than they may wait."""


class BudgetSpent(Unavailable):
    """The work takes longer than a request may; a state machine goes on with it."""


class BackupOverdue(Unavailable):
    """A backup waited for something else for so long that it was given up."""

    retryable = False


class SchedulingRefused(Unavailable):
    """EventBridge Scheduler does not do what the stack asks of it: its operator has to act."""

    retryable = False


class Throttled(Unavailable):
    """AWS throttled the call and its retries."""


class AwsFailure(Unavailable):
    """AWS answered with an error that is not the request's fault."""

    user_visible = False
