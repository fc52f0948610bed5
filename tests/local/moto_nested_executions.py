"""Lets executions of moto's Step Functions start other executions and wait for their end.

What is wrong with the original (5.2.5), and what is done:

- The names of parameters and results are not translated between those of a state machine (`StateMachineArn`) and those
  of the API (`stateMachineArn`), so that every such task fails: here they are.
- It looks twice a second whether the other execution has ended: here more often.
"""

from typing import Any

import moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback as callback
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_sfn import (
    StateTaskServiceSfn,
)

from tests.local.patching import replace

_LOOK_EVERY_S = 0.05


def _rename(names: dict[str, Any], *, upper: bool) -> None:
    """Give the names another first letter, in place."""
    renamed = {(name[0].upper() if upper else name[0].lower()) + name[1:]: item for name, item in names.items()}
    names.clear()
    names.update(renamed)


def _parameters(
    self: StateTaskServiceSfn,
    parameters: dict[str, Any],
    boto_service_name: str | None = None,
    service_action_name: str | None = None,
) -> None:
    _original_parameters(self, parameters, boto_service_name, service_action_name)
    _rename(parameters, upper=False)


def _response(
    self: StateTaskServiceSfn,
    response: Any,
    boto_service_name: str | None = None,
    service_action_name: str | None = None,
) -> None:
    _rename(response, upper=True)


replace(callback, "_DELAY_SECONDS_SYNC_CONDITION_CHECK", _LOOK_EVERY_S)
_original_parameters = replace(StateTaskServiceSfn, "_normalise_parameters", _parameters)
# It has none of its own: that of all services, which does nothing, stays as it is.
_own: Any = StateTaskServiceSfn
_own._normalise_response = _response  # noqa: SLF001
