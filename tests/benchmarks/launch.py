"""Runs one command and notes in a file what it took: `launch.py FILE COMMAND...`.

A process counts the memory of the one it was forked from until it runs its own program. So commands are started from
this one, which is small.
"""

import os
import sys


def main(note: str, *command: str) -> int:
    _, status, usage = os.wait4(os.posix_spawnp(command[0], command, os.environ), 0)
    with open(note, "w") as file:  # noqa: PTH123 - pathlib would make this process a larger one
        file.write(f"{usage.ru_utime + usage.ru_stime} {usage.ru_maxrss / 1024}")
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
