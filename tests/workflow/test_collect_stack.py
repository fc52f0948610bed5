"""A collection as it is deployed: a snapshot is deleted over HTTP, brought back, deleted again, and its bytes go."""

import json
from dataclasses import replace
from typing import Any

from tests.local.keys import headers_of, ports_of, seed_key
from tests.local.stack import Execution, LocalStack

MACHINE = "CollectStateMachine"
TENANT = "smartcity"


def _collect(stack: LocalStack, *, dry: bool) -> Execution:
    states = stack.client("stepfunctions")
    arn = states.start_execution(stateMachineArn=stack.physical_id(MACHINE), input=json.dumps({"dryRun": dry}))
    return stack.wait_execution(arn["executionArn"])


def _packs(stack: LocalStack) -> set[str]:
    found = stack.client("s3").list_objects_v2(Bucket=stack.outputs["BucketName"], Prefix=f"{TENANT}/")
    return {one["Key"] for one in found.get("Contents", []) if not one["Key"].endswith(".shard.json")}


def test_deleted_snapshot_can_be_brought_back_and_then_its_bytes_go(stack: LocalStack) -> None:
    headers = headers_of(seed_key(stack), TENANT)

    def http(method: str, path: str, status: int, body: object = b"") -> Any:
        answer = stack.http(method, path, headers, body)
        assert answer.status == status, answer
        return json.loads(answer.body) if answer.body else None

    http("POST", "/v2/entities", 201, {"id": "room-1", "type": "Room", "temperature": {"type": "Number", "value": 1}})
    first = http("POST", "/v2/snapshots", 201)["id"]
    http("PATCH", "/v2/entities/room-1/attrs", 204, {"temperature": {"type": "Number", "value": 2}})
    http("POST", "/v2/snapshots", 201)
    before = _packs(stack)

    http("DELETE", f"/v2/snapshots/{first}", 204)
    assert [one["id"] for one in http("GET", "/v2/snapshots?status=deleted", 200)] == [first]
    assert _collect(stack, dry=False).status == "SUCCEEDED"
    assert _packs(stack) == before
    assert http("POST", f"/v2/snapshots/{first}/undelete", 200)["status"] == "completed"
    http("DELETE", f"/v2/snapshots/{first}", 204)

    catalog = ports_of(stack).catalog
    record = catalog.snapshot(TENANT, first)
    catalog.replace_snapshot(replace(record, recycled_until=record.deleted_at))
    dry = _collect(stack, dry=True)
    assert (dry.status, _packs(stack)) == ("SUCCEEDED", before)
    ended = _collect(stack, dry=False)
    assert ended.status == "SUCCEEDED", ended
    report = ended.output["outcome"]["report"]
    assert report == dry.output["outcome"]["report"]
    assert (report["tenants"], report["expired"], report["purged"]) == (1, 1, 1)
    assert report["deletedObjects"] == len(before) - len(_packs(stack))
    assert f"{TENANT}/manifests/{first}.json.zst" in before - _packs(stack)
    http("POST", f"/v2/snapshots/{first}/undelete", 404)
