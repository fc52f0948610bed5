"""What a Go client of cloud.ca gets from the dialect's parts, put together as functions will: requests in, answers
out, with nothing in between but records in memory.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.unit.volumes.examples import (
    FAILURE,
    IMAGE,
    SNAPSHOT_ID,
    TASK_ID,
    TEN_O_CLOCK,
    TEST_AREA,
    VOLUME_ID,
    snapshot,
    task,
    volume,
)
from tests.unit.volumes.go_client import Answered, Asked, ClientError, GoClient
from tidemark.dialects.cloudca import answers, requests, routes
from tidemark.dialects.cloudca.errors import render
from tidemark.dialects.cloudca.requests import RestoreWanted
from tidemark.dialects.wire import Request, Response
from tidemark.domain.snapshot import Failure
from tidemark.domain.task import Operation, Task, TaskStatus
from tidemark.domain.tenant import DEFAULT_TENANT
from tidemark.domain.volume import Volume, VolumeSnapshot, VolumeSnapshotState
from tidemark.domain.volume_names import default_name
from tidemark.errors import (
    EnvironmentNotFound,
    NameTaken,
    TaskNotFound,
    Unauthorized,
    VolumeBusy,
    VolumeNotFound,
    VolumeSnapshotNotFound,
)

LATER = TEN_O_CLOCK + timedelta(minutes=5)
KEY = "tm_key"


@dataclass
class World:
    """Records in memory, in which a task is over once it was asked for `polls` times."""

    volumes: list[Volume] = field(default_factory=lambda: [volume()])
    snapshots: dict[str, VolumeSnapshot] = field(default_factory=dict)
    task: Task | None = None
    failure: Failure | None = None
    polls: int = 2
    asked: list[Asked] = field(default_factory=list)

    def answer(self, asked: Asked) -> Answered:
        self.asked.append(asked)
        try:
            response = self._answer(asked)
        except Exception as error:  # noqa: BLE001 - the edge, as in the product
            response = render(error, "correlation-1")
        return Answered(response.status, response.body)

    def _answer(self, asked: Asked) -> Response:
        parts = urlsplit(asked.url)
        headers = {name.lower(): value for name, value in asked.headers.items()}
        if headers["mc-api-key"] != KEY:
            raise Unauthorized("the API key is missing, unknown or expired")
        route = _matched(parts.path)
        if asked.method not in routes.METHODS.get(route, ()):
            raise routes.refusal(asked.method, route)
        query = dict(parse_qsl(parts.query))
        request = Request(asked.method, route, parts.path, DEFAULT_TENANT, "correlation-1", headers, query, asked.body)
        if routes.of_environment(route) and requests.environment_in(request) != TEST_AREA:
            raise EnvironmentNotFound("no such environment")
        served: dict[tuple[str, str], Callable[[Request], Response]] = {
            ("GET", routes.SNAPSHOTS): self._list,
            ("POST", routes.SNAPSHOTS): self._create,
            ("GET", routes.SNAPSHOT): lambda request: answers.one_snapshot(self._snapshot(request)),
            ("DELETE", routes.SNAPSHOT): self._delete,
            ("POST", routes.SNAPSHOT): self._operate,
            ("GET", routes.VOLUMES): lambda _: answers.volume_list(self.volumes),
            ("GET", routes.VOLUME): lambda request: answers.one_volume(self._volume(requests.volume_in(request))),
            ("GET", routes.TASK): self._poll,
        }
        return served[asked.method, route](request)

    def _list(self, request: Request) -> Response:
        wanted = requests.volume_filter(request)
        return answers.snapshot_list(one for one in self.snapshots.values() if wanted in {None, one.volume_id})

    def _delete(self, request: Request) -> Response:
        requests.check_bare(request)
        del self.snapshots[self._snapshot(request).deleting().id]
        return self._begun(Operation.DELETE)

    def _operate(self, request: Request) -> Response:
        restored = isinstance(requests.operation_wanted(request), RestoreWanted)
        self._snapshot(request).check_stored()
        return self._begun(Operation.RESTORE if restored else Operation.CREATE_TEMPLATE)

    def _create(self, request: Request) -> Response:
        wanted = requests.create_wanted(request)
        source = self._volume(wanted.volume_id)
        source.check_ready()
        name = wanted.name or default_name(source, TEN_O_CLOCK)
        for one in self.snapshots.values():
            if one.running:
                raise VolumeBusy("a snapshot is being made", volume_id=source.id, snapshot_id=one.id)
            if one.name == name:
                raise NameTaken(f"the name {name} is taken", snapshot_id=one.id)
        self.snapshots[SNAPSHOT_ID] = snapshot(name=name, keeps_source=wanted.rapid)
        return self._begun(Operation.CREATE)

    def _begun(self, operation: Operation) -> Response:
        self.task = task(operation)
        return answers.accepted(self.task)

    def _poll(self, request: Request) -> Response:
        task_id = requests.task_in(request)
        if self.task is None or self.task.id != task_id:
            raise TaskNotFound(f"no task {task_id}")
        if self.polls:
            self.polls -= 1
            return answers.one_task(self.task)
        made: VolumeSnapshot | Volume | None = None
        if self.failure:
            return answers.one_task(self.task.failed(self.failure, LATER))
        match self.task.operation:
            case Operation.CREATE:
                made = self.snapshots[SNAPSHOT_ID].creating().cut("snap-1").storing().stored(IMAGE)
                self.snapshots[SNAPSHOT_ID] = made
            case Operation.RESTORE:
                made = volume()
            case _:
                pass
        image = "ami-0abcdef1234567890" if self.task.operation is Operation.CREATE_TEMPLATE else None
        return answers.one_task(self.task.succeeded(LATER, image), made)

    def _volume(self, identity: str) -> Volume:
        for one in self.volumes:
            if one.id == identity:
                return one
        raise VolumeNotFound(f"no volume {identity}")

    def _snapshot(self, request: Request) -> VolumeSnapshot:
        identity = requests.snapshot_in(request)
        if identity not in self.snapshots:
            raise VolumeSnapshotNotFound(f"no snapshot {identity}")
        return self.snapshots[identity]


def _matched(path: str) -> str:
    """The template of a path, as the gateway finds it: with or without a slash at the end."""
    segments = path.rstrip("/").split("/")
    for route in routes.METHODS:
        parts = route.split("/")
        if len(parts) == len(segments) and all(
            part.startswith("{") or part == segment for part, segment in zip(parts, segments, strict=True)
        ):
            return route
    return path


def stored_world(**fields: object) -> World:
    world = World(**fields)  # type: ignore[arg-type] # whichever of them a test changes
    world.snapshots[SNAPSHOT_ID] = snapshot(state=VolumeSnapshotState.STORED, image=IMAGE)
    return world


def client(world: World, entity: str = "snapshots", key: str = KEY) -> GoClient:
    return GoClient(world.answer, key, entity)


def test_every_address_ends_in_a_question_mark_and_is_served() -> None:
    world = stored_world()
    client(world).list()
    client(world).get(SNAPSHOT_ID)
    client(world, "volumes").list()
    client(world, "volumes").get(VOLUME_ID)
    assert [one.url[-1] for one in world.asked] == ["?"] * 4


@pytest.mark.parametrize("created", ["create", "execute"])
def test_snapshot_that_is_created_is_there_when_the_client_comes_back(created: str) -> None:
    world = World()
    document = {"volumeId": VOLUME_ID}
    made = client(world).create(document) if created == "create" else client(world).execute("", "create", document)
    assert (made["id"], made["state"]) == (SNAPSHOT_ID, "BackedUp")
    assert made["name"] == "i-douglas-ADM_ROOT-35545_20161116211009"
    assert [one.url for one in world.asked[1:]] == [f"/v1/tasks/{TASK_ID}?"] * 3
    assert client(world).get(SNAPSHOT_ID) == made
    assert client(world).list({"volume_id": VOLUME_ID}) == [made]
    assert client(world).list({"volume_id": SNAPSHOT_ID}) == []


def test_failed_task_tells_the_client_why() -> None:
    world = World(failure=FAILURE)
    with pytest.raises(ClientError) as failed:
        client(world).create({"volumeId": VOLUME_ID})
    assert failed.value.errors == [(500, FAILURE.message, {"failure": "PackCorrupt"})]


def test_deletion_has_no_result_and_ends() -> None:
    world = stored_world()
    assert client(world).delete(SNAPSHOT_ID) is None
    with pytest.raises(ClientError) as gone:
        client(world).get(SNAPSHOT_ID)
    assert gone.value.status == 404


@pytest.mark.parametrize(("operation", "made"), [("restore", VOLUME_ID), ("createTemplate", "ami-0abcdef1234567890")])
def test_operation_gives_what_it_made(operation: str, made: str) -> None:
    assert client(stored_world()).execute(SNAPSHOT_ID, operation)["id"] == made


def test_restore_of_a_snapshot_that_is_not_stored_is_refused_and_nothing_is_begun() -> None:
    world = World()
    world.snapshots[SNAPSHOT_ID] = snapshot().creating()
    with pytest.raises(ClientError) as refused:
        client(world).execute(SNAPSHOT_ID, "restore")
    ((code, message, context),) = refused.value.errors
    assert (refused.value.status, code, context["currentState"]) == (400, 2012, "Creating")
    assert "BackedUp" in message
    assert world.task is None


def test_bad_input_is_told_with_status_and_code_and_nothing_is_begun() -> None:
    world = stored_world()
    busy = World(snapshots={SNAPSHOT_ID: snapshot()})
    deleting = World(volumes=[replace(volume(), state=volume().state.DELETING)])
    taken = {"volumeId": VOLUME_ID, "name": snapshot().name}
    refused = []
    for where, document in (
        (world, {"volumeId": SNAPSHOT_ID}),
        (world, {"volumeId": "vol-1"}),
        (world, taken),
        (busy, {"volumeId": VOLUME_ID}),
        (deleting, {"volumeId": VOLUME_ID}),
    ):
        with pytest.raises(ClientError) as error:
            client(where).create(document)
        refused.append((error.value.status, error.value.errors[0][0]))
        assert where.task is None
    assert refused == [(404, 404), (400, 400), (400, 2010), (400, 2011), (400, 2012)]


def test_bad_key_and_wrong_method_and_path_are_told() -> None:
    told = []
    for world, entity, key, method in (
        (World(), "snapshots", "tm_other", "GET"),
        (World(), "instances", KEY, "GET"),
        (World(), "volumes", KEY, "POST"),
    ):
        asking = client(world, entity, key)
        with pytest.raises(ClientError) as error:
            asking.list() if method == "GET" else asking.create({})
        told.append(error.value.status)
    assert told == [403, 404, 405]


def test_task_of_which_nothing_is_known_is_not_found() -> None:
    answered = World().answer(Asked("GET", f"/v1/tasks/{TASK_ID}?", {"Mc-Api-Key": KEY}, b""))
    assert answered.status == 404


def test_pending_task_is_one_that_clients_go_on_asking_for() -> None:
    world = World(polls=5)
    client(world).create({"volumeId": VOLUME_ID})
    assert len(world.asked) == 1 + 5 + 1
    assert world.task is not None
    assert world.task.status is TaskStatus.PENDING
