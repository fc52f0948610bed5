"""Botocore's descriptions of services, read once for all the sessions of a process: they are megabytes of JSON.

A session keeps what it has read for itself alone, and each copy of a function has a session of its own.
"""

import functools
from typing import Any

from botocore.loaders import JSONFileLoader


@functools.cache
def keep_service_models() -> None:
    """From now on, let all sessions of this process share what is read from a file."""
    load_file = functools.cache(functools.partial(JSONFileLoader.load_file, JSONFileLoader()))
    loader_class: Any = JSONFileLoader
    loader_class.load_file = lambda _, path: load_file(path)
