"""Make, list and revoke API keys, and find out whose key came with a request."""

import base64
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from tidemark.domain.api_key import ANY_TENANT, PREFIX, Action, ApiKey, is_secret, key_id
from tidemark.domain.environment import ANY_ENVIRONMENT, parse_environment_id
from tidemark.domain.tenant import parse_tenant
from tidemark.errors import InvalidRequest, KeyNotFound, StaleRecord, Unauthorized, Unavailable
from tidemark.ports import Ports

SECRET_BYTES: Final = 32
# Of the 64 digits of an id, lists and logs show so many.
ID_CHARS: Final = 64
SHOWN_ID_CHARS: Final = 12
MAX_NAME_CHARS: Final = 100
# A key's last use is for finding keys that nobody needs any more, so noting it once an hour is enough.
NOTED_EVERY: Final = timedelta(hours=1)


class NewKey(NamedTuple):
    """A key just made. `secret` is told once and is stored nowhere."""

    secret: str
    key: ApiKey


def create_key(
    ports: Ports,
    *,
    name: str,
    tenants: Collection[str],
    actions: Collection[Action],
    environments: Collection[str] = (),
    expires_at: datetime | None = None,
) -> NewKey:
    """Make a key for the tenants (names, or `*` for all), environments (ids, or `*` for all) and actions.

    Raises InvalidRequest when the name is empty, too long or unprintable, a tenant or environment can have no such
    name, nothing is allowed, or the key would have expired already.
    """
    if not 1 <= len(name) <= MAX_NAME_CHARS or not name.isprintable():
        raise InvalidRequest(f"the name of a key must have 1 to {MAX_NAME_CHARS} printable characters")
    if not (tenants or environments) or not actions:
        raise InvalidRequest("a key needs at least one tenant (or *) or environment, and one action")
    now = ports.clock.now()
    if expires_at is not None and expires_at <= now:
        raise InvalidRequest(f"a key that expires at {expires_at.isoformat()} would be of no use: that is past")
    secret = PREFIX + base64.urlsafe_b64encode(ports.entropy.token_bytes(SECRET_BYTES)).decode().rstrip("=")
    key = ApiKey(
        id=key_id(secret),
        name=name,
        tenants=frozenset(tenant if tenant == ANY_TENANT else parse_tenant(tenant) for tenant in tenants),
        actions=frozenset(actions),
        created_at=now,
        expires_at=expires_at,
        environments=frozenset(
            environment if environment == ANY_ENVIRONMENT else parse_environment_id(environment)
            for environment in environments
        ),
    )
    return NewKey(secret, ports.catalog.add_key(key))


def list_keys(ports: Ports) -> list[ApiKey]:
    """Every key, newest first, those that have expired too."""
    return sorted(ports.catalog.keys(), key=lambda key: (key.created_at, key.id), reverse=True)


def revoke_key(ports: Ports, key: str) -> ApiKey:
    """End a key, named by its id, the beginning of it that people are shown, or its secret, at once; as it is stored
    then. Its record stays.

    Repeating it changes nothing. Raises KeyNotFound, and InvalidRequest where several ids begin like that.
    """
    wanted = key_id(key) if is_secret(key) else _whole_id(ports, key)
    while True:
        stored = ports.catalog.key(wanted)
        now = ports.clock.now()
        if stored.expired(now):
            return stored
        try:
            return ports.catalog.replace_key(replace(stored, expires_at=now))
        except StaleRecord:
            continue


def authenticate(ports: Ports, secret: str | None) -> ApiKey:
    """The key behind a secret.

    Raises Unauthorized with one and the same sentence when it is missing, malformed, unknown or expired. Nothing is
    compared with a stored secret: the record is found by the secret's hash, so the time it takes tells nothing about
    other keys.
    """
    if secret is None or not is_secret(secret):
        raise _unauthorized()
    try:
        key = ports.catalog.key(key_id(secret))
    except KeyNotFound:
        raise _unauthorized() from None
    now = ports.clock.now()
    if key.expired(now):
        raise _unauthorized()
    if key.last_used_at is None or now - key.last_used_at >= NOTED_EVERY:
        return _used(ports, key, now)
    return key


def _whole_id(ports: Ports, given: str) -> str:
    if not SHOWN_ID_CHARS <= len(given) < ID_CHARS:
        return given
    found = [key.id for key in list_keys(ports) if key.id.startswith(given)]
    if len(found) > 1:
        raise InvalidRequest(f"{len(found)} keys have ids that begin with {given}; give more of it: {', '.join(found)}")
    return found[0] if found else given


def _used(ports: Ports, key: ApiKey, now: datetime) -> ApiKey:
    try:
        return ports.catalog.replace_key(replace(key, last_used_at=now))
    except KeyNotFound:
        raise _unauthorized() from None
    except (StaleRecord, Unavailable):
        # Another request has just noted it, or the table is busy: the key is as good without the note.
        return key


def _unauthorized() -> Unauthorized:
    return Unauthorized("the API key is missing, unknown or expired; send it as Authorization: Bearer <key>")
