"""Makes moto's Step Functions interpreter do what the state machines here need.

What is wrong with the original (5.2.5), and what is done:

- Two definitions parsed at once corrupt each other (state is kept in the class): one lock, and a clean start for
  each.
- Each execution reads its definition anew, which takes longer than most of them run: the syntax tree is kept, from
  which each still gets states of its own.
- A Fail state cannot hand on an error whose name begins with "States.": here it can.
- Its grammar wants a fraction for ToleratedFailurePercentage, where AWS takes 0 too.
- Each JSONPath is parsed anew wherever it is used: here once.
- Each call makes a new boto3 client, which takes longer than the call: here they are kept.
- An execution that is stopped while items of a map run counts as failed, as they are ended by it: here as aborted.
- The pause before a retry cannot be interrupted; here it ends when the execution does. Pauses and waits can be
  scaled.

What concerns Distributed Maps is in `moto_distributed_map.py`, executions that start others in
`moto_nested_executions.py`.
"""

import functools
import logging
import re
import sys
import threading
import types
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import moto.stepfunctions.parser.asl.component.common.retry.retrier_decl as retrier_module
import moto.stepfunctions.parser.asl.utils.boto_client as boto_client_module
import moto.stepfunctions.parser.asl.utils.json_path as json_path_module
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.error_name import ErrorName
from moto.stepfunctions.parser.asl.component.common.retry.retrier_decl import RetrierDecl
from moto.stepfunctions.parser.asl.component.eval_component import EvalComponent
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import WaitFunction
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.program_state import ProgramStopped
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.parse.preprocessor import Preprocessor
from moto.stepfunctions.parser.backend.execution import BaseExecutionWorkerCommunication
from moto.stepfunctions.parser.models import StepFunctionsParserBackend, stepfunctions_parser_backends
from moto.stepfunctions.parser.utils import TMP_THREADS

from tests.local.aws import ACCOUNT_ID, REGION, Aws
from tests.local.moto_distributed_map import map_failures
from tests.local.patching import replace

_INTEGRAL_PERCENTAGE = re.compile(r'("ToleratedFailurePercentage"\s*:\s*\d+)(?![\d.])')
_JOIN_TIMEOUT_S = 10
_MAX_TREES = 50


@dataclass
class _Settings:
    aws: Aws | None = None
    wait_scale: float = 1.0
    on_end: Callable[[str, str], None] | None = None


_settings = _Settings()
_ended = threading.Condition()
_parse_lock = threading.RLock()
_trees: dict[str, Any] = {}
_start_lock = threading.RLock()


def use(aws: Aws | None, *, wait_scale: float = 1.0, on_end: Callable[[str, str], None] | None = None) -> None:
    """Say how executions reach AWS.

    Args:
        aws: the pretended AWS; None when a stack is gone.
        wait_scale: multiplies every Wait and every pause before a retry.
        on_end: told the machine's name and a sentence when an execution has ended.
    """
    _settings.aws, _settings.wait_scale, _settings.on_end = aws, wait_scale, on_end


def backend() -> StepFunctionsParserBackend:
    """The running Step Functions of the stack's account and region."""
    return stepfunctions_parser_backends[ACCOUNT_ID][REGION]


def wait_until_ended(execution_arn: str, timeout_s: float) -> None:
    """Wait until an execution is over.

    Raises:
        TimeoutError: it still runs.
    """
    execution: Any = backend().describe_execution(execution_arn)
    with _ended:
        if not _ended.wait_for(lambda: execution.status != "RUNNING", timeout_s):
            raise TimeoutError(f"execution {execution.name} still runs after {timeout_s} s")


def stop_all() -> None:
    """Tell every running execution to stop."""
    for machine in backend().state_machines:
        for execution in machine.executions:
            if execution.status == "RUNNING":
                execution.stop(None, "Stack.Stopped", "The local stack was stopped")


def join_all() -> None:
    """Wait for the threads of all executions: they end once told to stop and their functions have answered."""
    for thread in list(TMP_THREADS):
        thread.join(_JOIN_TIMEOUT_S)
    TMP_THREADS.clear()


# --- Parsing and starting ---------------------------------------------------------------------------------------------


def _parse(definition: str) -> Any:
    with _parse_lock:
        Preprocessor._query_language_per_scope.clear()  # noqa: SLF001 - a failed parse leaves its scope behind
        tree = _trees.get(definition)
        if tree is not None:
            return Preprocessor().visit(tree), tree
        program, tree = _original_parse(_INTEGRAL_PERCENTAGE.sub(r"\1.0", definition))
        if len(_trees) >= _MAX_TREES:
            _trees.clear()
        _trees[definition] = tree
        return program, tree


def _start_execution(
    self: StepFunctionsParserBackend, state_machine_arn: str, name: str | None = None, *others: Any, **named: Any
) -> Any:
    # Under a lock, since looking for an execution of that name and adding one are two steps.
    with _start_lock:
        return _original_start_execution(self, state_machine_arn, name or str(uuid.uuid4()), *others, **named)


def _terminated(self: BaseExecutionWorkerCommunication) -> None:
    _original_terminated(self)
    with _ended:
        _ended.notify_all()
    execution: Any = self.execution
    sentence = f"execution {execution.name} {execution.status}"
    if execution.error:
        sentence += f": {execution.error}"
    failures = map_failures(execution)
    if failures:
        first = failures[0]
        sentence += f" (item {first.index} of a map: {first.error}; {len(failures)} failed)"
    if _settings.on_end is not None:
        _settings.on_end(execution.state_machine.name, sentence)


def _set_error(self: Environment, error: Any) -> None:
    if not isinstance(self.program_state(), ProgramStopped):
        _original_set_error(self, error)


# --- Clients and clocks -----------------------------------------------------------------------------------------------


def _client_for(region: str, service: str, state_credentials: Any = None) -> Any:
    if _settings.aws is None:
        raise RuntimeError("no stack is running: executions do not know how to reach AWS")
    return _settings.aws.client(service)


def _retry(self: RetrierDecl, env: Environment) -> None:
    _pause.env = env
    _original_retry(self, env)


def _sleep(seconds: float) -> None:
    env: Environment = _pause.env
    if env.is_running():
        env.program_state_event.wait(seconds * _settings.wait_scale)


def _wait_interval(self: WaitFunction, env: Environment, wait_seconds: float) -> None:
    _original_wait_interval(self, env, wait_seconds * _settings.wait_scale)


_pause = threading.local()
# It warns at each parse that tolerated failures have no effect, which the patch above has cured.
logging.getLogger("moto.stepfunctions").setLevel(logging.ERROR)
for _name in ("_log_exception", "_log_failure_event_exception"):  # pages of text for what the execution's history says
    replace(EvalComponent, _name, lambda *_, **__: None)
replace(CustomErrorName, "__init__", ErrorName.__init__)

replace(json_path_module, "parse", functools.lru_cache(maxsize=1000)(vars(json_path_module)["parse"]))
_original_parse = replace(AmazonStateLanguageParser, "parse", staticmethod(_parse))
_original_terminated = replace(BaseExecutionWorkerCommunication, "terminated", _terminated)
_original_start_execution = replace(StepFunctionsParserBackend, "start_execution", _start_execution)
_original_set_error = replace(Environment, "set_error", _set_error)
_original_retry = replace(RetrierDecl, "_eval_body", _retry)
replace(retrier_module, "time", types.SimpleNamespace(sleep=_sleep))
_original_wait_interval = replace(WaitFunction, "_wait_interval", _wait_interval)
_original_client_for = boto_client_module.boto_client_for
_importers = [
    module for module in list(sys.modules.values()) if vars(module).get("boto_client_for") is _original_client_for
]
for _module in _importers:
    replace(_module, "boto_client_for", _client_for)
if len(_importers) < 4:
    raise RuntimeError(
        "moto's Step Functions make their clients elsewhere now: check the patch in tests/local/moto_stepfunctions.py"
    )
