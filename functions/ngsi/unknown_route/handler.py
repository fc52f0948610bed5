"""Every path and method that no other function serves: 404, or 405 with the methods that the path has."""

from tidemark import web

handler = web.handler({})
