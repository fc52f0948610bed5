"""The API's description as OpenAPI 3.1: one entry for each route, and the document that is made of them.

No function imports this package. What is served is the file `functions/ngsi/describe_api/openapi.json`, which
`make openapi` writes and a test holds against this, so no cold start pays for the description.
"""
