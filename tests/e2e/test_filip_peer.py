"""filip, an NGSIv2 client library that is used as it is, against the served stack."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.served import Served
from tests.repo.sources import ROOT

PEER = Path(__file__).with_name("filip_peer.py")
PYTHON = ROOT / ".venv-ngsi" / "bin" / "python"
TIMEOUT_S = 300


@pytest.mark.slow
@pytest.mark.timeout(TIMEOUT_S + 30)
def test_filip_works_unmodified(served_stack: Served) -> None:
    assert PYTHON.exists(), "the client's environment is missing: make setup-all"
    environment = {"TIDEMARK_URL": served_stack.url, "TIDEMARK_API_KEY": served_stack.key(), "PATH": os.environ["PATH"]}
    peer = subprocess.run(
        [str(PYTHON), str(PEER)], env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert peer.returncode == 0, peer.stdout + peer.stderr
    assert re.findall(r"^ok (\w+)$", peer.stdout, re.MULTILINE) == [
        "looks_around",
        "creates_one_entity",
        "changes_one_entity",
        "creates_many_in_batches",
        "updates_in_batches",
        "lists_and_queries",
        "deletes",
    ]
