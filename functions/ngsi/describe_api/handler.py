"""What everybody may read without a key: the description of the API, the page that shows it, and that it is up.

One function for the three: they need no right at all, and one process that is warm serves them all.
"""

from pathlib import Path

from tidemark import web
from tidemark.dialects.ngsi.open_routes import routes

handler = web.handler(routes(Path(__file__).with_name("openapi.json")))
