"""How long to wait before something is asked again whose end nobody knows."""

from datetime import timedelta


def ask_again_in_s(waited: timedelta, *, shortest_s: int, longest_s: int) -> int:
    """A tenth of the time that was waited so far, within bounds, in whole seconds: what is quick is seen soon, and what
    takes hours costs few requests.
    """
    return min(max(shortest_s, int(waited.total_seconds()) // 10), longest_s)
