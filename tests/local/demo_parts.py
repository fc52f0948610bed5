"""The demo's middle: what an operator does before all is put back.

See first, compare, look inside, take a part, put it elsewhere.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.local.demo_client import Client, DemoFailed, Listing
from tests.local.demo_story import Story

TEST_TENANT = "test"
PARTIAL_PHASES = ["Plan", "Stage", "Verify", "CatchUp", "Cutover", "Retire"]

type Follow = Callable[[Client, str], list[str]]


class Parts:
    """These steps.

    `follow` waits for a restore and gives its phases; `elsewhere` talks to the API as another tenant.
    """

    def __init__(self, story: Story, client: Client, elsewhere: Client, follow: Follow) -> None:
        self._story = story
        self._client = client
        self._elsewhere = elsewhere
        self._follow = follow

    def see_first(self, backup: str, expected: Mapping[str, int]) -> None:
        """A dry run counts exactly what the wreckage was."""
        with self._story.step("Ask what restoring it would do, without doing it") as step:
            plan = self._client.expect(200, "POST", f"/v2/snapshots/{backup}/restore", {"dryRun": True}).json()
            counts = {kind: plan["changes"][kind] for kind in expected}
            if counts != expected:
                raise DemoFailed(f"the plan must count {expected}; it counts {counts}")
            step.tell(f"{plan['plan']}, to be carried out while nothing is written")
            step.result = ", ".join(f"{count} {kind}" for kind, count in plan["changes"].items())

    def compare(self, backup: str, expected: Mapping[str, int]) -> None:
        """The difference between the snapshot and what is live is the wreckage, told entity by entity."""
        # A restore would undo it: what it creates again is what was deleted since.
        since = {**expected, "created": expected["deleted"], "deleted": expected["created"]}
        with self._story.step("Compare the snapshot with what is live") as step:
            path = f"/v2/snapshots/{backup}/diff?with=live&change=updated&limit=1"
            found = self._client.expect(200, "GET", path).json()
            if found["counts"] != since:
                raise DemoFailed(f"the difference must be {since}; it is {found['counts']}")
            [first] = found["entities"]
            name, sides = next(iter(first["attributes"].items()))
            old, new = (sides[side]["value"] for side in ("old", "new"))
            if old == new:
                raise DemoFailed(f"{name} of {first['id']} is listed though it has the value {old!r} on both sides")
            step.tell(f"{first['id']}: {name} was {old}, is {new}")
            step.result = ", ".join(f"{count} {kind}" for kind, count in found["counts"].items())

    def look_inside(self, backup: str, entity: Mapping[str, Any]) -> None:
        """One entity as it was, and how it came to be what it is."""
        with self._story.step("Read one entity as it was, and its history") as step:
            path = f"/v2/snapshots/{backup}/entities/{entity['id']}?type={entity['type']}"
            was = self._client.expect(200, "GET", path).json()
            now = self._client.expect(200, "GET", f"/v2/entities/{entity['id']}?type={entity['type']}").json()
            differing = sorted(name for name in was if was[name] != now.get(name))
            if any(was[name]["value"] != entity[name]["value"] for name in entity if name not in {"id", "type"}):
                raise DemoFailed(f"{entity['id']} is not inside the snapshot as it was loaded")
            history = self._client.expect(200, "GET", f"/v2/entities/{entity['id']}/history").json()
            if [(one["snapshotId"], one["change"]) for one in history] != [(backup, "created")]:
                raise DemoFailed(f"the history of {entity['id']} must be one snapshot; it is {history}")
            step.tell(entity["id"])
            step.result = f"differs now in {', '.join(differing)}"

    def restore_one_type(self, backup: str, kind: str, loaded: Listing, wrecked: Listing) -> Listing:
        """Only entities of one type become as they were; what is live then."""
        with self._story.step(f"Restore only what is of type {kind}") as step:
            wanted = {"filter": {"type": kind}, "safetySnapshot": False}
            answer = self._client.expect(202, "POST", f"/v2/snapshots/{backup}/restore", wanted)
            phases = self._follow(self._client, answer.headers["Location"])
            if phases != PARTIAL_PHASES:
                raise DemoFailed(f"the phases must be {PARTIAL_PHASES}; they are {phases}")
            changes = self._client.expect(200, "GET", answer.headers["Location"]).json()["changes"]
            now = self._client.listing()
            expected = [one for one in _entities(wrecked) if one["type"] != kind]
            expected += [one for one in _entities(loaded) if one["type"] == kind]
            if _by_id(_entities(now)) != _by_id(expected):
                raise DemoFailed(f"what is of type {kind} must be as it was, and all else as it is")
            count = sum(one["type"] == kind for one in expected)
            step.result = f"{count} of {now.total:,} entities are as they were ({changes['updated']} updated)"
        return now

    def restore_elsewhere(self, backup: str, loaded: Listing) -> None:
        """All of it into a tenant that did not exist: a place to test with the data of production."""
        with self._story.step(f'Restore it into the new tenant "{TEST_TENANT}"') as step:
            wanted = {"target": {"service": TEST_TENANT}, "safetySnapshot": False}
            answer = self._client.expect(202, "POST", f"/v2/snapshots/{backup}/restore", wanted)
            self._follow(self._elsewhere, answer.headers["Location"])
            found = self._elsewhere.listing()
            if found != loaded:
                raise DemoFailed(f"the entities of tenant {TEST_TENANT} are not those that were loaded")
            step.result = f"{found.total:,} entities, all equal to those that were loaded"


def _entities(listing: Listing) -> list[dict[str, Any]]:
    return [entity for page in listing.pages for entity in json.loads(page)]


def _by_id(entities: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(one["type"], one["id"]): one for one in entities}
