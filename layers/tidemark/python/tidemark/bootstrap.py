"""Builds the ports from the settings: the one place that knows which adapter stands behind which port."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, cast

from tidemark.adapters import clients, stack_outputs
from tidemark.adapters.dynamo_catalog import DynamoCatalog
from tidemark.adapters.dynamo_entities import DynamoEntityTable
from tidemark.adapters.s3_links import S3Links
from tidemark.adapters.s3_payloads import S3Payloads
from tidemark.adapters.sfn_workflows import StepFunctionsWorkflows
from tidemark.adapters.system import SystemClock, SystemEntropy, Threads
from tidemark.domain.live import Layout
from tidemark.domain.selection import Selection
from tidemark.errors import InvalidRequest
from tidemark.ports import Announcements, Ports, Repeats, Schedules, Untold
from tidemark.ports.schedules import Unwired
from tidemark.settings import SettingInvalid, Settings, initialising

if TYPE_CHECKING:
    from tidemark.ports.volume_catalog import VolumeCatalog
    from tidemark.ports.volumes import Region
    from tidemark.usecases.stack_schedule import StackBackups

_in_use: Final[list[Ports]] = []


class _OnFirstUse:
    """Stands for a client until it is called: no function uses every service, and each takes time to set up."""

    def __init__(self, make: Callable[[], object]) -> None:
        self._make = make

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the client has
        return getattr(self._make(), name)


def settings() -> Settings:
    """The settings of this function."""
    return Settings.from_environment()


def ports() -> Ports:
    """The ports of this process, made once for each content of the environment."""
    return _in_use[-1] if _in_use else _wired(settings())


def stack_backups() -> "StackBackups | None":
    """The schedule that the stack's parameters give every tenant, if they do. Raises SettingInvalid."""
    from tidemark.dialects.ngsi.retention import parse_policy  # noqa: PLC0415 - the machine's functions alone need it
    from tidemark.usecases.stack_schedule import StackBackups  # noqa: PLC0415 - as above

    chosen = settings()
    if not chosen.backup_schedule:
        return None
    try:
        rules = dict(chosen.backup_retention)
        policy = parse_policy(rules, "BackupRetention") if rules else None
    except InvalidRequest as error:
        raise SettingInvalid(f"the parameter BackupRetention makes no policy: {error.message}") from error
    return StackBackups(chosen.backup_schedule, chosen.backup_timezone, policy)


def prepare() -> None:
    """Make the client that every route needs while the function is being imported: only then it has a full core.

    All that is read for it stays, so nobody looks through it for garbage meanwhile.
    """
    if not initialising():
        return
    gc.disable()
    try:
        clients.dynamodb()
    finally:
        gc.enable()


def ports_of_stack(stack: str) -> Ports:
    """The ports of a deployed stack, for an operator's own process. Raises StackNotFound, SettingInvalid."""
    return _wired(Settings.from_outputs(stack_outputs.outputs(stack)))


@contextmanager
def use(replacement: Ports) -> Iterator[Ports]:
    """Serve other ports until the block ends: those of a test, or of a tool that runs outside of Lambda."""
    _in_use.append(replacement)
    try:
        yield replacement
    finally:
        _in_use.remove(replacement)


@lru_cache(maxsize=4)
def _wired(chosen: Settings) -> Ports:
    clock, entropy, parallel = SystemClock(), SystemEntropy(), Threads()
    dynamodb: Any = _OnFirstUse(clients.dynamodb)
    s3: Any = _OnFirstUse(clients.s3)
    signing: Any = _OnFirstUse(clients.s3_links)
    stepfunctions: Any = _OnFirstUse(clients.stepfunctions)
    return Ports(
        catalog=DynamoCatalog(dynamodb, chosen.catalog_table),
        table=DynamoEntityTable(dynamodb, chosen.entities_table, clock=clock, entropy=entropy, parallel=parallel),
        payloads=S3Payloads(s3, chosen.bucket, clock=clock, entropy=entropy),
        links=S3Links(signing, chosen.bucket),
        workflows=StepFunctionsWorkflows(
            stepfunctions,
            capture_arn=chosen.capture_machine_arn,
            restore_arn=chosen.restore_machine_arn,
            verify_arn=chosen.verify_machine_arn,
            transfer_arn=chosen.transfer_machine_arn,
            volume_backup_arn=chosen.volume_backup_machine_arn,
            volume_restore_arn=chosen.volume_restore_machine_arn,
        ),
        clock=clock,
        entropy=entropy,
        parallel=parallel,
        repeats=cast("Repeats", _OnFirstUse(lambda: _repeats(dynamodb, chosen.catalog_table))),
        volumes=cast("VolumeCatalog", _OnFirstUse(lambda: _volumes(dynamodb, chosen.catalog_table))),
        layout=Layout(shards=chosen.shards, gates=chosen.gates),
        schedules=cast("Schedules", _OnFirstUse(lambda: _schedules(chosen))) if chosen.schedule_group else Unwired(),
        select=_compiled,
        region=_region,
        announcements=_announcements(chosen.event_bus) if chosen.event_bus else Untold(),
    )


def _compiled(text: str) -> Selection:
    from tidemark.dialects.ngsi import restore_filter  # noqa: PLC0415 - few workers meet a filter, and it takes time to load

    return restore_filter.compiled(text)


def _region(name: str) -> "Region":
    from tidemark.adapters.ebs_volumes import EbsBlocks  # noqa: PLC0415 - the functions of volumes alone need them
    from tidemark.adapters.ec2_disks import Ec2Disks  # noqa: PLC0415 - as above
    from tidemark.ports.volumes import Region  # noqa: PLC0415 - as above

    blocks = EbsBlocks(clients.ebs(name), clock=SystemClock(), entropy=SystemEntropy())
    return Region(Ec2Disks(clients.ec2(name)), blocks)


@lru_cache(maxsize=4)
def _volumes(client: Any, table: str) -> "VolumeCatalog":  # noqa: ANN401 - a client of DynamoDB, made on first use
    from tidemark.adapters.dynamo_volumes import DynamoVolumeCatalog  # noqa: PLC0415 - as above

    return DynamoVolumeCatalog(client, table)


def _announcements(bus: str) -> Announcements:
    from tidemark.adapters.eventbridge_events import EventBridgeEvents  # noqa: PLC0415 - one function alone tells anything

    return EventBridgeEvents(clients.events(), bus, clock=SystemClock(), entropy=SystemEntropy())


def _schedules(chosen: Settings) -> Schedules:
    from tidemark.adapters.eventbridge_schedules import (  # noqa: PLC0415 - the functions of schedules alone need them
        Delivery,
        EventBridgeSchedules,
    )

    delivery = Delivery(
        group=chosen.schedule_group,
        machine_arn=chosen.backup_machine_arn,
        role_arn=chosen.backup_role_arn,
        dead_letters_arn=chosen.backup_dead_letters_arn,
    )
    return EventBridgeSchedules(clients.scheduler(), delivery)


def _repeats(client: Any, table: str) -> Repeats:  # noqa: ANN401 - a client of DynamoDB, made on first use
    from tidemark.adapters.powertools_repeats import PowertoolsRepeats  # noqa: PLC0415 - slow, and seldom needed

    return PowertoolsRepeats(client, table)
