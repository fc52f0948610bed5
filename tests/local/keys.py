"""Makes API keys in a running local stack, as an operator would with the product's own code."""

import sys
from collections.abc import Collection
from typing import Any

from tests.local.stack import LocalStack

_ANY = "*"


def ports_of(stack: LocalStack) -> Any:
    """The product's ports (`tidemark.ports.Ports`), wired to a local stack, to look behind the API."""
    _find_product(stack)
    # Imported here: the local stack itself deploys any template and knows nothing of the product.
    from tidemark.adapters import dynamo_wire  # noqa: PLC0415
    from tidemark.adapters.dynamo_catalog import DynamoCatalog  # noqa: PLC0415
    from tidemark.adapters.dynamo_entities import DynamoEntityTable  # noqa: PLC0415
    from tidemark.adapters.dynamo_volumes import DynamoVolumeCatalog  # noqa: PLC0415
    from tidemark.adapters.ebs_volumes import EbsBlocks  # noqa: PLC0415
    from tidemark.adapters.ec2_disks import Ec2Disks  # noqa: PLC0415
    from tidemark.adapters.powertools_repeats import PowertoolsRepeats  # noqa: PLC0415
    from tidemark.adapters.s3_links import S3Links  # noqa: PLC0415
    from tidemark.adapters.s3_payloads import S3Payloads  # noqa: PLC0415
    from tidemark.adapters.sfn_workflows import StepFunctionsWorkflows  # noqa: PLC0415
    from tidemark.adapters.system import SystemClock, SystemEntropy, Threads  # noqa: PLC0415
    from tidemark.domain.live import Layout  # noqa: PLC0415
    from tidemark.ports import Ports  # noqa: PLC0415
    from tidemark.ports.volumes import Region  # noqa: PLC0415
    from tidemark.settings import Settings  # noqa: PLC0415

    settings = Settings.from_environment(next(iter(stack.deployment.functions.values())).environment)
    machines = stack.deployment.physical_ids
    clock, entropy, parallel = SystemClock(), SystemEntropy(), Threads()
    dynamodb, s3 = stack.client("dynamodb"), stack.client("s3")
    dynamo_wire.attach(dynamodb)
    return Ports(
        catalog=DynamoCatalog(dynamodb, settings.catalog_table),
        table=DynamoEntityTable(dynamodb, settings.entities_table, clock=clock, entropy=entropy, parallel=parallel),
        payloads=S3Payloads(s3, settings.bucket, clock=clock, entropy=entropy),
        links=S3Links(s3, settings.bucket),
        workflows=StepFunctionsWorkflows(
            stack.client("stepfunctions"),
            capture_arn=settings.capture_machine_arn,
            restore_arn=settings.restore_machine_arn,
            verify_arn=settings.verify_machine_arn,
            transfer_arn=settings.transfer_machine_arn,
            volume_backup_arn=machines.get("VolumeBackupStateMachine", ""),
            volume_restore_arn=machines.get("VolumeRestoreStateMachine", ""),
        ),
        clock=clock,
        entropy=entropy,
        parallel=parallel,
        repeats=PowertoolsRepeats(dynamodb, settings.catalog_table),
        volumes=DynamoVolumeCatalog(dynamodb, settings.catalog_table),
        layout=Layout(shards=settings.shards, gates=settings.gates),
        # The local stack has one region, whichever is asked for.
        region=lambda _: Region(
            Ec2Disks(stack.client("ec2")), EbsBlocks(stack.client("ebs"), clock=clock, entropy=entropy)
        ),
    )


def seed_key(
    stack: LocalStack,
    *,
    tenants: Collection[str] = (_ANY,),
    environments: Collection[str] = (_ANY,),
    actions: Collection[str] = ("admin",),
    name: str = "local",
) -> str:
    """A new key's secret; by default it may do everything in every tenant and environment."""
    ports = ports_of(stack)
    from tidemark.domain.api_key import Action  # noqa: PLC0415 - as above
    from tidemark.usecases.keys import create_key  # noqa: PLC0415

    allowed = [Action(action) for action in actions]
    made = create_key(ports, name=name, tenants=tenants, environments=environments, actions=allowed)
    return str(made.secret)


def _find_product(stack: LocalStack) -> None:
    """Put the layers on Python's path, where pytest's settings have not done so."""
    for spec in stack.deployment.functions.values():
        sys.path += [str(path) for path in spec.layer_directories if str(path) not in sys.path]


def headers_of(secret: str, tenant: str = "smartcity") -> dict[str, str]:
    """Header fields of a request with that key."""
    return {"Authorization": f"Bearer {secret}", "Fiware-Service": tenant}
