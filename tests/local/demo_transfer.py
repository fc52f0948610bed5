"""The demo's files: a snapshot leaves as plain files and comes back as another tenant's, the same to the last digit."""

import hashlib
import json
import time
from collections.abc import Callable, Iterable
from typing import Any

from tests.local.demo_client import PAGE, Client, DemoFailed, Listing, carry
from tests.local.demo_story import Story

IMPORT_TENANT = "archive"
_POLL_INTERVAL_S = 0.15
_TIMEOUT_S = 120


class Transfer:
    """These steps. `elsewhere` talks to the API as the tenant that the files are imported into."""

    def __init__(self, story: Story, client: Client, elsewhere: Client) -> None:
        self._story = story
        self._client = client
        self._elsewhere = elsewhere

    def export(self, backup: str) -> tuple[dict[str, Any], list[bytes]]:
        """The manifest, and the files that its addresses hold."""
        with self._story.step("Export it as files, over addresses that need no key") as step:
            manifest = _until(self._client, f"/v2/snapshots/{backup}/export", lambda told: "parts" in told)
            files = [carry("GET", part["url"]) for part in manifest["parts"]]
            for part, file in zip(manifest["parts"], files, strict=True):
                if hashlib.sha256(file).hexdigest() != part["sha256"]:
                    raise DemoFailed(f"{part['name']} is not the file that the manifest announces")
            step.tell(f"digest {manifest['digest']}")
            size = sum(map(len, files))
            step.result = f"{manifest['records']:,} entities, {len(files)} files, {size:,} bytes"
        return manifest, files

    def import_(self, manifest: dict[str, Any], files: list[bytes], loaded: Listing) -> None:
        """The same snapshot in a tenant that has never seen the entities: its digest is that of the export."""
        with self._story.step(f'Import the files into the new tenant "{IMPORT_TENANT}"') as step:
            opened = self._elsewhere.expect(201, "POST", "/v2/snapshots/import", {"manifest": manifest}).json()
            for told, file in zip(opened["files"], files, strict=True):
                for number, url in enumerate(told["urls"]):
                    start = number * told["partSizeBytes"]
                    carry("PUT", url, file[start : start + told["partSizeBytes"]])
            where = f"/v2/snapshots/{opened['id']}"
            self._elsewhere.expect(202, "POST", f"{where}/import")
            made = _until(self._elsewhere, where, lambda told: told["status"] != "creating")
            if made["status"] != "completed":
                raise DemoFailed(f"the import must be completed; it is {made['status']}: {made.get('error')}")
            step.tell(f"digest {made['digest']}")
            if made["digest"] != manifest["digest"]:
                raise DemoFailed(
                    f"export and import must have one digest; they have {manifest['digest']} and {made['digest']}"
                )
            if self._inside(where, loaded.total) != _by_id(loaded.pages):
                raise DemoFailed("the entities of the import are not those that were loaded")
            step.result = f"{made['entityCount']:,} entities, all equal; equal digests"

    def _inside(self, where: str, total: int) -> dict[tuple[str, str], Any]:
        pages = range(0, total, PAGE)
        return _by_id(
            [self._elsewhere.expect(200, "GET", f"{where}/entities?limit={PAGE}&offset={at}").body for at in pages]
        )


def _until(client: Client, path: str, over: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """What is answered once it is over."""
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        answer = client.send("GET", path)
        if answer.status not in {200, 202}:
            raise DemoFailed(f"GET {path} answered {answer.status}: {answer.text[:500]}")
        told: dict[str, Any] = answer.json()
        if over(told):
            return told
        if time.monotonic() > deadline:
            raise DemoFailed(f"{path} is not over after {_TIMEOUT_S} s")
        time.sleep(_POLL_INTERVAL_S)


def _by_id(pages: Iterable[bytes]) -> dict[tuple[str, str], Any]:
    return {(one["type"], one["id"]): one for page in pages for one in json.loads(page)}
