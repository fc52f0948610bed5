"""The command line `tidemark`: an operator's side of the REST API.

It speaks HTTP and knows nothing of the service's inside, but for API keys, which are made in AWS directly. No function
uses it, so it is no part of a layer.
"""
