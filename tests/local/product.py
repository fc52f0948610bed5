"""Where the product is. The local stack itself deploys any template; what needs the product's own code says so here."""

import sys
from pathlib import Path

_LAYER = Path(__file__).resolve().parents[2] / "layers" / "tidemark" / "python"


def find_product() -> None:
    """Put the product on Python's path, where pytest's settings have not done so. Import it after that."""
    if str(_LAYER) not in sys.path:
        sys.path.append(str(_LAYER))
