"""Environments: which volumes of which region of AWS are meant by a service code and an environment's name.

Source: the cloud.ca documentation, "Environments", for what a name may look like.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, NewType
from urllib.parse import parse_qsl

from tidemark.domain.tenant import Tenant
from tidemark.errors import InvalidRequest

EnvironmentId = NewType("EnvironmentId", str)

ANY_ENVIRONMENT: Final = "*"
_IMAGES_OF: Final = "volume-images/"
MAX_NAME_CHARS: Final = 50
# What EC2 allows of tags.
MAX_TAGS: Final = 50
MAX_TAG_KEY_CHARS: Final = 128
MAX_TAG_VALUE_CHARS: Final = 256
# What is made at EC2 for a snapshot or task is found by tags that begin with this.
OWN_TAG_PREFIX: Final = "tidemark:"
_NAME: Final = re.compile(rf"[a-z0-9][a-z0-9_-]{{0,{MAX_NAME_CHARS - 1}}}")
_REGION: Final = re.compile(r"[a-z]{2}(?:-[a-z]{1,20}){1,3}-[1-9]\d?")
_DECLARED: Final = re.compile(r"(?P<service_code>[^/@?]*)/(?P<name>[^/@?]*)@(?P<region>[^/@?]*)\?(?P<tags>.*)")


@dataclass(frozen=True, slots=True)
class Environment:
    """The catalog record of one environment. `version` is the compare-and-swap token of the record.

    A volume of the region belongs to it if it has all of `tags`, with these very values. There is at least one, since
    without any the environment would be everything that the account has in the region. `declared` says that a parameter
    of the stack declares it, which alone changes and removes it then; `taken_over`, that it was there before.
    """

    service_code: str
    name: str
    region: str
    created_at: datetime
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    declared: bool = False
    taken_over: bool = False
    version: int = 0

    @property
    def id(self) -> EnvironmentId:
        """What keys and records know it by: `compute-on/test_area`."""
        return EnvironmentId(f"{self.service_code}/{self.name}")

    def has(self, tags: Mapping[str, str]) -> bool:
        """Whether a volume with these tags belongs to it."""
        return bool(self.tags) and all(tags.get(key) == value for key, value in self.tags.items())

    def checked(self) -> "Environment":
        """The same. Raises InvalidRequest where something is wrong with it, naming that."""
        environment_id(self.service_code, self.name)
        if _REGION.fullmatch(self.region) is None:
            raise InvalidRequest(f"the region of {self.id} must be one such as eu-west-1; it is {self.region[:40]!r}")
        if not 1 <= len(self.tags) <= MAX_TAGS:
            raise InvalidRequest(
                f"{self.id} needs 1 to {MAX_TAGS} tags that its volumes have, such as Environment=test_area; "
                f"there are {len(self.tags)}"
            )
        for key, value in self.tags.items():
            if not 1 <= len(key) <= MAX_TAG_KEY_CHARS or len(value) > MAX_TAG_VALUE_CHARS:
                raise InvalidRequest(
                    f"the tag {key[:60]!r} of {self.id} can be no volume's: a key has 1 to {MAX_TAG_KEY_CHARS} "
                    f"characters, a value at most {MAX_TAG_VALUE_CHARS}"
                )
            if key.startswith(OWN_TAG_PREFIX):
                raise InvalidRequest(
                    f"the tag {key[:60]!r} of {self.id} is of Tidemark's own, which it puts on what it makes at EC2; "
                    f"choose one that does not begin with {OWN_TAG_PREFIX}"
                )
        return self


def environment_id(service_code: str, name: str) -> EnvironmentId:
    """The id of the environment that a path names. Raises InvalidRequest where none can have such a name.

    Neither part has a slash or a `#`, so the id can be a part of object keys and table keys.
    """
    for called, text in (("service code", service_code), ("name", name)):
        if _NAME.fullmatch(text) is None:
            raise InvalidRequest(
                f"the {called} of an environment has 1 to {MAX_NAME_CHARS} small letters, digits, hyphens and "
                f"underscores, the first a letter or digit; it is {text[:60]!r}"
            )
    return EnvironmentId(f"{service_code}/{name}")


def parse_environment_id(text: str) -> EnvironmentId:
    """The id that a text such as `compute-on/test_area` is. Raises InvalidRequest."""
    service_code, slash, name = text.partition("/")
    if not slash:
        raise InvalidRequest(f"an environment is written as compute-on/test_area; {text[:60]!r} has no slash")
    return environment_id(service_code, name)


def image_owner(environment: EnvironmentId) -> Tenant:
    """Whose the stored images of an environment are, where objects of tenants are filed under the tenant.

    It has a hyphen before its first slash, which no tenant's name has.
    """
    return Tenant(f"{_IMAGES_OF}{environment}")


def environment_of(owner: Tenant) -> EnvironmentId | None:
    """The environment whose images are this owner's; None where it is a tenant."""
    return EnvironmentId(owner.removeprefix(_IMAGES_OF)) if owner.startswith(_IMAGES_OF) else None


def spoken(owner: Tenant) -> str:
    """An owner of objects as people are told of it: `tenant smartcity`, `environment compute-on/test_area`."""
    environment = environment_of(owner)
    return f"tenant {owner}" if environment is None else f"environment {environment}"


def declared_environments(text: str, created_at: datetime) -> list[Environment]:
    """The environments that a parameter declares: lines as of `declared_environment`, with commas, spaces or line ends
    between them. Raises InvalidRequest, also for one that is declared twice.
    """
    found: dict[EnvironmentId, Environment] = {}
    for line in re.split(r"[\s,]+", text.strip(" \t\r\n,")) if text.strip(" \t\r\n,") else ():
        one = replace(declared_environment(line, created_at), declared=True)
        if one.id in found:
            raise InvalidRequest(f"the environment {one.id} is declared twice")
        found[one.id] = one
    return list(found.values())


def declared_environment(text: str, created_at: datetime) -> Environment:
    """The environment that a line declares: `compute-on/test_area@ca-central-1?Environment=test_area&Team=x`.

    Tags are written as in a URL, so that their keys and values can hold any character. Raises InvalidRequest.
    """
    match = _DECLARED.fullmatch(text.strip())
    if match is None:
        raise InvalidRequest(
            f"{text[:100]!r} declares no environment: write compute-on/test_area@ca-central-1?Environment=test_area"
        )
    try:
        pairs = parse_qsl(match["tags"], keep_blank_values=True, strict_parsing=True, errors="strict")
    except ValueError as error:
        raise InvalidRequest(f"the tags in {text[:100]!r} must be written as Key=value&Key=value: {error}") from None
    if len(pairs) > len(dict(pairs)):
        raise InvalidRequest(f"{text[:100]!r} has a tag twice; a volume has each tag once")
    return Environment(match["service_code"], match["name"], match["region"], created_at, dict(pairs)).checked()
