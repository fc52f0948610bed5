"""`make demo`: plays a city's day on a stack of its own, from loading data to undoing a restore, and proves each step.
Then it plays a disk's day there, and a month of hourly backups on another one.

Ends with status 0 when everything was as it must be, else with 1 and a sentence that says what was not.
"""

import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.local import demo_schedule
from tests.local.city import SEED, city, read_again
from tests.local.demo_client import Client, DemoFailed, Listing
from tests.local.demo_parts import TEST_TENANT, Parts
from tests.local.demo_reader import AFTER, BEFORE, Reader
from tests.local.demo_story import Step, Story
from tests.local.demo_transfer import IMPORT_TENANT, Transfer
from tests.local.demo_volumes import Disk
from tests.local.deployer import DeployError
from tests.local.environments import DECLARATION
from tests.local.keys import headers_of, seed_key
from tests.local.stack import LocalStack
from tests.local.template import TemplateError

ENTITIES = 1250
NEW_ENTITIES = 40
DESCRIPTION = "Pre-deployment backup"
RESTORE_PHASES = ["Plan", "Stage", "Verify", "Cutover", "Preserve", "Retire"]
# What suits two cores and a story of a minute.
PARAMETERS = {
    "ShardsPerTenant": "4",
    "GatesPerTenant": "4",
    "ShardConcurrency": "4",
    "StageConcurrency": "4",
    "InlineBudgetSeconds": "20",
    "ReadDrainSeconds": "1",
    "Environments": DECLARATION,
}
_TENANT = "smartcity"
_POLL_INTERVAL_S = 0.15
_RESTORE_TIMEOUT_S = 120
_NOTE = (
    "The times are those of this machine and of moto, which pretends to be AWS here: "
    "they say nothing about how fast Tidemark is on AWS."
)


class Demo:
    """The story's state from step to step."""

    def __init__(self, story: Story, stack: LocalStack, client: Client, headers: dict[str, str]) -> None:
        self._story = story
        self._stack = stack
        self._client = client
        self._headers = headers
        self._wreckage: dict[str, int] = {}

    def play(self) -> None:
        """Everything after the start of the stack.

        Raises:
            DemoFailed: something was not as it must be.
        """
        loaded = self._load()
        backup = self._create(loaded)
        wrecked = self._parts(loaded, self._wreck(loaded), backup)
        self._transfer(loaded, backup)
        restore = self._restore("Restore it while a reader keeps reading", backup, {}, wrecked, loaded)
        self._prove("Compare all entities with what was loaded", loaded)
        safety = self._find_safety_snapshot(restore, wrecked)
        self._restore("Undo that: restore the safety snapshot", safety, {"safetySnapshot": False}, loaded, wrecked)
        self._prove("Compare all entities with the wrecked state", wrecked)
        self._list_and_delete([safety, backup])

    def _load(self) -> Listing:
        with self._story.step(f"Load {ENTITIES:,} entities of a city over HTTP") as step:
            batches = self._client.update("append", list(city(ENTITIES)))
            listing = self._client.listing()
            types = self._client.expect(200, "GET", "/v2/types?limit=100").json()
            _same("the number of entities", listing.total, ENTITIES)
            step.result = f"{listing.total:,} of {len(types)} types, {batches} batches"
        return listing

    def _create(self, loaded: Listing) -> str:
        with self._story.step(f'Create the snapshot "{DESCRIPTION}"') as step:
            made = self._client.expect(201, "POST", "/v2/snapshots", {"description": DESCRIPTION}).json()
            _same("the members of the answer", list(made), ["id", "description", "createdAt", "entityCount", "status"])
            _same("the snapshot's status", made["status"], "completed")
            _same("the snapshot's entityCount", made["entityCount"], loaded.total)
            step.tell(made["id"])
            step.result = f"{made['status']}, {made['entityCount']:,} entities"
        return str(made["id"])

    def _wreck(self, loaded: Listing) -> Listing:
        """A deployment goes wrong: it writes to a third of the entities, deletes a fifth, and makes some up."""
        with self._story.step("Wreck the data: updates, deletes, new entities") as step:
            chance = random.Random(SEED)
            before = list(city(ENTITIES))
            updated = [read_again(entity, chance) for number, entity in enumerate(before) if number % 3 == 0]
            deleted = [entity for number, entity in enumerate(before) if number % 5 == 1 and number % 3 != 0]
            new = [{**entity, "id": f"{entity['id']}-test"} for entity in before[:NEW_ENTITIES]]
            self._client.update("update", updated)
            self._client.update("delete", [{"id": entity["id"], "type": entity["type"]} for entity in deleted])
            self._client.update("append", new)
            wrecked = self._client.listing()
            _same("the number of entities", wrecked.total, loaded.total - len(deleted) + len(new))
            step.result = f"{len(updated)} updated, {len(deleted)} deleted, {len(new)} new"
        self._wreckage = {"created": len(deleted), "updated": len(updated), "deleted": len(new)}
        return wrecked

    def _parts(self, loaded: Listing, wrecked: Listing, backup: str) -> Listing:
        """See what a restore would do, look inside, take a part, put it elsewhere; what is live then."""
        first = next(city(ENTITIES))
        with self._connect(TEST_TENANT) as elsewhere:
            parts = Parts(self._story, self._client, elsewhere, self._follow_quietly)
            parts.see_first(backup, self._wreckage)
            parts.compare(backup, self._wreckage)
            parts.look_inside(backup, first)
            wrecked = parts.restore_one_type(backup, first["type"], loaded, wrecked)
            parts.restore_elsewhere(backup, loaded)
        return wrecked

    def _transfer(self, loaded: Listing, backup: str) -> None:
        """Take the snapshot out as files, and bring them in again elsewhere."""
        with self._connect(IMPORT_TENANT) as elsewhere:
            transfer = Transfer(self._story, self._client, elsewhere)
            manifest, files = transfer.export(backup)
            transfer.import_(manifest, files, loaded)

    def _restore(self, title: str, snapshot: str, wanted: dict[str, Any], before: Listing, after: Listing) -> str:
        with self._story.step(title) as step:
            with Reader(self._connect, before, after) as reader:
                answer = self._client.expect(202, "POST", f"/v2/snapshots/{snapshot}/restore", wanted)
                accepted = answer.json()
                _same("the members of the answer", list(accepted)[:3], ["id", "status", "restoredEntities"])
                _same("the answer's status", accepted["status"], "restoring")
                _same("the answer's restoredEntities", accepted["restoredEntities"], after.total)
                phases = self._follow(step, answer.headers["Location"])
            skipped = [] if wanted.get("safetySnapshot", True) else ["Preserve"]
            _same("the phases", phases, [phase for phase in RESTORE_PHASES if phase not in skipped])
            reads = reader.judge()
            step.result = f"completed; reads: {reads[BEFORE]} before, {reads[AFTER]} after, 0 mixed"
        return str(accepted["restoreId"])

    def _follow(self, step: Step, location: str) -> list[str]:
        """Tell the phases as they pass; their names once the restore has completed."""
        return self._wait(self._client, location, step.tell)

    def _follow_quietly(self, client: Client, location: str) -> list[str]:
        return self._wait(client, location, lambda _line: None)

    def _wait(self, client: Client, location: str, tell: Callable[[str], None]) -> list[str]:
        told: list[str] = []
        deadline = time.monotonic() + _RESTORE_TIMEOUT_S
        while True:
            restore = client.expect(200, "GET", location).json()
            names = [start["phase"] for start in restore["phases"]]
            for phase in names[len(told) :]:
                tell(f"{phase:8}  {restore['done']:,} of {restore['total']:,} entities staged")
            told = names
            if restore["status"] != "restoring":
                _same("the restore's status", restore["status"], "completed")
                return told
            if time.monotonic() > deadline:
                raise DemoFailed(f"{location} is still in phase {restore['phase']} after {_RESTORE_TIMEOUT_S} s")
            time.sleep(_POLL_INTERVAL_S)

    def _prove(self, title: str, expected: Listing) -> None:
        with self._story.step(title) as step:
            found = self._client.listing()
            if found != expected:
                differing = Counter(found.ids)
                differing.subtract(expected.ids)
                odd = sorted(name for name, count in differing.items() if count)[:5]
                raise DemoFailed(f"the entities are not those expected ({found.total} of {expected.total}): {odd}")
            size = sum(map(len, found.pages))
            step.result = f"{found.total:,} entities, {size:,} bytes, all equal"

    def _find_safety_snapshot(self, restore: str, wrecked: Listing) -> str:
        with self._story.step("Find the safety snapshot that the restore took") as step:
            found = self._client.expect(200, "GET", f"/v2/restores/{restore}").json()["safetySnapshotId"]
            safety = self._client.expect(200, "GET", f"/v2/snapshots/{found}").json()
            _same("the safety snapshot's status", safety["status"], "completed")
            _same("the safety snapshot's entityCount", safety["entityCount"], wrecked.total)
            step.tell(f"{found}: {safety['description']}")
            step.result = f"{safety['status']}, {safety['entityCount']:,} entities"
        return str(found)

    def _list_and_delete(self, expected: list[str]) -> None:
        with self._story.step("List the snapshots, newest first") as step:
            listed = self._client.expect(200, "GET", "/v2/snapshots").json()
            _same("the ids in the list", [snapshot["id"] for snapshot in listed], expected)
            for snapshot in listed:
                step.tell(
                    f"{snapshot['id']}  {snapshot['status']}  {snapshot['entityCount']:,}  {snapshot['description']}"
                )
            step.result = f"{len(listed)} snapshots"
        with self._story.step("Delete them") as step:
            for snapshot in expected:
                self._client.expect(204, "DELETE", f"/v2/snapshots/{snapshot}")
                self._client.expect(404, "GET", f"/v2/snapshots/{snapshot}")
            _same("the list", self._client.expect(200, "GET", "/v2/snapshots").json(), [])
            step.result = f"{len(expected)} deleted, none left"

    def _connect(self, tenant: str = _TENANT) -> Client:
        return Client(self._stack.url, {**self._headers, "Fiware-Service": tenant})


def _same(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise DemoFailed(f"{what} must be {expected!r}; it is {found!r}")


def play(story: Story) -> None:
    """Start a stack and play the whole story on it.

    Raises:
        DemoFailed: something was not as it must be.
        TemplateError, DeployError: the template cannot be deployed.
    """
    with story.step("Start the stack of template.yaml on this machine") as step:
        stack = LocalStack.serve(parameters=PARAMETERS)
        step.result = f"{len(stack.deployment.functions)} functions, {len(stack.api.routes)} routes, {stack.url}"
    with stack:
        try:
            key = seed_key(stack)
            headers = headers_of(key, _TENANT)
            with Client(stack.url, headers) as client:
                Demo(story, stack, client, headers).play()
            Disk(story, stack, key).play()
        except DemoFailed:
            _show_errors(stack)
            raise
    demo_schedule.play(story)


def _show_errors(stack: LocalStack) -> None:
    wrong = [line for line in stack.log_lines() if '"ERROR"' in line or '"WARNING"' in line or "[ERROR]" in line]
    for line in wrong[-10:]:
        print(f"  log: {line[:500]}", file=sys.stderr)


def main() -> int:
    """Play the story and tell how it went."""
    story = Story()
    try:
        play(story)
    except (DemoFailed, TemplateError, DeployError, OSError, TimeoutError) as error:
        print(f"\nThe demo failed in step {len(story.steps) + 1}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    print(f"\n{story.table()}\n\n{_NOTE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
