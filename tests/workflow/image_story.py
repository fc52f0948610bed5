"""What happens to images that leave and arrive, for the rights that their functions need."""

import hashlib
import json
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.local.environments import ENVIRONMENT_NAME, SERVICE_CODE
from tests.local.keys import headers_of, seed_key
from tests.local.stack import LocalStack
from tests.unit.blocks.imaging import body
from tests.workflow.volume import MACHINE, Volume

_SNAPSHOTS = f"/v1/services/{SERVICE_CODE}/{ENVIRONMENT_NAME}/snapshots"


class ImageStory:
    """A snapshot that is given out, and images that are stored, refused and given up, told over HTTP."""

    def __init__(self, stack: LocalStack) -> None:
        self._stack = stack
        self._volume = Volume(stack, size_gib=1)
        self._headers = headers_of(seed_key(stack))

    def tell(self) -> None:
        """All of it."""
        image = body("image")
        stored = self._opened(image)
        self._send(stored, image, image)
        self._complete(stored)
        assert self._state(stored) == "BackedUp"
        told = self._http("GET", f"{_SNAPSHOTS}/{stored}/image", 200)["data"]
        assert len(told["packs"]) == 1
        self._http("GET", f"{_SNAPSHOTS}/{stored}", 200)

        refused = self._opened(image)
        self._http("POST", f"{_SNAPSHOTS}/{refused}/uploads?operation=complete", 400)
        self._send(refused, body("another"), image)
        self._complete(refused)
        assert self._state(refused) == "Error"

        given_up = self._opened(image)
        self._send(given_up, image, image)
        self._http("DELETE", f"{_SNAPSHOTS}/{given_up}", 202)
        left = self._stack.client("s3").list_objects_v2(Bucket=self._bucket, Prefix="transfer-imports/volume-images/")
        assert left["KeyCount"] == 0, left

    def _opened(self, image: bytes) -> str:
        begun = self._http("POST", f"{_SNAPSHOTS}?operation=import", 202, {"sizeBytes": len(image)})
        return str(begun["snapshot"]["id"])

    def _send(self, snapshot_id: str, sent: bytes, said: bytes) -> None:
        """PUT a part to its address, and the list that says what it is."""
        told = self._http("GET", f"{_SNAPSHOTS}/{snapshot_id}/uploads", 200)["data"]
        index = f"{hashlib.sha256(said).hexdigest()}  00000000\n".encode()
        for url, content in ((told["parts"][0]["url"], sent), (told["indexUrl"], index)):
            key = unquote(urlsplit(url).path).partition(f"{self._bucket}/")[2] or unquote(urlsplit(url).path[1:])
            self._stack.client("s3").put_object(Bucket=self._bucket, Key=key, Body=content)

    def _complete(self, snapshot_id: str) -> None:
        self._http("POST", f"{_SNAPSHOTS}/{snapshot_id}/uploads?operation=complete", 202)
        machine = self._stack.physical_id(MACHINE).replace(":stateMachine:", ":execution:")
        self._stack.wait_execution(f"{machine}:{snapshot_id}_1")

    def _state(self, snapshot_id: str) -> str:
        return str(self._http("GET", f"{_SNAPSHOTS}/{snapshot_id}", 200)["data"]["state"])

    @property
    def _bucket(self) -> str:
        return self._stack.outputs["BucketName"]

    def _http(self, method: str, path: str, status: int, document: object = b"") -> Any:
        answer = self._stack.http(method, path, self._headers, document)
        assert answer.status == status, answer
        return json.loads(answer.body) if answer.body else {}
