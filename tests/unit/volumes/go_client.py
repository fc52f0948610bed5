"""How the Go clients of cloud.ca ask and read, as far as anything here depends on it.

Source: github.com/cloud-ca/go-cloudca (`api/api.go`, `api/response.go`, `services/task.go`, `services/entity.go`) and
its successor github.com/cloud-ca/gocca. Every address ends in `?`, with or without parameters. A member that is null is
a nil pointer, which they follow; an answer that is not of the 200s needs `errors`; a task needs `id`, `status` and
`created`. A change is over at once only where its answer says so; else they ask for its task until that is over.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlencode

POLLS = 50


class Asked(NamedTuple):
    """What goes over the wire."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


class Answered(NamedTuple):
    """What comes back."""

    status: int
    body: str


class PanicError(Exception):
    """The client would have died: a nil pointer was followed, or there was nothing to tell the user."""


class ClientError(Exception):
    """The error that the client's user gets: the status and the errors, in the client's types."""

    def __init__(self, status: int, errors: list[tuple[int, str, dict[str, Any]]]) -> None:
        super().__init__(status, errors)
        self.status = status
        self.errors = errors


class Read(NamedTuple):
    """An answer as the client's `NewCcaResponse` takes it apart."""

    status: int
    task_id: str
    task_status: str
    data: Any
    errors: list[tuple[int, str, dict[str, Any]]]


class GoClient:
    """The client's entity service of one environment, on top of anything that answers."""

    def __init__(self, send: Callable[[Asked], Answered], key: str, entity: str = "snapshots") -> None:
        self._send = send
        self._key = key
        self._endpoint = f"services/compute-on/test_area/{entity}"

    def get(self, identity: str) -> Any:
        return self._checked(self._do("GET", f"{self._endpoint}/{identity}")).data

    def list(self, options: dict[str, str] | None = None) -> Any:
        return self._checked(self._do("GET", self._endpoint, options)).data

    def create(self, document: object) -> Any:
        return self._over(self._checked(self._do("POST", self._endpoint, body=json.dumps(document).encode())))

    def execute(self, identity: str, operation: str, document: object = None) -> Any:
        body = b"" if document is None else json.dumps(document).encode()
        endpoint = f"{self._endpoint}/{identity}" if identity else self._endpoint
        return self._over(self._checked(self._do("POST", endpoint, {"operation": operation}, body)))

    def delete(self, identity: str) -> Any:
        return self._over(self._checked(self._do("DELETE", f"{self._endpoint}/{identity}")))

    def _over(self, answer: Read) -> Any:
        match answer.task_status.upper():
            case "SUCCESS":
                return answer.data
            case "FAILED":
                raise ClientError(answer.status, answer.errors)
            case _:
                return self._poll(answer.task_id)

    def _poll(self, task_id: str) -> Any:
        for _ in range(POLLS):
            answer = self._do("GET", f"tasks/{task_id}")
            if answer.errors:
                raise ClientError(answer.status, answer.errors)
            task = _pointers(answer.data)
            status = str(_followed(task, "status"))
            if (_followed(task, "id"), type(_followed(task, "created"))) != (task_id, str):
                raise PanicError("another task was answered")
            if status.upper() == "FAILED":
                raise ClientError(answer.status, [])
            if status.upper() != "PENDING":
                return _followed(task, "result") if "result" in task else None
        raise PanicError("the task is never over")

    def _do(self, method: str, endpoint: str, options: dict[str, str] | None = None, body: bytes = b"") -> Read:
        url = f"/v1/{endpoint.strip('/')}?{urlencode(sorted((options or {}).items()))}"
        headers = {"Mc-Api-Key": self._key, "Content-Type": "application/json"}
        return _read(self._send(Asked(method, url, headers, body)))

    @staticmethod
    def _checked(answer: Read) -> Read:
        if not 200 <= answer.status < 300:
            raise ClientError(answer.status, answer.errors)
        return answer


def _read(answered: Answered) -> Read:
    members = _pointers(json.loads(answered.body))
    for name in ("taskId", "taskStatus", "data", "metadata", "errors"):
        if name in members:
            _followed(members, name)
    if "errors" not in members and not 200 <= answered.status < 300:
        raise PanicError("no errors in the body")
    errors = [
        (_typed(one, "code", int), _typed(one, "message", str), _typed(one, "context", dict))
        for one in members.get("errors", [])
    ]
    return Read(
        answered.status,
        str(members.get("taskId", "")),
        str(members.get("taskStatus", "")),
        members.get("data"),
        errors,
    )


def _pointers(document: object) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise PanicError("an object was expected")
    return document


def _followed(members: dict[str, Any], name: str) -> Any:
    if members.get(name) is None:
        raise PanicError(f"nil pointer: {name}")
    return members[name]


def _typed[T](one: dict[str, Any], name: str, kind: type[T]) -> T:
    """What Go's decoder stores: the value if it has the type of the client's member."""
    value: object = one[name]
    if not isinstance(value, kind):
        raise PanicError(f"cannot unmarshal {name}")
    return value
