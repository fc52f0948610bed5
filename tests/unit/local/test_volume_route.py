"""The volumes of a served stack are filled and saved over HTTP, from raw files and as such."""

import json
import random
from pathlib import Path

from tests.local.stack import LocalStack
from tests.local.volume_blocks import BLOCK_BYTES
from tests.local.volume_route import PATH
from tests.unit.local.conftest import TEMPLATE

CONTENT = random.Random(6).randbytes(BLOCK_BYTES) + b"more"


def test_fills_and_saves_volumes_over_http_where_the_clock_can_be_moved(tmp_path: Path) -> None:
    image, saved = tmp_path / "image.raw", tmp_path / "saved.raw"
    image.write_bytes(CONTENT)
    json_type = {"Content-Type": "application/json"}
    with LocalStack.serve(TEMPLATE, wait_scale=0.01, ticking=True) as running:
        made = running.client("ec2").create_volume(AvailabilityZone="eu-west-1a", Size=1)
        path = PATH + made["VolumeId"]

        told = running.http("POST", path, json_type, json.dumps({"fill": str(image)}))
        assert (told.status, told.json()["writtenBlocks"], told.json()["sizeBytes"]) == (200, 2, 1024**3)
        assert running.http("POST", path, json_type, json.dumps({"save": str(saved)})).status == 200
        with saved.open("rb") as opened:
            assert opened.read(len(CONTENT) + 1) == CONTENT + b"\0"
        assert running.http("GET", path).json() == told.json()
        again = running.http("POST", path, json_type, json.dumps({"save": str(saved)}))
        assert (again.status, "File exists" in again.text) == (400, True)
        assert running.http("POST", path, {"Content-Type": "text/plain"}, json.dumps({"save": "x"})).status == 415
        assert running.http("POST", path, json_type, '{"burn": 1}').status == 400
        assert running.http("DELETE", path).status == 405
        assert running.http("GET", PATH + "vol-1").status == 404
