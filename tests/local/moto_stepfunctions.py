"""Makes moto's Step Functions interpreter do what the state machines here need.

What is wrong with the original (5.2.5), and what is done:

- Two definitions parsed at once corrupt each other (state is kept in the class): one lock, and a clean start for
  each.
- A failed item of a Distributed Map counts as a success with null: here the Map fails at once with
  States.ExceedToleratedFailureThreshold, its other items are aborted, and `map_failures` tells which item failed and
  why.
- One worker recurses once an item, so a long Map with little concurrency dies of recursion and hangs: here it loops.
- A list that cannot be read from S3 is States.Runtime: here it is States.ItemReaderFailed, as on AWS.
- A Fail state cannot hand on an error whose name begins with "States.": here it can.
- Its grammar wants a fraction for ToleratedFailurePercentage, where AWS takes 0 too.
- Each call makes a new boto3 client, which takes longer than the call: here they are kept.
- The pause before a retry cannot be interrupted; here it ends when the execution does. Pauses and waits can be
  scaled.
"""

import logging
import re
import sys
import threading
import types
import uuid
from dataclasses import dataclass
from typing import Any

import moto.stepfunctions.parser.asl.component.common.retry.retrier_decl as retrier_module
import moto.stepfunctions.parser.asl.utils.boto_client as boto_client_module
from moto.stepfunctions.parser.api import ExecutionFailedEventDetails, HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.error_name import ErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.common.retry.retrier_decl import RetrierDecl
from moto.stepfunctions.parser.asl.component.eval_component import EvalComponent
from moto.stepfunctions.parser.asl.component.state.exec.state_map.item_reader.item_reader_decl import ItemReader
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration import distributed_iteration_component
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.itemprocessor import (
    distributed_item_processor_worker,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.job import Job, JobPool
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import WaitFunction
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.eval.program_state import ProgramError, ProgramStopped
from moto.stepfunctions.parser.asl.eval.states import ItemData, MapData
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.parse.preprocessor import Preprocessor
from moto.stepfunctions.parser.models import StepFunctionsParserBackend, stepfunctions_parser_backends
from moto.stepfunctions.parser.utils import TMP_THREADS

from tests.local.aws import ACCOUNT_ID, REGION, Aws
from tests.local.patching import replace

_INTEGRAL_PERCENTAGE = re.compile(r'("ToleratedFailurePercentage"\s*:\s*\d+)(?![\d.])')
_MAX_MAP_WORKERS = 40
_JOIN_TIMEOUT_S = 10


@dataclass(frozen=True)
class MapFailure:
    """An item of a Distributed Map that failed: its place in the list, its input, and the error."""

    index: int
    item: Any
    error: str
    cause: str


@dataclass
class _Settings:
    aws: Aws | None = None
    wait_scale: float = 1.0


_settings = _Settings()
_parse_lock = threading.RLock()
_start_lock = threading.RLock()


def use(aws: Aws | None, *, wait_scale: float = 1.0) -> None:
    """Say how executions reach AWS, and by what to multiply every Wait and every pause before a retry."""
    _settings.aws, _settings.wait_scale = aws, wait_scale


def backend() -> StepFunctionsParserBackend:
    """The running Step Functions of the stack's account and region."""
    return stepfunctions_parser_backends[ACCOUNT_ID][REGION]


def map_failures(execution_arn: str) -> list[MapFailure]:
    """The failed items of every Distributed Map that an execution ran."""
    execution: Any = backend().describe_execution(execution_arn)
    records = execution.exec_worker.env.map_run_record_pool_manager.get_all()
    return [failure for record in records for failure in getattr(record, "failures", [])]


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
        return _original_parse(_INTEGRAL_PERCENTAGE.sub(r"\1.0", definition))


def _start_execution(
    self: StepFunctionsParserBackend, state_machine_arn: str, name: str | None = None, *others: Any, **named: Any
) -> Any:
    # Under a lock, since looking for an execution of that name and adding one are two steps.
    with _start_lock:
        return _original_start_execution(self, state_machine_arn, name or str(uuid.uuid4()), *others, **named)


# --- Distributed Map --------------------------------------------------------------------------------------------------


def _map_run(self: Any, env: Environment, eval_input: Any) -> None:
    items: list[Any] = env.stack.pop()
    record: Any = eval_input.map_run_record
    record.failures = []
    record.items = len(items)
    pool = JobPool(job_program=self._get_iteration_program(), job_inputs=items)
    for _ in range(min(len(items), record.max_concurrency or _MAX_MAP_WORKERS, _MAX_MAP_WORKERS)):
        self._launch_worker(env=env, eval_input=eval_input, job_pool=pool)
    pool.await_jobs()
    error = pool.get_worker_exception()
    if error is not None:
        for frame in list(env._frames):  # noqa: SLF001 - AWS aborts the items that still run
            frame.set_stop(None, None, None)  # type: ignore[arg-type]
        raise error
    env.stack.append([job.job_output for job in pool.get_closed_jobs()])


def _eval_job(self: Any, env: Environment, job: Job) -> None:
    record: Any = self._map_run_record
    counters = (record.item_counter, record.execution_counter)
    for counter in counters:
        counter.total.count()
        counter.running.count()
    env.states.context_object.context_object_data["Map"] = MapData(
        Item=ItemData(Index=job.job_index, Value=job.job_input)
    )
    outcome = "failed"
    try:
        env.states.reset(job.job_input)
        env.stack.append(env.states.get_input())
        self._eval_input(env_frame=env)
        item = env.states.get_input()
        job.job_program.eval(env)
        match env.program_state():
            case ProgramError(error=details):
                known: Any = details or {}
                failure = MapFailure(job.job_index, item, known.get("error") or "", known.get("cause") or "")
                _item_failed(env, record, job, failure)
            case ProgramStopped():
                outcome = "aborted"
            case _:
                outcome = "succeeded"
                job.job_output = env.states.get_input()
    except Exception as error:  # noqa: BLE001 - whatever an item dies of is that item's failure
        _item_failed(env, record, job, MapFailure(job.job_index, job.job_input, type(error).__name__, str(error)))
    finally:
        for counter in counters:
            counter.running.offset(-1)
            getattr(counter, outcome).count()
            if outcome == "succeeded":
                counter.results_written.count()


def _item_failed(env: Environment, record: Any, job: Job, failure: MapFailure) -> None:
    """Note the failure and, once there are more of them than the Map tolerates, fail the Map."""
    record.failures.append(failure)
    failed, count, percentage = (
        len(record.failures),
        record.tolerated_failure_count,
        record.tolerated_failure_percentage,
    )
    over_count = failed > (count or 0)
    over_percentage = failed * 100.0 / record.items > (percentage or 0)
    exceeded = over_count and over_percentage if not (count and percentage) else over_count or over_percentage
    if exceeded:
        job.job_output = _failure(
            env,
            StatesErrorNameType.StatesExceedToleratedFailureThreshold,
            "The specified tolerated failure threshold was exceeded",
        )


def _read_items(self: ItemReader, env: Environment) -> None:
    try:
        _original_read_items(self, env)
    except FailureEventException:
        raise
    except Exception as error:
        raise _failure(env, StatesErrorNameType.StatesItemReaderFailed, str(error)) from error


def _failure(env: Environment, kind: StatesErrorNameType, cause: str) -> FailureEventException:
    details = ExecutionFailedEventDetails(error=kind.to_name(), cause=cause)
    return FailureEventException(
        FailureEvent(
            env=env,
            error_name=StatesErrorName(typ=kind),
            event_type=HistoryEventType.TaskFailed,
            event_details=EventDetails(executionFailedEventDetails=details),  # type: ignore[typeddict-item]
        )
    )


def _eval_pool(self: Any, job: Job | None, worker_frame: Environment) -> None:
    while job is not None:
        frame = worker_frame.open_inner_frame()
        self._eval_job(env=frame, job=job)
        worker_frame.delete_frame(frame)
        ends = isinstance(job.job_output, Exception) or self.stopped()
        following = None if ends else self._job_pool.next_job()
        if following is None:
            # Before the job is closed: the Map waits for its jobs, not for its workers.
            self._env.delete_frame(worker_frame)
        self._job_pool.close_job(job)
        job = following


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
_original_read_items = replace(ItemReader, "_eval_body", _read_items)

_original_parse = replace(AmazonStateLanguageParser, "parse", staticmethod(_parse))
_original_start_execution = replace(StepFunctionsParserBackend, "start_execution", _start_execution)
replace(distributed_iteration_component.DistributedIterationComponent, "_map_run", _map_run)
replace(distributed_item_processor_worker.DistributedItemProcessorWorker, "_eval_job", _eval_job)
replace(distributed_item_processor_worker.DistributedItemProcessorWorker, "_eval_pool", _eval_pool)
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
