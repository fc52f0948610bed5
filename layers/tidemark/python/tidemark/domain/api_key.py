"""API keys: what a bearer may do, and for whom. Only the SHA-256 of a key is ever stored."""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from tidemark.domain.environment import ANY_ENVIRONMENT, EnvironmentId
from tidemark.domain.tenant import Tenant

PREFIX: Final = "tm_"
ANY_TENANT: Final = "*"
_SECRET: Final = re.compile(r"tm_[A-Za-z0-9_-]{43}")


class Action(StrEnum):
    """What a key can be made for. `ADMIN` includes the others. `HOLD`, to place and lift legal holds, comes on top of
    `SNAPSHOT`.
    """

    READ = "read"
    WRITE = "write"
    SNAPSHOT = "snapshot"
    RESTORE = "restore"
    HOLD = "hold"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """The stored side of a key.

    `id` is the SHA-256 of the secret in hexadecimal; `tenants` holds names, or `*` for all, and `environments` ids, or
    `*` for all. Neither says anything of the other: a key for every tenant is for no environment.
    """

    id: str
    name: str
    tenants: frozenset[str]
    actions: frozenset[Action]
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    environments: frozenset[str] = frozenset()
    version: int = 0

    @property
    def held(self) -> str:
        """The tenants in one string, as an authorizer's context can hold them: `*`, or their names with commas between
        them.
        """
        return ANY_TENANT if ANY_TENANT in self.tenants else ",".join(sorted(self.tenants))

    @property
    def held_environments(self) -> str:
        """The environments in one string, as an authorizer's context can hold them: `*`, or their ids with commas
        between them; empty where there are none.
        """
        return ANY_ENVIRONMENT if ANY_ENVIRONMENT in self.environments else ",".join(sorted(self.environments))

    @property
    def allowed(self) -> str:
        """What it was made for in one string, as an authorizer's context can hold it."""
        return ",".join(sorted(self.actions))

    def expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and now >= self.expires_at

    def allows(self, tenant: Tenant, action: Action) -> bool:
        """Whether the bearer may do `action` for `tenant`."""
        return bool(self.tenants & {tenant, ANY_TENANT}) and self._made_for(action)

    def allows_in(self, environment: EnvironmentId, action: Action) -> bool:
        """Whether the bearer may do `action` in `environment`."""
        return bool(self.environments & {environment, ANY_ENVIRONMENT}) and self._made_for(action)

    def allows_somewhere(self, action: Action) -> bool:
        """Whether the bearer may do `action` in some environment, where a path does not say which it is about."""
        return bool(self.environments) and self._made_for(action)

    def _made_for(self, action: Action) -> bool:
        return bool(self.actions & {action, Action.ADMIN})


def holds(held: str, tenant: Tenant) -> bool:
    """Whether a key that holds these tenants, as `ApiKey.held` writes them, is for `tenant`."""
    return held == ANY_TENANT or tenant in held.split(",")


def holds_environment(held: str, environment: EnvironmentId) -> bool:
    """Whether a key that holds these environments, as `ApiKey.held_environments` writes them, is for `environment`."""
    return held == ANY_ENVIRONMENT or environment in held.split(",")


def includes(allowed: str, action: Action) -> bool:
    """Whether a key with these actions, as `ApiKey.allowed` writes them, was made for `action`."""
    return not {action.value, Action.ADMIN.value}.isdisjoint(allowed.split(","))


def is_secret(text: str) -> bool:
    """Whether the text has the form of a key: `tm_` and 256 bits in base64url."""
    return _SECRET.fullmatch(text) is not None


def key_id(secret: str) -> str:
    """What a key is stored under: the SHA-256 of its text, in hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()
