"""What every command has in common: the options that say whom to ask, the two outputs, and how it ends."""

import inspect
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, Any, Concatenate, Final

import typer
from rich.console import Console, RenderableType

from tidemark_cli import shown
from tidemark_cli.api import Api
from tidemark_cli.failures import ExitCode, Failed
from tidemark_cli.sending import Answer, HttpSender, Sender

_PANEL: Final = "Connection and output"
_URL: Final = re.compile(r"https?://[^\s/?#]+[^\s?#]*")
_KEY: Final = re.compile(r"[\x21-\x7e]+")
_TENANT: Final = re.compile(r"[A-Za-z0-9_]{1,50}")

UrlOption = Annotated[str | None, typer.Option("--url", help="Address of the API.", rich_help_panel=_PANEL)]
KeyOption = Annotated[
    str | None,
    typer.Option("--api-key", help="API key; the variable keeps it out of process lists.", rich_help_panel=_PANEL),
]
TenantOption = Annotated[
    str | None, typer.Option("--tenant", help="Whose entities (default: default).", rich_help_panel=_PANEL)
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print the API's own JSON and nothing else.", rich_help_panel=_PANEL)
]


def _interactive() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


@dataclass(frozen=True)
class Surroundings:
    """What commands touch outside of themselves, and what was said before the command's name."""

    sender: Sender = field(default_factory=HttpSender)
    sleep: Callable[[float], None] = time.sleep
    monotonic_s: Callable[[], float] = time.monotonic
    interactive: Callable[[], bool] = _interactive
    url: str | None = None
    key: str | None = None
    tenant: str | None = None
    json: bool = False


@dataclass(frozen=True)
class Session:
    """One run of a command. `json`: standard output is for the API's own JSON alone."""

    around: Surroundings

    @property
    def json(self) -> bool:
        return self.around.json

    @cached_property
    def api(self) -> Api:
        """The service. Raises Failed where it is not said which, or with what key."""
        url = _said(self.around.url, "--url", "TIDEMARK_URL", _URL, "https://... or http://...").rstrip("/")
        key = _said(self.around.key, "--api-key", "TIDEMARK_API_KEY", _KEY, "printable characters without spaces")
        tenant = self.around.tenant
        if tenant is not None:
            _said(tenant, "--tenant", "TIDEMARK_TENANT", _TENANT, "1 to 50 letters, digits and underscores")
        return Api(self.around.sender, url, key, tenant, self.around.sleep)

    @property
    def errors(self) -> Console:
        """Standard error: progress, questions, hints."""
        return shown.console(sys.stderr)

    def tell(self, answer: Answer, render: Callable[[Any], RenderableType | None]) -> None:
        """Show an answer on standard output: as it came, or rendered for people."""
        if self.json:
            shown.write_json(answer.body)
            return
        rendered = render(answer.json())
        if rendered is not None:
            # A sentence may hold a command to copy, so it is one line however wide the terminal is.
            shown.console(sys.stdout).print(rendered, soft_wrap=isinstance(rendered, str))

    def note(self, *what: RenderableType) -> None:
        """Say something to people besides the result."""
        console = self.errors
        for one in what:
            console.print(one, soft_wrap=True)


def _said(value: str | None, option: str, variable: str, form: re.Pattern[str], described: str) -> str:
    if not value:
        raise Failed(ExitCode.USAGE, f"set {variable}, or give {option}")
    if form.fullmatch(value) is None:
        raise Failed(ExitCode.USAGE, f"{variable} or {option} must be {described}")
    return value


type Command = Callable[Concatenate[Session, ...], None]


def operation(app: typer.Typer, name: str, *, connected: bool = True) -> Callable[[Command], Command]:
    """Makes a function a command: it gets a session, and its options those of the connection (`connected`) and output.

    The options may also stand before the names of the commands.
    """
    common: dict[str, Any] = {"as_json": JsonOption}
    if connected:
        common = {"url": UrlOption, "api_key": KeyOption, "tenant": TenantOption, **common}

    def register(function: Command) -> Command:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]

        def run(*, ctx: typer.Context, **given: Any) -> None:  # noqa: ANN401 - the options, whatever the command has
            said = {name: given.pop(name, None) for name in common}
            around: Surroundings = ctx.obj
            around = replace(
                around,
                url=said.get("url") or around.url,
                key=said.get("api_key") or around.key,
                tenant=said.get("tenant") or around.tenant,
                json=bool(said["as_json"]) or around.json,
            )
            ended(lambda: function(Session(around), **given))

        parameters = [
            inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
            *(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own),
            *(
                inspect.Parameter(
                    name,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=False if name == "as_json" else None,
                    annotation=annotation,
                )
                for name, annotation in common.items()
            ),
        ]
        _declare(run, parameters)
        app.command(name, help=inspect.getdoc(function))(run)
        return function

    return register


def ended(work: Callable[[], None]) -> None:
    """Do the work of a command; what fails is one line on standard error and an exit code."""
    try:
        work()
    except Failed as failure:
        sys.stderr.write(f"tidemark: {shown.clean(failure.message)}\n")
        raise typer.Exit(failure.code) from failure
    except (LookupError, TypeError, AttributeError) as error:
        # Every answer is read as the API documents it; one that is made otherwise ends here.
        reason = shown.clean(f"{type(error).__name__}: {error}")
        sys.stderr.write(
            f"tidemark: an answer of the service is not understood ({reason}); check that TIDEMARK_URL is the address "
            "of Tidemark, and that this command is of the same version\n"
        )
        raise typer.Exit(ExitCode.FAILED) from error


def _declare(function: Any, parameters: Sequence[inspect.Parameter]) -> None:  # noqa: ANN401 - a function's own attributes
    """Typer reads a command's options from its signature and annotations."""
    function.__signature__ = inspect.Signature(list(parameters))
    function.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
