"""What functions log: shown as it comes, and kept in the log groups of the template.

Powertools writes one JSON object a line; on a screen it becomes a level, a message and what varies. Metrics in the
embedded format are written to the same stream; on a screen they become one short line.
"""

import datetime as dt
import json
import sys
import threading
import time
from collections import deque
from typing import Any, TextIO

from moto.logs.models import LogsBackend, logs_backends

from tests.local.aws import ACCOUNT_ID, REGION
from tests.local.spec import FunctionSpec

_KEPT_LINES = 10_000
_SAME_IN_EVERY_LINE = {
    "level",
    "message",
    "timestamp",
    "location",
    "service",
    "function_name",
    "function_arn",
    "function_memory_size",
    "function_request_id",
    "cold_start",
    "sampling_rate",
    "xray_trace_id",
}
_COLOURS = {"WARNING": 33, "ERROR": 31, "CRITICAL": 31, "DEBUG": 2, "METRIC": 2}


class LogStore:
    """Takes the log lines of all functions."""

    def __init__(self, screen: TextIO | None = None) -> None:
        """Without a screen, lines are kept but not shown."""
        self.lines: deque[tuple[str, str]] = deque(maxlen=_KEPT_LINES)
        """(logical id, line) of the last lines of all functions."""
        self._screen = screen
        self._colours = screen is not None and screen.isatty()
        self._lock = threading.Lock()
        self._streams: dict[str, str] = {}

    def show(self, spec: FunctionSpec, line: str) -> None:
        """Take a line at the moment it is written."""
        self.lines.append((spec.logical_id, line))
        if self._screen is not None:
            text = self._readable(spec.logical_id, line)
            if text:
                with self._lock:
                    print(text, file=self._screen, flush=True)

    def say(self, name: str, sentence: str) -> None:
        """Show something that no function wrote."""
        if self._screen is not None:
            with self._lock:
                print(self._line(name, "STATES", sentence), file=self._screen, flush=True)

    def store(self, spec: FunctionSpec, lines: list[str]) -> None:
        """Keep the lines of one invocation in the function's log group."""
        logs: LogsBackend = logs_backends[ACCOUNT_ID][REGION]
        now_ms = int(time.time() * 1000)
        with self._lock:
            logs.ensure_log_group(spec.log_group)
            stream = self._streams.get(spec.name)
            if stream is None:
                day = dt.datetime.now(dt.UTC).strftime("%Y/%m/%d")
                stream = self._streams[spec.name] = f"{day}/{spec.name}[$LATEST]local"
                logs.create_log_stream(spec.log_group, stream)
            logs.put_log_events(spec.log_group, stream, [{"timestamp": now_ms, "message": line} for line in lines])

    def _readable(self, logical_id: str, line: str) -> str:
        level, text = "", line
        try:
            document = json.loads(line)
        except ValueError:
            document = None
        if isinstance(document, dict):
            if str(document.get("logger", "")).startswith("botocore."):
                return ""  # where it found its credentials, at each cold start
            level, text = _from_json(document)
        if not text.strip():
            return ""
        return self._line(logical_id, level, text)

    def _line(self, name: str, level: str, text: str) -> str:
        prefix = f"{name:<26} {level:<8}"
        if not self._colours:
            return f"{prefix}{text}"
        colour = _COLOURS.get(level)
        return f"\033[36m{prefix}\033[0m" + (f"\033[{colour}m{text}\033[0m" if colour else text)


def _from_json(document: dict[str, Any]) -> tuple[str, str]:
    if "_aws" in document:
        names = [metric["Name"] for group in document["_aws"]["CloudWatchMetrics"] for metric in group["Metrics"]]
        return "METRIC", "  ".join(f"{name}={_short(document.get(name))}" for name in names)
    if "errorType" in document and "stackTrace" in document:
        # An authorizer says 401 by this very error, which is nothing to look into.
        entries = [] if document.get("errorMessage") == "Unauthorized" else document["stackTrace"]
        frames = "".join(f"\n{line}" for entry in entries for line in entry.splitlines())
        return "ERROR", f"{document['errorType']}: {document.get('errorMessage')}{frames}"
    message = document.get("message", "")
    rest = "  ".join(
        f"{key}={_short(item)}" for key, item in document.items() if key not in _SAME_IN_EVERY_LINE and item is not None
    )
    return str(document.get("level", "")), f"{_short(message)}  {rest}".rstrip()


def _short(item: Any) -> str:
    if isinstance(item, list) and len(item) == 1:
        item = item[0]
    if isinstance(item, float):
        return f"{item:g}"
    return item if isinstance(item, str) else json.dumps(item, ensure_ascii=False)


def screen() -> LogStore:
    """A store that shows lines on standard output."""
    return LogStore(sys.stdout)
