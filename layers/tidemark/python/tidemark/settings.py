"""What the template tells the functions. The only place that reads the environment."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

_REQUIRED: Final = {
    "catalog_table": "TIDEMARK_CATALOG_TABLE",
    "entities_table": "TIDEMARK_ENTITIES_TABLE",
    "bucket": "TIDEMARK_BUCKET",
    "capture_machine_arn": "TIDEMARK_CAPTURE_MACHINE_ARN",
    "restore_machine_arn": "TIDEMARK_RESTORE_MACHINE_ARN",
    "verify_machine_arn": "TIDEMARK_VERIFY_MACHINE_ARN",
    "transfer_machine_arn": "TIDEMARK_TRANSFER_MACHINE_ARN",
}
# Where a stack's own outputs say the same.
_OUTPUTS: Final = {
    "catalog_table": "CatalogTableName",
    "entities_table": "EntitiesTableName",
    "bucket": "BucketName",
    "capture_machine_arn": "CaptureStateMachineArn",
    "restore_machine_arn": "RestoreStateMachineArn",
    "verify_machine_arn": "VerifyStateMachineArn",
    "transfer_machine_arn": "TransferStateMachineArn",
}
# What EventBridge Scheduler is told; only the functions that set schedules know it, and then all of it.
_DELIVERY: Final = {
    "schedule_group": "TIDEMARK_SCHEDULE_GROUP",
    "backup_machine_arn": "TIDEMARK_BACKUP_STATE_MACHINE_ARN",
    "backup_role_arn": "TIDEMARK_BACKUP_ROLE_ARN",
    "backup_dead_letters_arn": "TIDEMARK_BACKUP_DEAD_LETTERS_ARN",
}
# The state machines of volumes; functions that start no execution of them lack their names.
_OF_VOLUMES: Final = {
    "volume_backup_machine_arn": "TIDEMARK_VOLUME_BACKUP_STATE_MACHINE_ARN",
    "volume_restore_machine_arn": "TIDEMARK_VOLUME_RESTORE_STATE_MACHINE_ARN",
}
_SHARDS: Final = "TIDEMARK_SHARDS"
_GATES: Final = "TIDEMARK_GATES"
_INLINE_BUDGET: Final = "TIDEMARK_INLINE_BUDGET_S"
_SCRUB_DAYS: Final = "TIDEMARK_SCRUB_DAYS"
_RECYCLE_BIN_DAYS: Final = "TIDEMARK_RECYCLE_BIN_DAYS"
_OBJECT_LOCK: Final = "TIDEMARK_OBJECT_LOCK"
_EVENT_BUS: Final = "TIDEMARK_EVENT_BUS"
_SCHEDULES: Final = "TIDEMARK_SCHEDULES_PER_TENANT"
_VOLUME_SCHEDULES: Final = "TIDEMARK_SCHEDULES_PER_ENVIRONMENT"
_BACKUP_SCHEDULE: Final = "TIDEMARK_BACKUP_SCHEDULE"
_BACKUP_TIMEZONE: Final = "TIDEMARK_BACKUP_TIMEZONE"
_BACKUP_RETENTION: Final = "TIDEMARK_BACKUP_RETENTION"
_RETENTION: Final = re.compile(r"(?P<rule>[A-Za-z]+):(?P<number>[0-9]+|P[0-9A-Z]+)")


class ObservedAs(NamedTuple):
    """Under which names logs and metrics appear."""

    service: str
    namespace: str


class SettingInvalid(Exception):
    """A variable of the environment is missing or unusable: the deployment is wrong, not a request."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Names of what the functions use, and the numbers that an operator may choose.

    `shards` (a power of two) and `gates` are given to tenants when they first write; `inline_budget_s` is how long a
    request captures, verifies or makes a dry run before it hands over to a state machine; within `scrub_days` every
    stored pack is read back once; for `recycle_bin_days` a deleted snapshot can be brought back. `object_lock`: the
    bucket has it, so legal holds are put on objects too. A tenant may have `schedules_per_tenant`, an environment
    `schedules_per_environment`. Functions that set
    none lack the names of what delivers schedules: theirs are empty. `backup_schedule` is the expression of the
    schedule of all tenants, "" where there is none, and `backup_retention` its rules with what each keeps.
    On the `event_bus` others are told what happened; "" for functions that tell nothing. The machines of volumes are ""
    for functions that start none of their executions.
    """

    catalog_table: str
    entities_table: str
    bucket: str
    capture_machine_arn: str
    restore_machine_arn: str
    verify_machine_arn: str
    transfer_machine_arn: str
    shards: int
    gates: int
    inline_budget_s: float
    scrub_days: int
    recycle_bin_days: int
    object_lock: bool
    event_bus: str
    schedules_per_tenant: int
    schedules_per_environment: int
    schedule_group: str
    backup_machine_arn: str
    backup_role_arn: str
    backup_dead_letters_arn: str
    backup_schedule: str
    backup_timezone: str
    backup_retention: tuple[tuple[str, int | str], ...]
    volume_backup_machine_arn: str
    volume_restore_machine_arn: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """The settings of this function. Raises SettingInvalid, naming every variable that is missing, or a bad one."""
        environment = os.environ if environment is None else environment
        delivery = {field: environment.get(name, "") for field, name in _DELIVERY.items()}
        required = [*_REQUIRED.values(), *(_DELIVERY.values() if any(delivery.values()) else ())]
        missing = [name for name in required if not environment.get(name)]
        if missing:
            raise SettingInvalid(
                f"the environment lacks {', '.join(missing)}: template.yaml sets them for every function"
            )
        shards = int(_number(environment, _SHARDS, 16, largest=64))
        if shards & (shards - 1):
            raise SettingInvalid(f"{_SHARDS} must be a power of two, 1 to 64; it is {shards}")
        return cls(
            **{field: environment[name] for field, name in _REQUIRED.items()},
            shards=shards,
            gates=int(_number(environment, _GATES, 16, largest=64)),
            inline_budget_s=_number(environment, _INLINE_BUDGET, 5.0, smallest=0.0, largest=20.0),
            scrub_days=int(_number(environment, _SCRUB_DAYS, 30, largest=366)),
            recycle_bin_days=int(_number(environment, _RECYCLE_BIN_DAYS, 7, largest=3650)),
            object_lock=environment.get(_OBJECT_LOCK) == "enabled",
            event_bus=environment.get(_EVENT_BUS, ""),
            schedules_per_tenant=int(_number(environment, _SCHEDULES, 10, largest=1000)),
            schedules_per_environment=int(_number(environment, _VOLUME_SCHEDULES, 100, largest=10_000)),
            **delivery,
            backup_schedule=environment.get(_BACKUP_SCHEDULE, "").removeprefix("disabled"),
            backup_timezone=environment.get(_BACKUP_TIMEZONE) or "UTC",
            backup_retention=_retention(environment.get(_BACKUP_RETENTION, "")),
            **{field: environment.get(name, "") for field, name in _OF_VOLUMES.items()},
        )

    @classmethod
    def from_outputs(cls, outputs: Mapping[str, str]) -> Self:
        """The settings of a deployed stack, from the outputs of its template. Raises SettingInvalid."""
        missing = [name for name in _OUTPUTS.values() if name not in outputs]
        if missing:
            raise SettingInvalid(
                f"the stack has no outputs {', '.join(missing)}: it is not one of Tidemark, or not deployed to its end"
            )
        return cls.from_environment({_REQUIRED[field]: outputs[name] for field, name in _OUTPUTS.items()})


def initialising() -> bool:
    """Whether this is an execution environment of AWS Lambda, which imports the function in its init phase."""
    return "AWS_LAMBDA_INITIALIZATION_TYPE" in os.environ


def observed_as(environment: Mapping[str, str] | None = None) -> ObservedAs:
    """The names that Powertools' variables give, else the product's own: nothing may fail for want of one."""
    environment = os.environ if environment is None else environment
    return ObservedAs(
        service=environment.get("POWERTOOLS_SERVICE_NAME") or "tidemark",
        namespace=environment.get("POWERTOOLS_METRICS_NAMESPACE") or "Tidemark",
    )


def _retention(text: str) -> tuple[tuple[str, int | str], ...]:
    """The rules in a text such as `keepLast:3,daily:7,keepWithin:P2D`, in their order."""
    found: dict[str, int | str] = {}
    for part in text.split(",") if text else ():
        match = _RETENTION.fullmatch(part.strip())
        if match is None or match["rule"] in found:
            raise SettingInvalid(
                f"{_BACKUP_RETENTION} must be rules such as daily:7,weekly:5, each of them once; it is {text!r}"
            )
        found[match["rule"]] = int(match["number"]) if match["number"].isdigit() else match["number"]
    return tuple(found.items())


def _number(environment: Mapping[str, str], name: str, default: float, *, smallest: float = 1, largest: float) -> float:
    text = environment.get(name) or str(default)
    try:
        number = type(default)(text)
    except ValueError:
        raise SettingInvalid(f"{name} must be a number, {smallest} to {largest}; it is {text!r}") from None
    if not smallest <= number <= largest:
        raise SettingInvalid(f"{name} must be {smallest} to {largest}; it is {text}")
    return number
