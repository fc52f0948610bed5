"""State machines of the template, whose phases answer by a script: what counts is the way that an execution takes."""

import itertools
import json
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.local import moto_lambda
from tests.local.functions import Functions, Outcome
from tests.local.spec import FunctionSpec
from tests.local.stack import LocalStack
from tests.repo.sources import definition, state_machine_files, states

INNER_STATES = {state.name for path in state_machine_files() for state in states(definition(path)) if state.parents}

type Answer = Mapping[str, Any] | Exception


@dataclass(frozen=True)
class Run:
    """What became of one execution: `path` is the states it entered, without those inside of maps."""

    status: str
    path: list[str]
    output: Any
    error: str | None
    cause: str | None


class Script:
    """Runs functions as `tests.local.functions.Runner` does, yet from a script. Phases are named by their folders.

    A phase answers with its lines one after the other, and with the last one for ever.
    """

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self.calls: dict[str, list[Any]] = defaultdict(list)
        self._answers: dict[str, list[Answer]] = {phase: [answer] for phase, answer in answers.items()}
        self._lock = threading.Lock()

    def say(self, phase: str, *answers: Answer) -> None:
        """Let the phase answer so."""
        self._answers[phase] = list(answers)

    def answer(self, phase: str) -> Answer:
        """What the phase answers now."""
        return self._answers[phase][0]

    def run(self, spec: FunctionSpec, event: bytes, request_id: str) -> Outcome:  # noqa: ARG002 - a Runner is given it
        phase = spec.code_directory.name
        payload = json.loads(event)
        with self._lock:
            self.calls[phase].append(payload)
            answers = self._answers[phase]
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            document = {"errorMessage": str(answer), "errorType": type(answer).__name__, "stackTrace": []}
            return Outcome(json.dumps(document).encode(), "Unhandled", [], 0.0)
        return Outcome(json.dumps(answer).encode(), None, [], 0.0)

    def close(self) -> None:
        """Nothing was started."""


class Machines:
    """The machines of a stack with a script in place of the functions."""

    def __init__(self, stack: LocalStack) -> None:
        self._stack = stack
        self._numbers = itertools.count(1)

    def use(self, script: Script) -> None:
        """Let this script speak from now on."""
        moto_lambda.use(Functions(self._stack.deployment.functions.values(), script, self._stack.logs))

    def put(self, key: str, content: object) -> None:
        """Store an object in the stack's bucket."""
        body = json.dumps(content).encode()
        self._stack.client("s3").put_object(Bucket=self._stack.outputs["BucketName"], Key=key, Body=body)

    def run(self, machine: str, told: Mapping[str, Any]) -> Run:
        """Run a machine, by its logical id, to its end."""
        arn = self._stack.client("stepfunctions").start_execution(
            stateMachineArn=self._stack.physical_id(machine), name=f"run-{next(self._numbers)}", input=json.dumps(told)
        )["executionArn"]
        ended = self._stack.wait_execution(arn)
        path = [state for state in self._stack.history(arn) if state not in INNER_STATES]
        return Run(ended.status, path, ended.output, ended.error, ended.cause)
