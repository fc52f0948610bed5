"""NGSIv2 as the entry of the functions knows it."""

from typing import Final

from tidemark.dialects.dialect import Dialect
from tidemark.dialects.ngsi.errors import render
from tidemark.dialects.ngsi.routes import OPEN, refusal

NGSI: Final = Dialect("ngsi", render, refusal, OPEN)
