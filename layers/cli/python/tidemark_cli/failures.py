"""How a command ends when it does not succeed: an exit code for scripts and one sentence for people."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a script can tell apart. 2 is also what a wrong command line ends with."""

    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    CONFLICT = 4
    NOT_ALLOWED = 5
    UNAVAILABLE = 6


class Failed(Exception):
    """The command ends with this code and sentence."""

    def __init__(self, code: ExitCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Refused(Failed):
    """The service answered with an error. `location` is what it names as being in the way, if it does."""

    def __init__(self, code: ExitCode, message: str, *, status: int, location: str | None = None) -> None:
        super().__init__(code, message)
        self.status = status
        self.location = location


class Unreachable(Exception):
    """No answer came. `sent` says whether the request may have arrived all the same."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent
