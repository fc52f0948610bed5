"""The whole path of the product over real sockets, with worker processes."""

from tests.e2e.served import Caller
from tests.e2e.walk import walk


def test_walk_passes_through_the_api(caller: Caller) -> None:
    walk(caller)
