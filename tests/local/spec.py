"""What the deployer tells the servers of functions and of the REST API."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class FunctionSpec:
    """A deployed Lambda function."""

    logical_id: str
    name: str
    arn: str
    handler: str
    code_directory: Path
    layer_directories: tuple[Path, ...]
    """Folders for Python's path; a layer of third-party packages has none, the running interpreter has them."""
    environment: Mapping[str, str]
    timeout_s: int
    memory_mb: int
    log_group: str
    runtime: str
    reserved_concurrency: int | None = None
    log_settings: Mapping[str, str] = field(default_factory=dict)
    """AWS_LAMBDA_LOG_FORMAT and AWS_LAMBDA_LOG_LEVEL as Lambda sets them from LoggingConfig."""


@dataclass(frozen=True)
class ApiSpec:
    """A deployed REST API: its OpenAPI document as samtranslator emits it, and its stage."""

    logical_id: str
    api_id: str
    document: Mapping[str, Any]
    stage: str
    stage_settings: Mapping[str, Any] = field(default_factory=dict)
    """Throttling, logging and tracing: kept, without local effect."""


@dataclass(frozen=True)
class StreamSpec:
    """A stream of a table that feeds a function."""

    stream_arn: str
    table: str
    function: str
    batch_size: int
    filters: Sequence[Mapping[str, Any]]
    """Patterns of EventBridge, of which a record must fit one; without any, all are fed."""
    reports_failures: bool
    bisects: bool
    retries: int
    """How often a batch is tried again; -1: for as long as the stream holds it."""
    dead_letters_arn: str | None


@dataclass(frozen=True)
class CustomResourceSpec:
    """A resource that a function of the stack makes."""

    logical_id: str
    kind: str
    function: str
    properties: Mapping[str, Any]
