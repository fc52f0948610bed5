"""Requests with an `Idempotency-Key`: sent again, they are answered again and not obeyed again."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from functions.ngsi.copy_snapshot import handler as copy_snapshot
from functions.ngsi.create_snapshot import handler as create_snapshot
from functions.ngsi.delete_snapshot import handler as delete_snapshot
from functions.ngsi.open_import import handler as open_import
from functions.ngsi.restore_snapshot import handler as restore_snapshot
from tests.fakes import ManualClock, MemoryCatalog, MemoryLinks, MemoryWorkflows
from tests.fakes.links import LinkExpired
from tests.handlers.phases import write
from tests.handlers.rest import Answer, assert_error, call, request
from tidemark import bootstrap
from tidemark.domain.asked import Asked
from tidemark.domain.snapshot import Snapshot
from tidemark.domain.tenant import Tenant
from tidemark.errors import AwsFailure, RequestInProgress
from tidemark.ports import Ports

SMARTCITY = Tenant("smartcity")
HARBOUR = Tenant("harbour")
STAGING = Tenant("staging")
FILES = {"files": [{"name": "a", "sizeBytes": 3}, {"name": "b", "sizeBytes": 4}]}
DAY_S = 24 * 3600


def create(key: str | None, body: object = None, tenant: str = SMARTCITY) -> Answer:
    headers = {} if key is None else {"Idempotency-Key": key}
    event = request("ngsi", "create_snapshot", body=body or {"description": "d"}, headers=headers, tenant=tenant)
    return call(create_snapshot.handler, event)


def restore(key: str, snapshot_id: str, body: object = None, held: str = SMARTCITY) -> Answer:
    path = f"/v2/snapshots/{snapshot_id}/restore"
    event = request("ngsi", "restore_snapshot", body=body, headers={"Idempotency-Key": key}, path=path)
    event["requestContext"]["authorizer"]["tenants"] = held
    return call(restore_snapshot.handler, event)


def copy(key: str, snapshot_id: str, body: object = None, tenant: str = SMARTCITY, held: str = "*") -> Answer:
    path = f"/v2/snapshots/{snapshot_id}/copy"
    headers = {"Idempotency-Key": key}
    event = request(
        "ngsi", "copy_snapshot", body=body or {"service": STAGING}, headers=headers, path=path, tenant=tenant
    )
    event["requestContext"]["authorizer"]["tenants"] = held
    return call(copy_snapshot.handler, event)


def import_(key: str, body: object = None, **query: str) -> Answer:
    event = request("ngsi", "open_import", body=body or FILES, headers={"Idempotency-Key": key}, query=query)
    return call(open_import.handler, event)


def snapshots_of(ports: Ports, tenant: Tenant = SMARTCITY) -> list[Snapshot]:
    return list(ports.catalog.snapshots(tenant))


def pass_s(ports: Ports, seconds: float) -> None:
    assert isinstance(ports.clock, ManualClock)
    ports.clock.advance(seconds)


@pytest.fixture(autouse=True)
def entities(ports: Ports) -> None:
    write(ports, 1, 2, 3)


def test_create_answers_the_same_when_it_is_sent_again(ports: Ports) -> None:
    first = create("K")
    pass_s(ports, DAY_S - 10)
    write(ports, 4)
    again = create("K")
    assert first.status == 201
    assert again == first
    assert len(snapshots_of(ports)) == 1


def test_create_makes_two_when_the_keys_are_two_or_none(ports: Ports) -> None:
    ids = {create(key).json["id"] for key in ("K", "L", None, None)}
    assert len(ids) == len(snapshots_of(ports)) == 4


def test_create_is_a_conflict_when_the_key_was_used_for_another_body(ports: Ports) -> None:
    create("K")
    assert_error(create("K", {"description": "other"}), 409, "Conflict", "another request was made with this key")
    assert len(snapshots_of(ports)) == 1


def test_key_belongs_to_a_tenant(ports: Ports) -> None:
    assert create("K", tenant="harbour").status == 201
    assert create("K", {"description": "other"}).status == 201
    assert (len(snapshots_of(ports)), len(snapshots_of(ports, HARBOUR))) == (1, 1)


def test_key_belongs_to_a_route(ports: Ports) -> None:
    made = create("K").json["id"]
    answer = restore("K", made)
    assert (answer.status, answer.json["id"]) == (202, made)


def test_key_can_be_used_again_after_a_day(ports: Ports) -> None:
    first = create("K").json["id"]
    pass_s(ports, DAY_S + 10)
    second = create("K", {"description": "other"})
    assert second.status == 201
    assert [one.id for one in snapshots_of(ports)] == [second.json["id"], first]


def test_request_can_be_sent_again_when_it_was_refused(ports: Ports) -> None:
    assert_error(create("K", {"description": 7}), 400, "BadRequest")
    assert create("K").status == 201
    assert len(snapshots_of(ports)) == 1


@pytest.mark.parametrize("route", ["create", "copy", "import"])
def test_second_of_two_at_once_is_told_to_ask_again_and_then_answered_as_the_first(ports: Ports, route: str) -> None:
    made = create(None).json["id"]
    before = len(snapshots_of(ports)) + len(snapshots_of(ports, STAGING))
    routes: dict[str, Callable[[], Answer]] = {
        "create": lambda: create("K"),
        "copy": lambda: copy("K", made),
        "import": lambda: import_("K"),
    }
    ask = routes[route]
    within: list[Answer] = []

    class Overtaken(MemoryCatalog):
        """Sends the same again while the first is being served."""

        def add_snapshot(self, snapshot: Snapshot) -> Snapshot:
            if not within:
                within.append(ask())
            return ports.catalog.add_snapshot(snapshot)

        def __getattribute__(self, name: str) -> Any:
            own = name in {"add_snapshot", "__class__"}
            return object.__getattribute__(self, name) if own else getattr(ports.catalog, name)

    with bootstrap.use(replace(ports, catalog=Overtaken())):
        first = ask()
    assert_error(within[0], 409, "Conflict", "being served")
    assert within[0].headers["Retry-After"] == "2"
    assert ask().json["id"] == first.json["id"]
    assert len(snapshots_of(ports)) + len(snapshots_of(ports, STAGING)) == before + 1


def test_request_is_a_conflict_with_a_word_on_when_to_ask_while_it_is_being_served(ports: Ports) -> None:
    class Busy:
        def once(self, *_: Any) -> dict[str, Any]:
            raise RequestInProgress("the request with this key is being served; ask again in a moment")

    with bootstrap.use(replace(ports, repeats=Busy())):
        answer = create("K")
        assert create(None).status == 201
    assert_error(answer, 409, "Conflict", "being served")
    assert answer.headers["Retry-After"] == "2"


@pytest.mark.parametrize("key", ["", "x" * 256, "ä", "a\tb", "a\x7f", "🌊"])
def test_request_is_refused_when_its_key_is_none(ports: Ports, key: str) -> None:
    assert_error(create(key), 400, "BadRequest", "Idempotency-Key must have 1 to 255 printable ASCII characters")
    assert snapshots_of(ports) == []


@pytest.mark.parametrize("key", ["x", "x" * 255, '"8e03978e-40d5-43dd-bc93-6894a57f9324"', "a b~!"])
def test_key_may_be_any_printable_ascii(ports: Ports, key: str) -> None:
    assert create(key) == create(key)
    assert len(snapshots_of(ports)) == 1


def test_restore_answers_the_same_when_it_is_sent_again(ports: Ports) -> None:
    made = create(None).json["id"]
    first = restore("K", made)
    pass_s(ports, 3600)
    assert first.status == 202
    assert restore("K", made) == first
    assert_error(restore("K", made, {"safetySnapshot": False}), 409, "Conflict", "another request")
    assert len(list(ports.catalog.restores(SMARTCITY))) == 1


def test_restore_is_a_conflict_when_the_key_was_used_for_another_snapshot(ports: Ports) -> None:
    one, two = create(None).json["id"], create(None).json["id"]
    restore("K", one)
    assert_error(restore("K", two), 409, "Conflict", "another request was made with this key")


def test_restore_answers_the_same_even_if_its_snapshot_is_gone(ports: Ports) -> None:
    made = create(None).json["id"]
    first = restore("K", made)
    record = ports.catalog.snapshot(SMARTCITY, made)
    ports.catalog.replace_snapshot(replace(record, used_by=frozenset()))
    deleted = call(delete_snapshot.handler, request("ngsi", "delete_snapshot", path=f"/v2/snapshots/{made}"))
    assert deleted.status == 204
    assert restore("K", made) == first


def test_copy_answers_the_same_when_it_is_sent_again(ports: Ports) -> None:
    made = create(None).json["id"]
    first = copy("K", made)
    pass_s(ports, 3600)
    assert first.status == 202
    assert copy("K", made) == first
    assert [one.id for one in snapshots_of(ports, STAGING)] == [first.json["id"]]
    assert isinstance(ports.workflows, MemoryWorkflows)
    assert len(ports.workflows.started) == 1


@pytest.mark.parametrize("other", [{"service": HARBOUR}, {"service": STAGING, "description": "other"}])
def test_copy_is_a_conflict_when_the_key_was_used_for_another_body(ports: Ports, other: object) -> None:
    made = create(None).json["id"]
    copy("K", made)
    assert_error(copy("K", made, other), 409, "Conflict", "another request was made with this key")
    assert (len(snapshots_of(ports, STAGING)), len(snapshots_of(ports, HARBOUR))) == (1, 0)


def test_copy_is_a_conflict_when_the_key_was_used_for_another_snapshot(ports: Ports) -> None:
    one, two = create(None).json["id"], create(None).json["id"]
    copy("K", one)
    assert_error(copy("K", two), 409, "Conflict", "another request was made with this key")


def test_copies_from_two_tenants_into_one_are_two_though_key_snapshot_and_body_are_the_same(ports: Ports) -> None:
    one = create(None).json["id"]
    two = create(None, tenant=HARBOUR).json["id"]
    assert one == two
    ids = {copy("K", one, tenant=tenant).json["id"] for tenant in (SMARTCITY, HARBOUR)}
    assert len(ids) == len(snapshots_of(ports, STAGING)) == 2


def test_copy_is_not_answered_again_to_a_key_that_has_lost_the_tenant_it_went_to(ports: Ports) -> None:
    made = create(None).json["id"]
    first = copy("K", made)
    assert_error(copy("K", made, held=SMARTCITY), 403, "Forbidden", "'staging'")
    assert copy("K", made) == first


@pytest.mark.parametrize("by_plan", [False, True], ids=["by its body", "by a plan"])
def test_restore_is_not_answered_again_to_a_key_that_has_lost_the_tenant_it_went_to(
    ports: Ports, by_plan: bool
) -> None:
    made = create(None).json["id"]
    body: dict[str, object] = {"target": {"service": STAGING}}
    if by_plan:
        body = {"plan": restore("D", made, {**body, "dryRun": True}, held="*").json["plan"]}
    first = restore("K", made, body, held="*")
    assert first.status == 202
    assert_error(restore("K", made, body), 403, "Forbidden", "'staging'")
    assert restore("K", made, body, held="*") == first


def test_dry_run_answers_the_same_plan_when_it_is_sent_again(ports: Ports) -> None:
    made = create(None).json["id"]
    first = restore("K", made, {"dryRun": True})
    write(ports, 4)
    assert restore("K", made, {"dryRun": True}) == first
    assert restore("L", made, {"dryRun": True}).json["changes"] != first.json["changes"]


def test_copy_can_be_asked_again_when_it_was_refused(ports: Ports) -> None:
    missing = "snapshot_2020-01-01T00-00-00Z"
    assert_error(copy("K", missing), 404, "NotFound")
    assert copy("K", create(None).json["id"]).status == 202


def test_import_is_opened_once_and_each_answer_has_addresses_that_are_good_for_its_own_time(ports: Ports) -> None:
    links = ports.links
    assert isinstance(links, MemoryLinks)
    first = import_("K", expiresIn="60")
    pass_s(ports, 61)
    again = import_("K", expiresIn="120")
    told = [{name: value for name, value in one.json.items() if name != "expiresAt"} for one in (first, again)]
    for one in told:
        one["files"] = [{**file, "urls": len(file["urls"])} for file in one["files"]]
    assert told[0] == told[1]
    assert (first.status, first.headers["Location"]) == (again.status, again.headers["Location"])
    assert (first.json["expiresAt"], again.json["expiresAt"]) == (
        "2026-01-15T10:01:00.000Z",
        "2026-01-15T10:03:01.000Z",
    )
    with pytest.raises(LinkExpired):
        links.send(first.json["files"][0]["urls"][0], b"abc")
    links.send(again.json["files"][0]["urls"][0], b"abc")
    assert len(snapshots_of(ports)) == 1


def test_import_that_was_deleted_is_said_to_be_instead_of_given_addresses_again(ports: Ports) -> None:
    made = import_("K").json["id"]
    deleted = call(delete_snapshot.handler, request("ngsi", "delete_snapshot", path=f"/v2/snapshots/{made}"))
    assert deleted.status == 204
    assert_error(import_("K"), 404, "NotFound", made, "was deleted")
    assert import_("L").status == 201


def test_import_is_a_conflict_when_the_key_was_used_for_another_body(ports: Ports) -> None:
    import_("K")
    assert_error(import_("K", {"sizeBytes": 3}), 409, "Conflict", "another request was made with this key")
    assert len(snapshots_of(ports)) == 1


def test_import_keeps_no_address_since_that_is_a_permission(ports: Ports) -> None:
    kept: list[str] = []

    class Noting:
        def once(self, tenant: Tenant, asked: Asked, answer: Any) -> dict[str, Any]:
            told = ports.repeats.once(tenant, asked, answer)
            kept.append(str(told))
            return told

    with bootstrap.use(replace(ports, repeats=Noting())):
        url = import_("K").json["files"][0]["urls"][0]
    assert "http" in url
    assert len(kept) == 1
    assert "http" not in kept[0]


class Lossy:
    """Answers, and then can't keep the answer."""

    def once(self, _tenant: Tenant, _asked: Asked, answer: Any) -> dict[str, Any]:
        answer()
        raise AwsFailure("keeping the answer to a request: AWS answered InternalServerError")


@pytest.fixture
def lossy(ports: Ports) -> Iterator[Ports]:
    with bootstrap.use(replace(ports, repeats=Lossy())) as fresh:
        yield fresh


def test_create_finds_what_it_made_when_its_answer_could_not_be_kept(lossy: Ports, ports: Ports) -> None:
    assert_error(create("K"), 503, "ServiceUnavailable")
    with bootstrap.use(ports):
        again = create("K")
        assert again.json["id"] == snapshots_of(ports)[0].id
        assert (again.status, again.json["status"], again.json["entityCount"]) == (201, "completed", 3)
    assert len(snapshots_of(ports)) == 1


def test_create_is_a_conflict_when_the_key_has_made_another_though_its_answer_was_not_kept(
    lossy: Ports, ports: Ports
) -> None:
    create("K")
    with bootstrap.use(ports):
        assert_error(create("K", {"description": "other"}), 409, "Conflict", "another request was made with this key")
    assert len(snapshots_of(ports)) == 1
