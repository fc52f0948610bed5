"""What one action does to one entity: pure functions from the present attributes to the new ones and what went wrong.

Source: Orion's manual, "Update action types" and "Updating metadata". As in Orion, an action that suits only some of
the attributes is carried out for those, and the others are reported.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from tidemark.dialects.ngsi.attributes import Attributes, replace_value


class Action(StrEnum):
    """What to do with an entity. The values are NGSIv2's `actionType`, besides two that have routes of their own."""

    CREATE = "create"
    SET_VALUE = "setValue"
    APPEND = "append"
    APPEND_STRICT = "appendStrict"
    UPDATE = "update"
    DELETE = "delete"
    REPLACE = "replace"


_CREATING: Final = frozenset({Action.CREATE, Action.APPEND, Action.APPEND_STRICT})


class Edit(NamedTuple):
    """An action on one entity.

    `override` replaces the metadata of changed attributes instead of adding to it; `existing` forbids to create one.
    """

    action: Action
    attributes: Attributes
    override: bool = False
    existing: bool = False

    @property
    def creates(self) -> bool:
        """Whether it may bring an entity into being."""
        return self.action in _CREATING and not self.existing


class Edited(NamedTuple):
    """What came of an edit.

    `attributes`: the entity's new attributes, None where it is gone. `absent` and `present` name the attributes that
    should have been there, or should not; `no_entity` and `entity_exists` say the same of the entity. `changed`:
    anything was done.
    """

    attributes: Attributes | None
    changed: bool = True
    absent: tuple[str, ...] = ()
    present: tuple[str, ...] = ()
    no_entity: bool = False
    entity_exists: bool = False

    @property
    def failed(self) -> bool:
        """Whether something was asked for that could not be done."""
        return bool(self.absent or self.present or self.no_entity or self.entity_exists)


def apply(edit: Edit, old: Attributes | None) -> Edited:
    """Carry out an edit on an entity with the attributes `old`, None where it does not exist.

    Raises InvalidRequest where a new value is not allowed for the type that its attribute has.
    """
    if old is None:
        return Edited(edit.attributes) if edit.creates else Edited(None, changed=False, no_entity=True)
    return _CARRY_OUT[edit.action](old, edit)


def _refuse(old: Attributes, edit: Edit) -> Edited:
    del edit
    return Edited(old, changed=False, entity_exists=True)


def _append(old: Attributes, edit: Edit) -> Edited:
    return Edited(_merged(old, edit.attributes, override=edit.override))


def _replace(old: Attributes, edit: Edit) -> Edited:
    del old
    return Edited(edit.attributes)


def _append_strictly(old: Attributes, edit: Edit) -> Edited:
    present = tuple(name for name in edit.attributes if name in old)
    new = {name: attribute for name, attribute in edit.attributes.items() if name not in old}
    return Edited({**old, **new}, changed=bool(new) or not present, present=present)


def _update(old: Attributes, edit: Edit) -> Edited:
    absent = tuple(name for name in edit.attributes if name not in old)
    known = {name: attribute for name, attribute in edit.attributes.items() if name in old}
    return Edited(_merged(old, known, override=edit.override), changed=bool(known) or not absent, absent=absent)


def _delete(old: Attributes, edit: Edit) -> Edited:
    named = edit.attributes
    if not named:
        return Edited(None)
    absent = tuple(name for name in named if name not in old)
    rest = {name: attribute for name, attribute in old.items() if name not in named}
    return Edited(rest, changed=len(rest) < len(old), absent=absent)


def _set_values(old: Attributes, edit: Edit) -> Edited:
    new = edit.attributes
    absent = tuple(name for name in new if name not in old)
    known = {name: replace_value(name, old[name], new[name]["value"]) for name in new if name in old}
    return Edited({**old, **known}, changed=bool(known), absent=absent)


def _merged(old: Attributes, new: Attributes, *, override: bool) -> Attributes:
    """Both, new ones winning; metadata that the new ones don't name stays, unless it is overridden."""
    merged = {**old, **new}
    for name in new.keys() & old.keys() if not override else ():
        merged[name] = {**new[name], "metadata": {**old[name]["metadata"], **new[name]["metadata"]}}
    return merged


_CARRY_OUT: Final[Mapping[Action, Callable[[Attributes, Edit], Edited]]] = {
    Action.CREATE: _refuse,
    Action.SET_VALUE: _set_values,
    Action.APPEND: _append,
    Action.APPEND_STRICT: _append_strictly,
    Action.UPDATE: _update,
    Action.DELETE: _delete,
    Action.REPLACE: _replace,
}
