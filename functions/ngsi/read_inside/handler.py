"""What reads snapshots: one function for all its routes, since they are one adapter of reading stored packs.

They need the same rights, and what the process keeps of manifests and tables of contents serves each of them.
"""

from tidemark import web
from tidemark.dialects.ngsi.inside_routes import ROUTES

handler = web.handler(ROUTES)
