"""What the API's description says of requests' bodies is what the parsers take: no more and no less."""

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from openapi_schema_validator import OAS31Validator

from tests.fakes import memory_ports
from tidemark.dialects.ngsi import schedules
from tidemark.dialects.ngsi.attributes import parse_attribute
from tidemark.dialects.ngsi.batch import parse_update as parse_batch
from tidemark.dialects.ngsi.entities import parse_entity, parse_entity_attributes
from tidemark.dialects.ngsi.imports import parse_import
from tidemark.dialects.ngsi.openapi.document import OPERATIONS, build
from tidemark.dialects.ngsi.openapi.operation import Body
from tidemark.dialects.ngsi.parameters import members
from tidemark.dialects.ngsi.previews import parse_preview
from tidemark.dialects.ngsi.rendering import names_in
from tidemark.dialects.ngsi.restore_requests import parse_restore
from tidemark.dialects.ngsi.retention import parse_policy
from tidemark.dialects.ngsi.selection import from_document
from tidemark.dialects.ngsi.service_path import EVERYWHERE
from tidemark.dialects.ngsi.snapshot_metadata import parse_create, parse_update
from tidemark.dialects.ngsi.snapshots import parse_bare, parse_copy
from tidemark.domain.tenant import Tenant
from tidemark.engine.transfer.plans import MAX_FILE_BYTES
from tidemark.errors import InvalidRequest, NotSupported
from tidemark.usecases.create_schedule import ScheduleWanted, create_schedule
from tidemark.usecases.update_schedule import update_schedule

type Parse = Callable[[Any], object]
type Documents = SearchStrategy[Any]

# What can stand where something else is meant.
JUNK: Documents = st.sampled_from(
    [None, True, False, 1, 1.5, "", "Room1", "x" * 2000, [], ["Room1"], {}, {"Room1": 1}, [None], {"type": 1}]
)
TEXTS = st.sampled_from(
    ["Before 2.1.0", "a\tb\nc", "\u00e9\U0001f30a", "a\x01", "a\x7f", "a\u2028b", "x" * 1024, "x" * 1025]
)
NAMES = st.sampled_from(
    ["Room1", "x" * 256, "x" * 257, "a b", "a&b", "<b>", "\u00e9", "a,b", "*", "id", "type", "geo:distance"]
)
LISTS = st.sampled_from(["Room1", "Room1,Room2", "Room1,", ",", "a b", "a" * 257])
PATTERNS = st.sampled_from(["^Room", ".*", "x" * 512, "x" * 513])
QUERIES = st.sampled_from(["temperature>20", "!broken;a==1,2", "x" * 4096, "x" * 4097])
MQ = st.sampled_from(["temperature.accuracy<1", "", None, 1])
LIFETIMES = st.sampled_from(["P30D", "PT12H", "P1W2DT3H", "P1M", "P1Y", "P", "PT", "30D", "P-1D", "p30d"])
MOMENTS = st.sampled_from(
    ["2026-01-15T10:00:00Z", "2026-01-15", "2026-01-15T10:00:00.5+02:00", "2026-01-15T10:00", "soon"]
)


def some(**known: Documents) -> Documents:
    """Objects with any of these members, each good or junk; or with another one; or junk."""
    fields = {name: good | good | JUNK for name, good in known.items()}
    fitting = st.fixed_dictionaries({}, optional=fields)
    return fitting | fitting | st.tuples(fitting, NAMES, JUNK).map(lambda part: {**part[0], part[1]: part[2]}) | JUNK


def changed(whole: dict[str, Any], **known: Documents) -> Documents:
    """An object that fits with one or two members changed or added, good or junk; or junk."""
    member = st.sampled_from(sorted(known)).flatmap(lambda name: st.tuples(st.just(name), known[name] | JUNK))
    return st.lists(member, min_size=1, max_size=2).map(lambda members: whole | dict(members)) | JUNK


LABELS = st.dictionaries(
    st.sampled_from(["env", "a/b@c", "", "a b", "a=b", "x" * 128, "x" * 129]),
    TEXTS | st.just("x" * 256) | st.just("x" * 257),
) | st.integers(49, 51).map(lambda count: {f"label{number}": "" for number in range(count)})
FILTER = some(
    id=LISTS,
    idPattern=PATTERNS,
    type=LISTS,
    typePattern=PATTERNS,
    q=QUERIES,
    attrs=st.lists(NAMES, max_size=3) | st.integers(99, 101).map(lambda count: ["a"] * count),
)
TENANTS = st.sampled_from(["staging", "Staging_1", "a-b", "x" * 50, "x" * 51, "\u212a", ""])
TARGET = some(service=TENANTS)
RESTORE = some(
    mode=st.sampled_from(["replace", "merge", "mix"]),
    target=TARGET,
    filter=FILTER,
    dryRun=st.booleans(),
    plan=st.just("plan_0123456789abcdef0123456789abcdef"),
    safetySnapshot=st.booleans(),
)
SIZES = st.integers(0, 2**40) | st.just(MAX_FILE_BYTES + 1)
FILE = changed(
    {"sizeBytes": 5, "records": 1},
    sizeBytes=SIZES,
    name=st.sampled_from(["rooms.ndjson", "x" * 200, "x" * 201, "a/b", ""]),
    sha256=st.sampled_from([None, "0f" * 32, "0F" * 32, "0f"]),
    records=st.just(1) | st.none(),
)
FILES = st.lists(FILE, max_size=2) | st.integers(1000, 1001).map(lambda count: [{"sizeBytes": 0}] * count)
MANIFEST = changed(
    {
        "format": "tidemark-export",
        "version": 1,
        "records": 1,
        "digest": "f0" * 32,
        "parts": [{"sizeBytes": 5, "records": 1}],
    },
    format=st.just("tidemark"),
    version=st.just(2),
    records=st.integers(0, 2),
    digest=st.just("f0"),
    parts=FILES,
    partCount=st.integers(0, 2),
    url=st.just("https://tidemark.example/part"),
)
IMPORT = changed(
    {},
    sizeBytes=SIZES,
    files=FILES,
    manifest=MANIFEST,
    description=TEXTS,
    servicePath=st.sampled_from(["/", "/city", "/city/", "city", "/a//b", "", "/#"]),
)
VALUES: Documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["on", "a b", "<", "a=b", ""]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "b", "c=d"]), inner, max_size=2),
    max_leaves=4,
)
METADATA = st.dictionaries(NAMES, some(type=NAMES, value=VALUES), max_size=2)
ATTRIBUTE = some(type=NAMES | st.just("TextUnrestricted"), value=VALUES, metadata=METADATA)
IDENTITY = st.fixed_dictionaries({"id": NAMES}, optional={"type": NAMES})
ENTITY = st.tuples(IDENTITY, st.dictionaries(NAMES, ATTRIBUTE, max_size=2)).map(lambda part: part[1] | part[0])
ENTITY_VALUES = st.tuples(IDENTITY, st.dictionaries(NAMES, VALUES, max_size=2)).map(lambda part: part[1] | part[0])
QUERY = some(
    entities=st.lists(some(id=NAMES, idPattern=PATTERNS, type=NAMES, typePattern=PATTERNS), max_size=2),
    attrs=st.lists(st.sampled_from(["a", "*", "", "<"]), max_size=2),
    metadata=st.lists(st.sampled_from(["a", "*", ""]), max_size=2),
    expression=st.fixed_dictionaries({}, optional={"q": QUERIES | JUNK, "mq": MQ}) | JUNK,
)
# What no schema can say: sums of an import's parts, which zones there are, what parts of a schedule say together.
UNSAID = ("the manifest does not have all parts", "the files have", "timezone ", "the rule ")
COUNTS = st.sampled_from([1, 7, 100_000, 0, -1, 100_001])
RETENTION = some(
    keepLast=COUNTS, keepWithin=LIFETIMES, hourly=COUNTS, daily=COUNTS, weekly=COUNTS, monthly=COUNTS, yearly=COUNTS
)
SCHEDULE = {
    "expression": st.sampled_from(["rate(1 hour)", "cron(0 2 * * ? *)", "at(2100-01-01T00:00:00)", "every day", "()"]),
    "timezone": st.sampled_from(["UTC", "Europe/Paris", "Mars/Olympus"]),
    "windowMinutes": st.sampled_from([None, 0, 1, 1440, 1441]),
    "description": TEXTS | st.sampled_from(["{interval} backup of {tenant}, {date}", "{nobody}", "{", "}", "{}"]),
    "labels": LABELS,
    "interval": st.sampled_from([None, "hourly", "monthly", "manual", "yearly"]),
    "retention": RETENTION,
    "overlap": st.sampled_from(["skip", "queue", "kill"]),
    "paused": st.booleans(),
}
TENANT = Tenant("acme")
ACTIONS = st.sampled_from(
    ["append", "appendStrict", "APPEND_STRICT", "update", "delete", "replace", "create", "Append"]
)


def _query(document: Any) -> None:
    wanted = members(document, {"entities", "attrs", "expression", "metadata"})
    names_in(wanted, "attrs")
    names_in(wanted, "metadata")
    from_document(wanted, EVERYWHERE)


def _create(document: Any) -> None:
    create_schedule(memory_ports(), TENANT, schedules.parse_create(document))


def _update(document: Any) -> None:
    ports = memory_ports()
    made = create_schedule(ports, TENANT, ScheduleWanted("rate(1 hour)"))
    update_schedule(ports, TENANT, made.id, schedules.parse_update(document))


CASES: dict[str, tuple[Parse, Documents]] = {
    "CreateSnapshot": (parse_create, some(description=TEXTS, labels=LABELS, expiresIn=LIFETIMES)),
    "UpdateSnapshot": (
        parse_update,
        some(
            description=TEXTS,
            labels=LABELS,
            expiresIn=LIFETIMES,
            expiresAt=MOMENTS,
            pinned=st.booleans(),
            legalHold=st.booleans(),
        ),
    ),
    "NoMembers": (parse_bare, some()),
    "CopySnapshot": (parse_copy, some(service=TENANTS, description=TEXTS)),
    "OpenImport": (parse_import, IMPORT),
    "FileToImport": (lambda document: parse_import({"files": [document]}), FILE),
    "ExportManifest": (lambda document: parse_import({"manifest": document}), MANIFEST),
    "RestoreSnapshot": (parse_restore, RESTORE),
    "RestoreTarget": (lambda document: parse_restore({"target": document}), TARGET),
    "RestoreFilter": (lambda document: parse_restore({"filter": document}), FILTER),
    "CreateSchedule": (_create, changed({"expression": "rate(1 hour)"}, **SCHEDULE)),
    "UpdateSchedule": (_update, some(**SCHEDULE)),
    "PreviewRetention": (parse_preview, some(retention=RETENTION)),
    "RetentionBody": (parse_policy, RETENTION),
    "BatchQuery": (_query, QUERY),
    "BatchUpdate": (
        lambda document: parse_batch(document, key_values=True, override=False),
        some(actionType=ACTIONS, entities=st.lists(ENTITY_VALUES, max_size=2) | st.just([{"id": "a"}] * 1001)),
    ),
    "Entity": (lambda document: parse_entity(document, key_values=False), ENTITY | JUNK),
    "EntityValues": (lambda document: parse_entity(document, key_values=True), ENTITY_VALUES | JUNK),
    "Attribute": (lambda document: parse_attribute("temperature", document), ATTRIBUTE),
    "Attributes": (
        lambda document: parse_entity_attributes(document, key_values=False),
        st.dictionaries(NAMES, ATTRIBUTE, max_size=2),
    ),
    "Values": (
        lambda document: parse_entity_attributes(document, key_values=True),
        st.dictionaries(NAMES, VALUES, max_size=2),
    ),
}


@cache
def _validator(name: str) -> OAS31Validator:
    return OAS31Validator({"$ref": f"#/components/schemas/{name}", "components": build()["components"]})


@pytest.mark.parametrize("name", CASES)
def test_parser_takes_what_fits_the_description_and_nothing_else(name: str) -> None:
    parse, documents = CASES[name]
    taken: set[bool] = set()

    @settings(max_examples=300)
    @given(documents)
    def agree(document: Any) -> None:
        try:
            parse(document)
            reason = None
        except InvalidRequest as error:
            reason = error.message
            assume(not reason.startswith(UNSAID))
        except NotSupported:
            assume(False)
        assert _validator(name).is_valid(document) is (reason is None), (document, reason)
        taken.add(reason is None)

    agree()
    assert taken == {True, False}


def test_every_model_of_a_body_is_held_against_its_parser() -> None:
    described = (body.model for body in _bodies().values() if isinstance(body.model, type))
    models = {model.__name__ for model in described if model.__module__.startswith("tidemark.dialects.ngsi")}
    assert models - CASES.keys() == set(), "give each of these a parser and documents in CASES"


def _bodies() -> dict[str, Body]:
    return {route: operation.body for route, operation in OPERATIONS.items() if operation.body is not None}


@pytest.mark.parametrize("route", _bodies())
def test_examples_fit_their_descriptions(route: str) -> None:
    method, path = route.split(" ")
    document = build()
    content = document["paths"][path][method.lower()]["requestBody"]["content"]["application/json"]
    validator = OAS31Validator({**content["schema"], "components": document["components"]})
    assert content["examples"]
    for example in content["examples"].values():
        assert [error.message for error in validator.iter_errors(example["value"])] == []
