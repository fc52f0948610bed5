"""A function loads what it works on, and nothing of what others work on: each cold start waits for all of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repo.sources import ROOT

type Loaded = dict[str, set[str]]

# The machines of the group `backup` are for both kinds of snapshot, and the stream has the records of all.
BOTH = ("announce", "backup/")
OF_VOLUMES = (*BOTH, "cloudca/", "declare_environments", "volume_backup/", "volume_restore/")
# Slots are reckoned with by those that answer for schedules, and by the machine that runs them.
OF_SCHEDULES = ("preview_retention",)

VOLUMES = (
    "tidemark.adapters.dynamo_volumes",
    "tidemark.adapters.ebs_volumes",
    "tidemark.adapters.ec2_disks",
    "tidemark.dialects.cloudca.answers",
    "tidemark.dialects.cloudca.requests",
    "tidemark.domain.task",
    "tidemark.domain.volume",
    "tidemark.engine.blocks",
    "tidemark.ports.volume_catalog",
    "tidemark.ports.volumes",
)
STORING_BLOCKS = (
    "tidemark.engine.blocks.capture",
    "tidemark.engine.blocks.layers",
    "tidemark.engine.blocks.packs",
)
SCHEDULES = (
    "tidemark.adapters.dynamo_schedules",
    "tidemark.adapters.eventbridge_schedules",
    "tidemark.domain.cron",
    "tidemark.domain.retention",
    "tidemark.domain.schedule",
    "zoneinfo",
)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(tmp_path_factory.mktemp("compiled"))
    command = [sys.executable, "-m", "tests.repo.what_loads"]
    found = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, env=environment)
    return {name: set(modules) for name, modules in json.loads(found.stdout).items()}


def test_functions_that_see_no_volume_load_nothing_of_volumes(loaded: Loaded) -> None:
    others = {name: modules for name, modules in loaded.items() if not name.startswith(OF_VOLUMES)}
    assert len(others) > 40
    assert _loading(others, VOLUMES) == []


def test_functions_that_see_no_schedule_load_nothing_of_schedules(loaded: Loaded) -> None:
    others = {
        name: modules
        for name, modules in loaded.items()
        if not name.startswith(BOTH) and "schedule" not in name and Path(name).name not in OF_SCHEDULES
    }
    assert len(others) > 40
    assert _loading(others, SCHEDULES) == []


def test_requests_about_volumes_load_nothing_that_stores_or_reads_blocks(loaded: Loaded) -> None:
    # What hands out an image has to read its tables.
    requests = {name: modules for name, modules in loaded.items() if name.startswith("cloudca/")}
    assert len(requests) > 7
    assert _loading({name: of for name, of in requests.items() if "image" not in name}, STORING_BLOCKS) == []


def test_functions_of_schedules_load_them(loaded: Loaded) -> None:
    assert {"tidemark.domain.schedule", "zoneinfo"} <= loaded["ngsi/create_schedule"]


def _loading(functions: Loaded, forbidden: tuple[str, ...]) -> list[str]:
    return [
        f"{name} loads {module}"
        for name, modules in functions.items()
        for module in forbidden
        if any(one == module or one.startswith(f"{module}.") for one in modules)
    ]
