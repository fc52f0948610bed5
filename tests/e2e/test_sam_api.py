"""The same walk through SAM CLI's own front end, which knows nothing of ours."""

import pytest

from tests.e2e.served import Caller, Served
from tests.e2e.walk import walk
from tests.local.sam_api import SAM_PYTHON

pytestmark = pytest.mark.skipif(not SAM_PYTHON.is_file(), reason="SAM CLI is not installed: make setup-all")


def test_walk_passes_through_the_front_end_of_sam(served_stack: Served, caller: Caller) -> None:
    walk(caller.at(served_stack.sam_url()))


def test_sam_refuses_a_caller_when_the_key_is_unknown(served_stack: Served, caller: Caller) -> None:
    stranger = Caller(served_stack.sam_url(), "tm_" + "x" * 43, caller.tenant)
    assert stranger("GET", "/v2/snapshots").status in {401, 403}
