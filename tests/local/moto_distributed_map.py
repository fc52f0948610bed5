"""Makes moto's Distributed Map fail when an item fails, and finish when there are many items.

What is wrong with the original (5.2.5), and what is done:

- A failed item counts as a success with null: here the Map fails at once with States.ExceedToleratedFailureThreshold,
  its other items are aborted, and `map_failures` tells which item failed and why, which the Map's own error does not.
- One worker recurses once an item, so a long Map with little concurrency dies of recursion and hangs: here it loops.
- A list that cannot be read from S3 is States.Runtime: here it is States.ItemReaderFailed, as on AWS.
"""

from dataclasses import dataclass
from typing import Any

from moto.stepfunctions.parser.api import ExecutionFailedEventDetails, HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.state.exec.state_map.item_reader.item_reader_decl import ItemReader
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration import distributed_iteration_component
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.itemprocessor import (
    distributed_item_processor_worker,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.job import Job, JobPool
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.eval.program_state import ProgramError, ProgramStopped
from moto.stepfunctions.parser.asl.eval.states import ItemData, MapData

from tests.local.patching import replace

_MAX_MAP_WORKERS = 40


@dataclass(frozen=True)
class MapFailure:
    """An item of a Distributed Map that failed: its place in the list, its input, and the error."""

    index: int
    item: Any
    error: str
    cause: str


def map_failures(execution: Any) -> list[MapFailure]:
    """The failed items of every Distributed Map that an execution (moto's object) has run so far."""
    env = execution.exec_worker.env
    records = [] if env is None else env.map_run_record_pool_manager.get_all()
    return [failure for record in records for failure in getattr(record, "failures", [])]


def _map_run(self: Any, env: Environment, eval_input: Any) -> None:
    items: list[Any] = env.stack.pop()
    record: Any = eval_input.map_run_record
    record.failures, record.has_failed = [], False
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
    if record.has_failed:
        return  # aborted, which ends in some error or other
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
        record.has_failed = True
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


replace(distributed_iteration_component.DistributedIterationComponent, "_map_run", _map_run)
replace(distributed_item_processor_worker.DistributedItemProcessorWorker, "_eval_job", _eval_job)
replace(distributed_item_processor_worker.DistributedItemProcessorWorker, "_eval_pool", _eval_pool)
_original_read_items = replace(ItemReader, "_eval_body", _read_items)
