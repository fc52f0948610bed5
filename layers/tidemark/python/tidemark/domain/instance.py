"""What instances and zones of EC2 are called here: always the same, as volumes are."""

from tidemark.domain.uuids import derived_uuid, parse_uuid
from tidemark.domain.volume import InstanceId


def instance_id(region: str, source_id: str) -> InstanceId:
    """What an instance of EC2 is called here."""
    return InstanceId(derived_uuid("instance", region, source_id))


def parse_instance_id(text: str) -> InstanceId:
    """The id of an instance. Raises InvalidRequest unless it is a UUID."""
    return InstanceId(parse_uuid(text, "the id of an instance"))


def zone_id(region: str, source_id: str) -> str:
    """What an availability zone is called here."""
    return derived_uuid("zone", region, source_id)
