"""Errors of EC2, put into the terms of `tidemark.errors`: what the same request meets again is refused at once, with
EC2's own words, and the rest is left to be tried again.

Source: Amazon EC2 API Reference, "Error codes for the Amazon EC2 API".
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from botocore.exceptions import ClientError

from tidemark.adapters.aws_errors import code_of, message_of, named
from tidemark.errors import Throttled, TidemarkError
from tidemark.errors.volumes import DiskSnapshotNotFound, DiskSnapshotNotReady, DisksRefused, VolumeNotFound

NO_VOLUME: Final = ("InvalidVolume.NotFound", "InvalidVolumeID.Malformed")
NO_IMAGE: Final = ("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable", "InvalidAMIID.Malformed")
_NO_ZONE: Final = "InvalidZone.NotFound"
NO_SNAPSHOT: Final = ("InvalidSnapshot.NotFound", "InvalidSnapshotID.Malformed")
IN_USE: Final = "InvalidSnapshot.InUse"
NOT_READY: Final = ("IncorrectState", "InvalidSnapshot.InvalidState")
NAME_TAKEN: Final = "InvalidAMIName.Duplicate"
# One snapshot of a volume in some seconds is what EC2 makes; and only so many are made at once.
_LATER: Final = (
    "SnapshotCreationPerVolumeRateExceeded",
    "ConcurrentSnapshotLimitExceeded",
    "ConcurrentCreateVolumeLimitExceeded",
    "PendingSnapshotLimitExceeded",
)
UNAUTHORIZED: Final = "UnauthorizedOperation"
# How many of something an account may have: that ends when somebody removes some, or has the quota raised.
_QUOTAS: Final = frozenset(
    {
        "AMIQuotaExceeded",
        "MaxIOPSLimitExceeded",
        "ResourceCountExceeded",
        "ResourceCountLimitExceeded",
        "ResourceLimitExceeded",
        "SnapshotLimitExceeded",
        "TagLimitExceeded",
        "VolumeIOPSLimit",
        "VolumeLimitExceeded",
    }
)
# Client errors that the same request meets again, however often it is sent.
_IMPOSSIBLE: Final = frozenset(
    {
        "Blocked",
        "BootForVolumeTypeUnsupported",
        "CustomerKeyHasBeenRevoked",
        "EncryptedVolumesNotSupported",
        "IdempotentParameterMismatch",
        "InvalidAMIName.Malformed",
        "InvalidAvailabilityZone",
        "InvalidBlockDeviceMapping",
        "InvalidCharacter",
        "InvalidFormat",
        "InvalidInput",
        "InvalidParameter",
        "InvalidParameterCombination",
        "InvalidParameterDependency",
        "InvalidParameterValue",
        "InvalidRequest",
        "InvalidTagKey.Malformed",
        "MissingParameter",
        "OperationNotPermitted",
        "OptInRequired",
        "PendingVerification",
        "UnknownParameter",
        "UnknownVolumeType",
        "Unsupported",
        "UnsupportedOperation",
        "ValidationError",
        "VolumeTypeNotAvailableInZone",
    }
)


@contextmanager
def ec2_named(doing: str, *, volume_id: str = "", snapshot_id: str = "") -> Iterator[None]:
    """As `aws_errors.named`, with the codes of EC2; those that say that something is gone count where it is named."""
    codes: dict[str, TidemarkError] = {
        _NO_ZONE: DisksRefused(f"{doing}: EC2 has no such zone; choose one of the region's"),
        NAME_TAKEN: DisksRefused(f"{doing}: another image has this name; choose another one"),
        # What EC2 says of it is for those who may read the account's policies.
        UNAUTHORIZED: DisksRefused(f"{doing}: EC2 refuses it to this account; its operator has to grant the right"),
        **dict.fromkeys(_LATER, Throttled(f"{doing}: EC2 makes no more of them at this moment; try again later")),
    }
    if volume_id:
        codes |= dict.fromkeys(NO_VOLUME, VolumeNotFound(f"there is no volume {volume_id}"))
    if snapshot_id:
        codes |= dict.fromkeys(NO_SNAPSHOT, DiskSnapshotNotFound(f"there is no disk snapshot {snapshot_id}"))
        codes |= dict.fromkeys(NOT_READY, DiskSnapshotNotReady(f"disk snapshot {snapshot_id} is not completed"))
    with named(doing, codes):
        try:
            yield
        except ClientError as error:
            if code_of(error) in _QUOTAS:
                raise DisksRefused(
                    f"{doing}: EC2 says: {message_of(error)}; remove some, or have the account's quota raised"
                ) from error
            if code_of(error) in _IMPOSSIBLE:
                raise DisksRefused(
                    f"{doing}: EC2 refuses it, and would again ({code_of(error)}): {message_of(error)}"
                ) from error
            raise
