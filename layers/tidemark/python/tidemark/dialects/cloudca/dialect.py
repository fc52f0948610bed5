"""The dialect of cloud.ca as the entry of the functions knows it."""

from typing import Final

from tidemark.dialects.cloudca.errors import render
from tidemark.dialects.cloudca.requests import environment_in
from tidemark.dialects.cloudca.routes import of_environment, refusal
from tidemark.dialects.dialect import Dialect
from tidemark.dialects.wire import Request
from tidemark.domain.environment import EnvironmentId


def _environment(request: Request) -> EnvironmentId | None:
    return environment_in(request) if of_environment(request.route) else None


CLOUDCA: Final = Dialect("cloudca", render, refusal, environment=_environment)
