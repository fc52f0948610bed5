"""A model of what the HTTP API promises: the live entities, and the content of each snapshot. Generated sequences of
requests are sent to a stack and played in the model, and after each request everything that can be read is compared.
"""

import copy
import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.driving import content
from tests.e2e import walk
from tests.e2e.inside import Inside
from tests.local.http_messages import Answer

type Attributes = dict[str, Any]
type Content = dict["Name", Attributes]

# Every entity has the first attribute, so what is updated is there whenever the entity is.
ALWAYS: Final = "level"
SOMETIMES: Final = "note"
_WRITTEN_IDS: Final = 4
_SEEDED: Final = 60
_tenants = itertools.count(1)


class Name(NamedTuple):
    """What tells entities apart. Two types share their ids."""

    type: str
    id: str

    @property
    def path(self) -> str:
        """Where the entity is."""
        return f"/v2/entities/{self.id}?type={self.type}"

    def with_attributes(self, attributes: Attributes) -> dict[str, Any]:
        """The entity in normalized form."""
        return {"id": self.id, "type": self.type, **attributes}


class Edit(NamedTuple):
    """What a request wants of one entity."""

    name: Name
    attributes: Attributes


class Write(NamedTuple):
    """A request that writes entities: one with a route of its own, or a batch."""

    action: str
    edits: list[Edit]


@dataclass
class Kept:
    """A snapshot: what it must hold, and whether it is in the recycle bin."""

    id: str
    description: str
    trigger: str
    content: Content
    deleted: bool = False


def _attribute(value: Any) -> dict[str, Any]:
    return {"type": "Number" if isinstance(value, int) else "Text", "value": value, "metadata": {}}


# Few entities, so that requests often meet one that is there, was deleted, or comes back.
_NAMES = st.builds(
    Name, st.sampled_from(["Room", "Room", "Car"]), st.integers(0, _WRITTEN_IDS - 1).map("n{:02d}".format)
)
_ATTRIBUTE = st.one_of(st.integers(-9, 99), st.sampled_from(["", "open", "Zürich 😀", "line\nline"])).map(_attribute)
_ATTRIBUTES = st.fixed_dictionaries({ALWAYS: _ATTRIBUTE}, optional={SOMETIMES: _ATTRIBUTE})
_ONLY_ALWAYS = st.fixed_dictionaries({ALWAYS: _ATTRIBUTE})


_WRITTEN: Final = {
    "create": _ATTRIBUTES,
    "change": _ONLY_ALWAYS,
    "remove": st.just({}),
    "append": _ATTRIBUTES,
    "update": _ONLY_ALWAYS,
    "replace": _ATTRIBUTES,
    "delete": st.just({}),
}
_ALONE: Final = ("create", "change", "remove")


def _writes(action: str) -> st.SearchStrategy[Write]:
    edits = st.lists(st.builds(Edit, _NAMES, _WRITTEN[action]), min_size=1, max_size=1 if action in _ALONE else 4)
    return st.builds(Write, st.just(action), edits)


# One rule for all of them: of many rules, those about snapshots would have their turn too seldom.
_REQUESTS = st.one_of([_writes(action) for action in _WRITTEN])


def _numbers(*, deleted: bool) -> st.SearchStrategy[int]:
    """The number of a snapshot that is in the recycle bin, or is not. By number, a failing sequence can be repeated."""

    def of(model: "HttpModel") -> st.SearchStrategy[int]:
        return st.sampled_from([number for number, one in enumerate(model.kept) if one.deleted == deleted])

    return st.runner().flatmap(of)


class HttpModel(RuleBasedStateMachine):
    """One tenant, new for each sequence of requests."""

    def __init__(self, inside: Inside) -> None:
        super().__init__()
        self.inside = inside
        self.call = inside.caller(f"model_{next(_tenants)}")
        self.live: Content = {}
        self.kept: list[Kept] = []
        """Every snapshot that was ever taken, oldest first."""

    # --- entities -----------------------------------------------------------------------------------------------------

    @initialize(count=st.sampled_from([_SEEDED, _SEEDED, _SEEDED, 1, 0]))
    def seed(self, count: int) -> None:
        """Have some entities, and a snapshot of them: of many of which few change, the next one is a delta."""
        if count:
            names = [Name("Room", f"n{number:02d}") for number in range(count)]
            self._update("append", [Edit(name, {ALWAYS: _attribute(0)}) for name in names])
        self.snapshot("first")

    @rule(requests=st.lists(_REQUESTS, min_size=1, max_size=4))
    def write(self, requests: list[Write]) -> None:
        """Send some requests that write entities."""
        for request in requests:
            match request.action:
                case "create":
                    self._create(*request.edits[0])
                case "change":
                    self._change(*request.edits[0])
                case "remove":
                    self._remove(request.edits[0].name)
                case action:
                    self._update(action, request.edits)

    def _create(self, name: Name, attributes: Attributes) -> None:
        answer = self.call("POST", "/v2/entities", name.with_attributes(attributes))
        _expect(answer, 422 if name in self.live else 201)
        self.live.setdefault(name, attributes)

    def _change(self, name: Name, attributes: Attributes) -> None:
        answer = self.call("PATCH", f"/v2/entities/{name.id}/attrs?type={name.type}", attributes)
        _expect(answer, 204 if name in self.live else 404)
        if name in self.live:
            self.live[name] = {**self.live[name], **attributes}

    def _remove(self, name: Name) -> None:
        _expect(self.call("DELETE", name.path), 204 if self.live.pop(name, None) is not None else 404)

    def _update(self, action: str, edits: list[Edit]) -> None:
        entities = [edit.name.with_attributes(edit.attributes) for edit in edits]
        answer = self.call("POST", "/v2/op/update", {"actionType": action, "entities": entities})
        done = [self._edited(action, edit) for edit in edits]
        _expect(answer, 204 if all(done) else 422 if any(done) else 404)

    def _edited(self, action: str, edit: Edit) -> bool:
        """Carry out an edit in the model; whether it can be done."""
        if action != "append" and edit.name not in self.live:
            return False
        if action == "delete":
            del self.live[edit.name]
        elif action == "replace":
            self.live[edit.name] = edit.attributes
        else:
            self.live[edit.name] = {**self.live.get(edit.name, {}), **edit.attributes}
        return True

    # --- snapshots ----------------------------------------------------------------------------------------------------

    @rule(requests=st.lists(_REQUESTS, min_size=1, max_size=3), description=st.sampled_from(["", "Zürich 😀"]))
    def write_and_snapshot(self, requests: list[Write], description: str) -> None:
        """Take a snapshot after some changes, so that it differs from the one before more often than not."""
        self.write(requests)
        self.snapshot(description)

    @rule(description=st.just("nightly"))
    def snapshot(self, description: str) -> None:
        """Take a snapshot: it holds what is live."""
        made = walk.create(self.call, description)
        self._keep(Kept(made["id"], description, "manual", copy.deepcopy(self.live)))
        assert made["status"] == "completed"

    @precondition(lambda self: self._any(deleted=False))
    @rule(number=_numbers(deleted=False), safety=st.booleans())
    def restore(self, number: int, safety: bool) -> None:
        """Restore a snapshot: what was live is kept, where that is wanted, and the content of the snapshot is live."""
        chosen = self.kept[number]
        done = walk.restore(self.call, chosen.id, {"safetySnapshot": safety})
        assert (done["status"], done["total"]) == ("completed", len(chosen.content)), done
        assert ("safetySnapshotId" in done) == safety
        if safety:
            description = f"Safety snapshot: before the restore of {chosen.id}"
            self._keep(Kept(done["safetySnapshotId"], description, "safety", copy.deepcopy(self.live)))
        self.live = copy.deepcopy(chosen.content)
        _expect(self.call("DELETE", f"/v2/restores/{done['id']}"), 409)

    @precondition(lambda self: self._any(deleted=False))
    @rule(number=_numbers(deleted=False))
    def delete_snapshot(self, number: int) -> None:
        """Delete a snapshot: it is in the recycle bin, and nothing can be done with it but to bring it back."""
        path = f"/v2/snapshots/{self.kept[number].id}"
        _expect(self.call("POST", f"{path}/undelete"), 409)
        _expect(self.call("DELETE", path), 204)
        self.kept[number].deleted = True
        for method, where in (("GET", path), ("DELETE", path), ("POST", f"{path}/restore")):
            _expect(self.call(method, where), 404)

    @precondition(lambda self: self._any(deleted=True))
    @rule(number=_numbers(deleted=True))
    def undelete(self, number: int) -> None:
        """Bring a snapshot back from the recycle bin."""
        _expect(self.call("POST", f"/v2/snapshots/{self.kept[number].id}/undelete"), 200)
        self.kept[number].deleted = False
        self._holds(self.kept[number])

    def _any(self, *, deleted: bool) -> bool:
        return any(one.deleted == deleted for one in self.kept)

    def _keep(self, made: Kept) -> None:
        assert made.id not in {one.id for one in self.kept}
        self.kept.append(made)
        self._holds(made)

    def _holds(self, kept: Kept) -> None:
        """The snapshot is what the model says, and its packs too: a restore of it comes later, or never."""
        found = self.call("GET", f"/v2/snapshots/{kept.id}").json()
        assert (found["trigger"], found["status"]) == (kept.trigger, "completed")
        self._stores(kept)

    def _stores(self, kept: Kept) -> None:
        stored = content(self.inside.ports, kept.id, self.call.tenant)
        assert _sorted(map(json.loads, stored.values())) == _documents(kept.content), f"what {kept.id} holds"

    # --- what can be read ---------------------------------------------------------------------------------------------

    @invariant()
    def entities_are_those_of_the_model(self) -> None:
        """Nothing is missing, left over, twice, or altered."""
        assert _sorted(walk.entities(self.call)) == _documents(self.live)

    @invariant()
    def lists_are_those_of_the_model(self) -> None:
        """Snapshots and recycle bin, newest first, with their counts."""
        self._listed("/v2/snapshots?options=count&limit=1000", deleted=False)
        self._listed("/v2/snapshots?options=count&limit=1000&status=deleted", deleted=True)

    def _listed(self, path: str, *, deleted: bool) -> None:
        answer = self.call("GET", path)
        _expect(answer, 200)
        expected = [one for one in reversed(self.kept) if one.deleted == deleted]
        status = "deleted" if deleted else "completed"
        assert [(one["id"], one["description"], one["entityCount"], one["status"]) for one in answer.json()] == [
            (one.id, one.description, len(one.content), status) for one in expected
        ]
        assert answer.headers["Fiware-Total-Count"] == str(len(expected))

    def teardown(self) -> None:
        """Whatever came after it, each snapshot still holds what it did, also in the recycle bin."""
        for kept in self.kept:
            self._stores(kept)


def _documents(entities: Content) -> list[dict[str, Any]]:
    return _sorted(name.with_attributes(attributes) for name, attributes in entities.items())


def _sorted(entities: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(entities, key=lambda entity: (entity["type"], entity["id"]))


def _expect(answer: Answer, status: int) -> None:
    assert answer.status == status, (answer.status, answer.text)
