"""Where the product is. The local stack itself deploys any template; what needs the product's own code says so here."""

import sys
from pathlib import Path
from typing import Final

# What keeps nothing between two calls, so that all functions of a process may share it; what it imports is here too.
STATELESS: Final = (
    *("tidemark.domain", "tidemark.errors", "tidemark.ports"),
    *(
        f"tidemark.engine.{part}"
        for part in ("blocks", "changes", "collect", "copying", "framing", "live", "manifests")
    ),
    *(f"tidemark.engine.{part}" for part in ("merge", "packs", "records", "storing", "verification")),
)
_LAYER = Path(__file__).resolve().parents[2] / "layers" / "tidemark" / "python"


def find_product() -> None:
    """Put the product on Python's path, where pytest's settings have not done so. Import it after that."""
    if str(_LAYER) not in sys.path:
        sys.path.append(str(_LAYER))
