"""Methods that the paths of volumes do not have: 405, with those that they have."""

from tidemark import web

handler = web.handler({}, dialect="cloudca")
