"""API keys: how they are made, and what authenticating with one tells."""

import re
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.fakes import ManualClock, MemoryCatalog, memory_ports
from tidemark.domain.api_key import Action, ApiKey, key_id
from tidemark.domain.tenant import Tenant
from tidemark.errors import InvalidRequest, KeyNotFound, StaleRecord, Throttled, TidemarkError, Unauthorized
from tidemark.ports import Ports
from tidemark.usecases.keys import SHOWN_ID_CHARS, NewKey, authenticate, create_key, revoke_key

SMARTCITY = Tenant("smartcity")


def clock(ports: Ports) -> ManualClock:
    assert isinstance(ports.clock, ManualClock)
    return ports.clock


def new_key(ports: Ports, *, expires_at: datetime | None = None) -> NewKey:
    return create_key(ports, name="deploy", tenants={"smartcity"}, actions={Action.READ}, expires_at=expires_at)


class FailingCatalog(MemoryCatalog):
    """A catalog in which a key can't be noted as used."""

    def __init__(self, error: TidemarkError) -> None:
        super().__init__()
        self._error = error

    def replace_key(self, key: ApiKey) -> ApiKey:  # noqa: ARG002 - the signature is the port's
        raise self._error


def test_create_gives_a_secret_of_256_bits_that_is_stored_as_its_hash_only() -> None:
    ports = memory_ports()
    made = new_key(ports)
    assert re.fullmatch(r"tm_[A-Za-z0-9_-]{43}", made.secret)
    assert made.key.id == key_id(made.secret)
    assert made.secret not in repr(ports.catalog.key(made.key.id))


def test_create_gives_different_secrets_when_repeated() -> None:
    ports = memory_ports()
    assert len({new_key(ports).secret for _ in range(20)}) == 20


def test_authenticate_gives_the_key_when_the_secret_is_known() -> None:
    ports = memory_ports()
    made = new_key(ports)
    key = authenticate(ports, made.secret)
    assert (key.id, key.name, key.tenants, key.actions) == (
        made.key.id,
        "deploy",
        frozenset({"smartcity"}),
        frozenset({Action.READ}),
    )


@pytest.mark.parametrize(
    "secret", [None, "", "tm_", "nonsense", "tm_" + "a" * 43, "TM_" + "a" * 43, "tm_" + "a" * 42 + "\n", "é" * 46]
)
def test_authenticate_says_the_same_whatever_is_wrong_with_the_secret(secret: str | None) -> None:
    with pytest.raises(Unauthorized, match="missing, unknown or expired"):
        authenticate(memory_ports(), secret)


def test_authenticate_is_unauthorized_from_the_very_moment_of_expiry() -> None:
    ports = memory_ports()
    made = new_key(ports, expires_at=ports.clock.now() + timedelta(minutes=1))
    clock(ports).advance(59.9)
    assert authenticate(ports, made.secret).id == made.key.id
    clock(ports).advance(0.1)
    with pytest.raises(Unauthorized, match="missing, unknown or expired"):
        authenticate(ports, made.secret)


def test_authenticate_notes_the_last_use_once_an_hour() -> None:
    ports = memory_ports()
    made = new_key(ports)
    first = authenticate(ports, made.secret)
    clock(ports).advance(3599)
    assert authenticate(ports, made.secret) == first
    clock(ports).advance(1)
    later = authenticate(ports, made.secret)
    assert first.last_used_at == datetime(2026, 1, 15, 10, tzinfo=UTC)
    assert later.last_used_at == datetime(2026, 1, 15, 11, tzinfo=UTC)
    assert ports.catalog.key(made.key.id) == later


@pytest.mark.parametrize("error", [StaleRecord("somebody was faster"), Throttled("busy")])
def test_authenticate_succeeds_when_the_last_use_cannot_be_noted(error: TidemarkError) -> None:
    ports = replace(memory_ports(), catalog=FailingCatalog(error))
    made = new_key(ports)
    assert authenticate(ports, made.secret) == made.key


def test_authenticate_is_unauthorized_when_the_key_was_just_removed() -> None:
    ports = replace(memory_ports(), catalog=FailingCatalog(KeyNotFound("gone")))
    made = new_key(ports)
    with pytest.raises(Unauthorized):
        authenticate(ports, made.secret)


@pytest.mark.parametrize(
    ("name", "tenants", "actions"),
    [
        ("", {"a"}, {Action.READ}),
        ("x" * 101, {"a"}, {Action.READ}),
        ("a\nb", {"a"}, {Action.READ}),
        ("a", set(), {Action.READ}),
        ("a", {"a"}, set()),
        ("a", {"not a tenant"}, {Action.READ}),
        ("a", {"**"}, {Action.READ}),
    ],
)
def test_create_is_refused_when_the_key_would_be_of_no_use(
    name: str, tenants: Collection[str], actions: Collection[Action]
) -> None:
    with pytest.raises(InvalidRequest):
        create_key(memory_ports(), name=name, tenants=tenants, actions=actions)


def test_create_is_refused_when_the_expiry_is_past() -> None:
    ports = memory_ports()
    with pytest.raises(InvalidRequest, match="past"):
        new_key(ports, expires_at=ports.clock.now())


def test_create_keeps_the_star_and_lowers_tenant_names() -> None:
    made = create_key(memory_ports(), name="all", tenants=["*", "SmartCity"], actions=[Action.ADMIN])
    assert made.key.tenants == {"*", "smartcity"}
    assert made.key.allows(Tenant("any"), Action.RESTORE)


@pytest.mark.parametrize("by", ["secret", "id"])
def test_revoke_ends_a_key_at_once_when_it_is_named_by(by: str) -> None:
    ports = memory_ports()
    made = new_key(ports)
    revoked = revoke_key(ports, made.secret if by == "secret" else made.key.id)
    assert revoked.expires_at == ports.clock.now()
    with pytest.raises(Unauthorized):
        authenticate(ports, made.secret)


def test_revoke_changes_nothing_when_it_is_repeated() -> None:
    ports = memory_ports()
    made = new_key(ports)
    revoked = revoke_key(ports, made.key.id)
    clock(ports).advance(60)
    assert revoke_key(ports, made.key.id) == revoked


def test_revoke_fails_when_there_is_no_such_key() -> None:
    with pytest.raises(KeyNotFound):
        revoke_key(memory_ports(), "0" * 64)


@pytest.mark.parametrize("chars", [SHOWN_ID_CHARS, 63])
def test_key_can_be_revoked_by_the_beginning_of_its_id_that_people_are_shown(chars: int) -> None:
    ports = memory_ports()
    made, other = new_key(ports), new_key(ports)
    assert revoke_key(ports, made.key.id[:chars]).id == made.key.id
    with pytest.raises(Unauthorized):
        authenticate(ports, made.secret)
    assert authenticate(ports, other.secret).id == other.key.id
    with pytest.raises(KeyNotFound):
        revoke_key(ports, other.key.id[: SHOWN_ID_CHARS - 1])


def test_beginning_that_several_ids_have_revokes_none() -> None:
    ports = memory_ports()
    first = new_key(ports)
    twin = replace(first.key, id=first.key.id[:SHOWN_ID_CHARS] + "0" * 52, name="twin")
    ports.catalog.add_key(twin)
    with pytest.raises(InvalidRequest, match="2 keys"):
        revoke_key(ports, twin.id[:SHOWN_ID_CHARS])
    assert authenticate(ports, first.secret).id == first.key.id


def test_revoke_takes_effect_when_the_key_is_used_meanwhile() -> None:
    ports = memory_ports()
    made = new_key(ports)

    class UsedMeanwhile(MemoryCatalog):
        """A catalog in which somebody uses the key right after it was read for the first time."""

        reads = 0

        def key(self, key_id: str) -> ApiKey:
            found = ports.catalog.key(key_id)
            self.reads += 1
            if self.reads == 1:
                ports.catalog.replace_key(replace(found, last_used_at=ports.clock.now()))
            return found

        def replace_key(self, key: ApiKey) -> ApiKey:
            return ports.catalog.replace_key(key)

    revoke_key(replace(ports, catalog=UsedMeanwhile()), made.key.id)
    with pytest.raises(Unauthorized):
        authenticate(ports, made.secret)
