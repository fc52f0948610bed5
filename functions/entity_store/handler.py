"""The built-in NGSIv2 entity store: one function for all its routes, since they are one adapter of the same data."""

from tidemark import web
from tidemark.dialects.ngsi.entity_store import ROUTES

handler = web.handler(ROUTES)
