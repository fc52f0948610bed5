"""A stack in the tests' own process, whose phases can be stopped, failed and tampered with; a look behind the API."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from moto.s3.models import s3_backends

from tests.local.aws import ACCOUNT_ID
from tests.local.functions import Outcome, Runner
from tests.local.http_messages import Answer
from tests.local.keys import headers_of, ports_of, seed_key
from tests.local.spec import FunctionSpec
from tests.local.stack import LocalStack
from tests.repo.sources import definition, state_machine_files, states
from tidemark.domain.live import TenantState
from tidemark.domain.manifest import Manifest
from tidemark.domain.tenant import Tenant
from tidemark.engine import manifests
from tidemark.ports import Ports

RESTORE_MACHINE = "RestoreStateMachine"
CAPTURE_MACHINE = "CaptureStateMachine"
_INNER_STATES = {state.name for path in state_machine_files() for state in states(definition(path)) if state.parents}
_PAUSE_TIMEOUT_S = 30

type Hook = Callable[[Mapping[str, Any]], None]


class Hooked:
    """Runs functions, and before each run of a phase calls what a test wants. A phase is named by its folder."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.before: dict[str, Hook] = {}

    def run(self, spec: FunctionSpec, event: bytes, request_id: str) -> Outcome:
        """Run the function; a hook that raises makes it fail with that error."""
        hook = self.before.get(spec.code_directory.name)
        if hook is not None:
            try:
                hook(json.loads(event))
            except Exception as error:  # noqa: BLE001 - the function's failure from here on
                document = {"errorType": type(error).__name__, "errorMessage": str(error), "stackTrace": []}
                return Outcome(json.dumps(document).encode(), "Unhandled", [], 0.0)
        return self._runner.run(spec, event, request_id)

    def close(self) -> None:
        """End what the runner started."""
        self._runner.close()


class Pause:
    """Where executions wait until they are let go."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.let_go = threading.Event()

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Wait; whoever runs the test is told that it came to this."""
        del event
        self.reached.set()
        assert self.let_go.wait(_PAUSE_TIMEOUT_S), "nobody let the phase go"


class Inside:
    """A stack with hooks."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        self.hooks = Hooked(stack.functions._runner)  # noqa: SLF001 - put in its place on purpose
        stack.functions._runner = self.hooks  # noqa: SLF001
        self.ports: Ports = ports_of(stack)
        self._key = seed_key(stack)

    def caller(self, tenant: str) -> "InsideCaller":
        """May do everything in the tenant."""
        return InsideCaller(self.stack, headers_of(self._key, tenant), Tenant(tenant))

    @contextmanager
    def paused_before(self, phase: str) -> Iterator[Pause]:
        """The first run of a phase, and all others, wait until the block ends, or they are let go in it."""
        pause = Pause()
        with self.hooked(phase, pause):
            try:
                yield pause
            finally:
                pause.let_go.set()

    @contextmanager
    def hooked(self, phase: str, hook: Hook) -> Iterator[None]:
        """Call this before each run of a phase."""
        self.hooks.before[phase] = hook
        try:
            yield
        finally:
            del self.hooks.before[phase]

    # --- behind the API -----------------------------------------------------------------------------------------------

    def path(self, machine: str, tenant: Tenant, subject: str) -> list[str]:
        """The states that the execution about a snapshot or restore entered, once it has ended."""
        executions = self.stack.executions(machine)
        found = [one for one in executions if one.input["tenant"] == tenant and subject in one.input.values()]
        assert len(found) == 1, [(one.name, one.status) for one in found]
        self.stack.wait_execution(found[0].arn)
        return [state for state in self.stack.history(found[0].arn) if state not in _INNER_STATES]

    def state(self, tenant: Tenant) -> TenantState:
        """The record of the tenant's live data."""
        state = self.ports.table.load(tenant).state
        assert state is not None
        return state

    def rows(self, tenant: Tenant, generation: int) -> list[dict[str, Any]]:
        """Everything of a generation in the table of entities."""
        pages = self.stack.client("dynamodb").get_paginator("scan").paginate(TableName=self.entities_table)
        prefix = f"{tenant}#{generation}#"
        return [row for page in pages for row in page["Items"] if row["pk"]["S"].startswith(prefix)]

    @property
    def entities_table(self) -> str:
        """The table of entities."""
        return self.stack.outputs["EntitiesTableName"]

    @property
    def bucket(self) -> str:
        """The bucket of packs and manifests."""
        return self.stack.outputs["BucketName"]

    def manifest(self, tenant: Tenant, snapshot_id: str) -> Manifest:
        """A snapshot's manifest."""
        reference = self.ports.catalog.snapshot(tenant, snapshot_id).manifest
        assert reference is not None
        return manifests.read(self.ports.payloads, reference)

    def damage(self, key: str) -> None:
        """Replace an object by one of the same length in which a bit in the middle differs."""
        body = bytearray(self.stack.client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read())
        body[len(body) // 2] ^= 1
        self.stack.client("s3").put_object(Bucket=self.bucket, Key=key, Body=bytes(body), ChecksumAlgorithm="SHA256")

    def rot(self, key: str) -> None:
        """Change a bit of an object behind S3's back, so that S3 still reports the checksum of what was stored."""
        stored: Any = s3_backends[ACCOUNT_ID]["aws"].get_object(self.bucket, key)
        assert stored is not None
        checksum, etag = stored.checksum_value, stored.etag
        body = bytearray(stored.value)
        body[len(body) // 2] ^= 1
        stored.value = bytes(body)
        assert (stored.checksum_value, stored.etag) == (checksum, etag)

    def remove(self, key: str) -> None:
        """Delete an object."""
        self.stack.client("s3").delete_object(Bucket=self.bucket, Key=key)


class InsideCaller(NamedTuple):
    """Sends requests for one tenant, as `tests.e2e.served.Caller` does over sockets."""

    stack: LocalStack
    headers: Mapping[str, str]
    tenant: Tenant

    def __call__(self, method: str, path: str, document: Any = None) -> Answer:
        """Send a request with a JSON document, where there is one."""
        return self.stack.http(method, path, self.headers, b"" if document is None else document)
