"""Which modules the functions load with their import, each in a process of its own: a fork of one that has loaded the
third-party packages, so that looking at all functions takes seconds.
"""

import importlib
import json
import os
import sys

from tests.repo.sources import FUNCTIONS, ROOT, function_folders

_PRELOADED = ("aws_lambda_powertools", "botocore.session", "msgspec", "zstandard")


def main() -> None:
    """Print a JSON object: the modules of each function, beyond those of the third-party packages."""
    sys.path[:0] = [str(ROOT), str(ROOT / "layers" / "tidemark" / "python")]
    for name in _PRELOADED:
        importlib.import_module(name)
    before = set(sys.modules)
    loaded = {}
    for folder in function_folders():
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            importlib.import_module(".".join((*folder.relative_to(ROOT).parts, "handler")))
            with os.fdopen(writing, "w", encoding="utf-8") as pipe:
                json.dump(sorted(set(sys.modules) - before), pipe)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, encoding="utf-8") as pipe:
            loaded[folder.relative_to(FUNCTIONS).as_posix()] = json.load(pipe)
        os.waitpid(child, 0)
    json.dump(loaded, sys.stdout)


if __name__ == "__main__":
    main()
