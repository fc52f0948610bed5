"""Lets copies of packages stand beside each other in one process: each imports from its own copy, also long after it
was loaded.

What a function imports when it is called, Python looks for in `sys.modules`, where the packages of the process itself
are, or none. An error raised there would be of another class than the one that the copy knows.

Modules that keep nothing between two calls are the same in every copy, so copies may have them in common.
"""

import builtins
import contextlib
import importlib
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, Final

# Where a module of a copy keeps which copy it is of.
_OWN: Final = "__own_modules__"
# Who loads modules has `sys.modules` as it wants it.
loading: Final = threading.RLock()


class OwnModules:
    """The modules of one copy. `packages` are those that it has of its own, with all that is in them; of these, those
    that `common` holds are loaded once for all copies that have it.
    """

    def __init__(self, packages: Sequence[str], names: frozenset[str], common: "CommonModules | None" = None) -> None:
        self._packages = tuple(packages)
        self._names = names
        self._common = common
        self._modules: dict[str, ModuleType] = {}

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Until the block ends, these modules are those of the process. What is imported meanwhile joins them."""
        with loading:
            others = self._take()
            sys.modules.update(self._modules)
            if self._common is not None:
                sys.modules.update(self._common.held())
            try:
                yield
            finally:
                taken = self._take()
                if self._common is not None:
                    taken = self._common.keep(taken)
                    self._join(self._common.held())
                self._modules |= taken
                for module in self._modules.values():
                    self.claim(module)
                sys.modules.update(others)

    def claim(self, module: ModuleType) -> None:
        """Let the module import from this copy."""
        vars(module)[_OWN] = self

    def has_part_in(self, name: str) -> bool:
        """Whether the copy has a module of its own of that name, or one that it is within."""
        return name.partition(".")[0] in self._modules

    def known(self, name: str, wanted: Sequence[str]) -> ModuleType | None:
        """What `import name`, or `from name import wanted`, gives, where that needs no loading."""
        module = self._modules.get(name) or (self._common.held().get(name) if self._common is not None else None)
        if module is None or not all(hasattr(module, one) for one in wanted):
            return None
        return module if wanted else self._modules[name.partition(".")[0]]

    def _join(self, others: Mapping[str, ModuleType]) -> None:
        """Make them members of the packages that they are in, as the import of each did in one copy only."""
        for name, module in others.items():
            package, _, member = name.rpartition(".")
            if package in self._modules:
                setattr(self._modules[package], member, module)

    def _take(self) -> dict[str, ModuleType]:
        taken = [
            name
            for name in sys.modules
            if name in self._names
            or any(name == package or name.startswith(f"{package}.") for package in self._packages)
        ]
        return {name: sys.modules.pop(name) for name in taken}


class CommonModules(OwnModules):
    """Modules that many copies have in common: those of these names, with all that is in them.

    Whatever else they are in or import must be in common too, or be nobody's own.
    """

    def __init__(self, packages: Sequence[str], names: Sequence[str]) -> None:
        super().__init__(packages, frozenset())
        self._held: dict[str, ModuleType] = {}
        self._inside = tuple(f"{name}." for name in names)
        with self.in_place():
            for name in names:
                importlib.import_module(name)
        self.keep(self._modules)

    def held(self) -> Mapping[str, ModuleType]:
        """Those that are loaded, by name."""
        return self._held

    def keep(self, loaded: Mapping[str, ModuleType]) -> dict[str, ModuleType]:
        """Hold those that are to be in common; the others are returned."""
        mine = {name: module for name, module in loaded.items() if f"{name}.".startswith(self._inside)}
        for name in mine.keys() - self._held.keys():
            self._held[name] = self._modules[name] = mine[name]
            self.claim(mine[name])
        return {name: module for name, module in loaded.items() if name not in mine}


class Importing:
    """Takes the place of Python's import, and knows whose each module is. `real` is what it stands for."""

    def __init__(self) -> None:
        self.real = builtins.__import__
        builtins.__import__ = self._import

    def close(self) -> None:
        """Put Python's own import back."""
        builtins.__import__ = self.real

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,  # noqa: A002 - as Python calls it
        locals: Mapping[str, Any] | None = None,  # noqa: A002 - as Python calls it
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        own: OwnModules | None = globals.get(_OWN) if globals else None
        if own is None or level or not own.has_part_in(name):
            return self.real(name, globals, locals, fromlist or (), level)
        known = own.known(name, fromlist or ())
        if known is not None:
            return known
        with own.in_place():
            return self.real(name, globals, locals, fromlist or (), level)
