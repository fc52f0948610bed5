"""Writes to entities that meet other writes, and listings that meet a restore: decided anew from what is there then."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import cast

import pytest

from tests.handlers import rest
from tests.handlers.entities_client import EntitiesClient
from tidemark import bootstrap
from tidemark.domain.live import Gate, ItemWrite
from tidemark.domain.tenant import Tenant
from tidemark.errors import WriteConflict
from tidemark.ports import EntityTable, Ports
from tidemark.usecases import entities
from tidemark.usecases.entities import StoredEntity


class Overtaken:
    """A table on which somebody else's write always comes first, once."""

    def __init__(self, table: EntityTable) -> None:
        self._table = table
        self.before_commit: Callable[[], object] | None = None

    def __getattr__(self, name: str) -> object:
        return getattr(self._table, name)

    def commit(self, tenant: Tenant, gates: Sequence[Gate], writes: Sequence[ItemWrite]) -> None:
        overtake, self.before_commit = self.before_commit, None
        if overtake is not None:
            overtake()
            raise WriteConflict("somebody was faster")
        self._table.commit(tenant, gates, writes)


@pytest.fixture
def table(ports: Ports) -> Iterator[Overtaken]:
    overtaken = Overtaken(ports.table)
    # What it does not do itself it passes on to the table.
    with bootstrap.use(replace(ports, table=cast("EntityTable", overtaken))):
        yield overtaken


@pytest.fixture
def api(table: Overtaken) -> EntitiesClient:
    client = EntitiesClient()
    client.create({"id": "E1", "type": "T", "a": {"value": 1}})
    return client


def values(api: EntitiesClient) -> dict[str, object]:
    found: dict[str, object] = api.call("GET /v2/entities/E1/attrs?options=keyValues").json
    return found


def test_change_keeps_what_another_writer_wrote_meanwhile(api: EntitiesClient, table: Overtaken) -> None:
    table.before_commit = lambda: api.call("POST /v2/entities/E1/attrs", {"b": {"value": 2}})
    assert api.call("POST /v2/entities/E1/attrs", {"c": {"value": 3}}).status == 204
    assert values(api) == {"a": 1, "b": 2, "c": 3}


def test_create_is_refused_when_another_writer_was_faster(api: EntitiesClient, table: Overtaken) -> None:
    table.before_commit = lambda: api.call("POST /v2/entities", {"id": "N", "type": "T", "a": {"value": "theirs"}})
    answer = api.call("POST /v2/entities", {"id": "N", "type": "T", "a": {"value": "mine"}})
    rest.assert_error(answer, 422, "Unprocessable", "Already Exists")
    assert api.call("GET /v2/entities/N/attrs/a/value").text == '"theirs"'


def test_error_speaks_of_the_last_attempt(api: EntitiesClient, table: Overtaken) -> None:
    # The first attempt misses b, which is there when it is tried again.
    table.before_commit = lambda: api.call("POST /v2/entities/E1/attrs", {"b": {"value": 2}})
    assert api.call("PATCH /v2/entities/E1/attrs", {"a": {"value": 5}, "b": {"value": 6}}).status == 204
    assert values(api) == {"a": 5, "b": 6}


def test_change_of_a_deleted_entity_is_refused(api: EntitiesClient, table: Overtaken) -> None:
    table.before_commit = lambda: api.call("DELETE /v2/entities/E1")
    rest.assert_error(api.call("PATCH /v2/entities/E1/attrs", {"a": {"value": 5}}), 404, "NotFound", "'E1'")


def test_list_counts_afresh_when_it_has_to_start_over(api: EntitiesClient, monkeypatch: pytest.MonkeyPatch) -> None:
    view = entities.view

    def view_twice[T](
        ports: Ports, tenant: Tenant, fold: Callable[[Iterator[StoredEntity]], T], *, types: Sequence[str] | None = None
    ) -> T:
        view(ports, tenant, fold, types=types)
        return view(ports, tenant, fold, types=types)

    monkeypatch.setattr(entities, "view", view_twice)
    answer = api.call("GET /v2/entities?options=count")
    assert answer.headers["Fiware-Total-Count"] == "1"
    assert len(answer.json) == 1
