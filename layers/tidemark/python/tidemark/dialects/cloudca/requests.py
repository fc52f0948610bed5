"""What requests of this dialect ask for: environments, ids, filters, operations and bodies.

Source: the cloud.ca documentation, "Snapshots" and "Volumes"; the CloudMC documentation, "Create a snapshot". Query
parameters that are not known are passed over, as clients send some that mean nothing here; members of a body that are
not known are refused, so that a misspelt one is noticed.
"""

import re
from collections.abc import Collection
from typing import Any, Final, NamedTuple

from tidemark.dialects.cloudca.bodies import members as _members
from tidemark.dialects.cloudca.words import SNAPSHOT_VOLUME_TYPES, VOLUME_TYPES
from tidemark.dialects.wire import Request
from tidemark.domain.environment import EnvironmentId, environment_id
from tidemark.domain.instance import parse_instance_id
from tidemark.domain.task import Operation, TaskId, parse_task_id
from tidemark.domain.volume import (
    InstanceId,
    VolumeId,
    VolumeKind,
    VolumeSnapshotId,
    parse_volume_id,
    parse_volume_snapshot_id,
)
from tidemark.domain.volume_names import check_name
from tidemark.errors import EnvironmentNotFound, InvalidRequest

MAX_DESCRIPTION_CHARS: Final = 255
_CREATE: Final = "create"
_IMPORT: Final = "import"
_COMPLETE: Final = "complete"
_DIGEST: Final = re.compile("[0-9a-f]{64}")
_OF_SNAPSHOT: Final = {"restore": Operation.RESTORE, "createTemplate": Operation.CREATE_TEMPLATE}


class CreateWanted(NamedTuple):
    """A snapshot that is asked for. `name` is None where it is to have the default name. `rapid` asks for the cloud's
    own snapshot to be kept beside what is stored here.
    """

    volume_id: VolumeId
    name: str | None = None
    rapid: bool = False


class ImportWanted(NamedTuple):
    """An image that is to be imported. `volume_id` is None where it is of no volume that is known; what is said of
    the volume otherwise is None where nothing is.
    """

    size_bytes: int
    volume_id: VolumeId | None = None
    name: str | None = None
    volume_name: str | None = None
    volume_kind: VolumeKind | None = None


class RestoreWanted(NamedTuple):
    """A volume that is to be made of a snapshot. `name` is None where it is to have that of the snapshot's volume,
    `zone` where it is to be where that was.
    """

    name: str | None = None
    zone: str | None = None


class TemplateWanted(NamedTuple):
    """A template that is to be made of a snapshot. `name` is None where it is to have the snapshot's."""

    name: str | None = None
    description: str = ""


class VolumesWanted(NamedTuple):
    """Which volumes of the environment a list is of; None: of any kind, or of any instance and none."""

    kind: VolumeKind | None = None
    instance_id: InstanceId | None = None


def environment_in(request: Request) -> EnvironmentId:
    """The environment in the path. Raises EnvironmentNotFound at once where none can have such a name."""
    service_code, name = request.path_parameter("serviceCode"), request.path_parameter("environmentName")
    try:
        return environment_id(service_code, name)
    except InvalidRequest as error:
        raise EnvironmentNotFound(f"no environment {f'{service_code}/{name}'[:100]!r}: {error.message}") from None


def snapshot_in(request: Request) -> VolumeSnapshotId:
    """The snapshot in the path. Raises InvalidRequest unless it is a UUID."""
    return parse_volume_snapshot_id(request.path_parameter("snapshotId"))


def volume_in(request: Request) -> VolumeId:
    """The volume in the path. Raises InvalidRequest unless it is a UUID."""
    return parse_volume_id(request.path_parameter("volumeId"))


def task_in(request: Request) -> TaskId:
    """The task in the path. Raises InvalidRequest unless it is a UUID."""
    return parse_task_id(request.path_parameter("taskId"))


def volume_filter(request: Request) -> VolumeId | None:
    """The query parameter `volume_id` of a list of snapshots; None: of any volume. Raises InvalidRequest."""
    return parse_volume_id(request.query["volume_id"]) if "volume_id" in request.query else None


def volumes_wanted(request: Request) -> VolumesWanted:
    """The query parameters `type` and `instance_id` of a list of volumes. Raises InvalidRequest.

    The documentation has small letters for a type, its client capital ones.
    """
    kinds = {word: kind for kind, word in VOLUME_TYPES.items()}
    given = request.query.get("type")
    if given is not None and given.lower() not in kinds:
        raise InvalidRequest(f"the parameter type must be {' or '.join(kinds)}; it is {given[:40]!r}")
    wanted = request.query.get("instance_id")
    return VolumesWanted(
        kind=None if given is None else kinds[given.lower()],
        instance_id=None if wanted is None else parse_instance_id(wanted),
    )


def create_wanted(request: Request) -> CreateWanted:
    """What is asked for by a request to the list of snapshots. Raises InvalidRequest naming what is wrong.

    Clients that create in the documented way of other things name no operation.
    """
    operation = request.query.get("operation", _CREATE)
    if operation != _CREATE:
        raise _unknown_operation(operation, [_CREATE, _IMPORT])
    document = _members(request, ("volumeId", "name", "rapid"))
    volume_id = document.get("volumeId")
    if not isinstance(volume_id, str):
        raise InvalidRequest(
            "the member 'volumeId' must be the id of the volume; " + ("it is no string" if volume_id else "send one")
        )
    rapid = document.get("rapid", False)
    if not isinstance(rapid, bool):
        raise InvalidRequest("the member 'rapid' must be true or false")
    return CreateWanted(parse_volume_id(volume_id), _name(document), rapid)


def asks_for_import(request: Request) -> bool:
    """Whether a request to the list of snapshots is about an image that is uploaded."""
    return request.query.get("operation") == _IMPORT


def import_wanted(request: Request) -> ImportWanted:
    """The image that is to be imported. Raises InvalidRequest naming what is wrong."""
    document = _members(request, ("sizeBytes", "volumeId", "name", "volume", "volumeType"))
    size_bytes, volume_id = document.get("sizeBytes"), document.get("volumeId")
    if not isinstance(size_bytes, int) or isinstance(size_bytes, bool):
        raise InvalidRequest("the member 'sizeBytes' must be the size of the image in bytes, a whole number")
    if volume_id is not None and not isinstance(volume_id, str):
        raise InvalidRequest("the member 'volumeId' must be the id of a volume, or be left out for a new one")
    if volume_id is not None and ("volume" in document or "volumeType" in document):
        raise InvalidRequest("with the member 'volumeId', 'volume' and 'volumeType' are those of that volume")
    kinds = {word: kind for kind, word in SNAPSHOT_VOLUME_TYPES.items()}
    given = document.get("volumeType")
    if given is not None and given not in kinds:
        raise InvalidRequest(f"the member 'volumeType' must be {' or '.join(kinds)}; it is {str(given)[:40]!r}")
    return ImportWanted(
        size_bytes,
        None if volume_id is None else parse_volume_id(volume_id),
        _name(document),
        _name(document, "volume"),
        None if given is None else kinds[given],
    )


def complete_wanted(request: Request) -> str | None:
    """The digest that the uploaded image must have; None where none is told. Raises InvalidRequest."""
    if request.query.get("operation") != _COMPLETE:
        raise _unknown_operation(request.query.get("operation"), [_COMPLETE])
    digest = _members(request, ("digest",)).get("digest")
    if digest is not None and (not isinstance(digest, str) or _DIGEST.fullmatch(digest) is None):
        raise InvalidRequest("the member 'digest' must be 64 small hexadecimal digits")
    return digest


def operation_wanted(request: Request) -> RestoreWanted | TemplateWanted:
    """What is asked for by a request to one snapshot. Raises InvalidRequest naming what is wrong."""
    match _OF_SNAPSHOT.get(request.query.get("operation", "")):
        case Operation.RESTORE:
            document = _members(request, ("name", "zone"))
            return RestoreWanted(_name(document), _zone(document))
        case Operation.CREATE_TEMPLATE:
            document = _members(request, ("name", "description"))
            return TemplateWanted(_name(document), _description(document))
        case _:
            raise _unknown_operation(request.query.get("operation"), _OF_SNAPSHOT)


def check_bare(request: Request) -> None:
    """Raises InvalidRequest where a request that takes no body has members in one. Clients may send an empty one."""
    _members(request, ())


def _unknown_operation(given: str | None, known: Collection[str]) -> InvalidRequest:
    told = "none is given" if given is None else f"it is {given[:60]!r}"
    return InvalidRequest(f"the parameter operation must be {' or '.join(known)}; {told}")


def _name(document: dict[str, Any], member: str = "name") -> str | None:
    name = document.get(member)
    if name is None:
        return None
    if not isinstance(name, str):
        raise InvalidRequest(f"the member {member!r} must be a string")
    return check_name(name)


def _zone(document: dict[str, Any]) -> str | None:
    zone = document.get("zone")
    if zone is not None and not isinstance(zone, str):
        raise InvalidRequest("the member 'zone' must be a string, the name of a zone as a volume's zoneName has it")
    return zone


def _description(document: dict[str, Any]) -> str:
    description = document.get("description", "")
    if not isinstance(description, str) or len(description) > MAX_DESCRIPTION_CHARS:
        raise InvalidRequest(f"the member 'description' must be a string of {MAX_DESCRIPTION_CHARS} characters at most")
    if not (description.isascii() and description.isprintable()):
        # EC2 would say so of the image, once all of it is written.
        raise InvalidRequest("the member 'description' must be of printable ASCII characters, as EC2 takes no others")
    return description
