"""Slots of schedules, delivered as EventBridge Scheduler does."""

import json
import time
from datetime import datetime
from typing import Any

from tests.e2e.served import Served

_TIMEOUT_S = 60


def deliver_slot(served: Served, owner: str, schedule: str, slot_at: datetime) -> Any:
    """The execution that a slot has started, once it is over, as Step Functions describes it."""
    states = served.client("stepfunctions")
    told = {"tenant": owner, "scheduleId": schedule, "slotAt": slot_at.strftime("%Y-%m-%dT%H:%M:%SZ")}
    execution = states.start_execution(
        stateMachineArn=served.physical_ids["BackupStateMachine"], input=json.dumps(told)
    )["executionArn"]
    deadline = time.monotonic() + _TIMEOUT_S
    while (found := states.describe_execution(executionArn=execution))["status"] == "RUNNING":
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found
