"""How moto is changed: one function that refuses when what it replaces is no longer there."""

import importlib.metadata
from collections.abc import Callable
from typing import Any

MOTO_VERSION = "5.2.5"


def require_moto() -> None:
    """Raise RuntimeError if another moto is installed than the patches were written for."""
    installed = importlib.metadata.version("moto")
    if installed != MOTO_VERSION:
        raise RuntimeError(
            f"the local stack patches moto {MOTO_VERSION}, found {installed}: run 'make setup', or check each patch"
        )


def replace[**P, R](owner: Any, name: str, replacement: Callable[P, R] | Any) -> Any:
    """Put a replacement in the place of a class's or module's member and return the original.

    Raises:
        RuntimeError: there is no such member to replace.
    """
    require_moto()
    if name not in vars(owner):
        raise RuntimeError(
            f"{getattr(owner, '__name__', owner)} has no {name} any more: the patch in tests/local must be checked anew"
        )
    original = getattr(owner, name)
    setattr(owner, name, replacement)
    return original
