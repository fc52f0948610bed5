"""The entries of this dialect's routes in the API's description; see `tidemark.dialects.ngsi.openapi`."""
