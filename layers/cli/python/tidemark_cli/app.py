"""The command `tidemark`: its groups of commands and the options that may stand before them."""

import sys
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Final

import typer

from tidemark_cli import (
    entities,
    environments,
    image_export,
    image_import,
    keys,
    plans,
    reading,
    restores,
    restoring,
    retention,
    schedules,
    snapshots,
    transfers,
    volume_schedules,
    volume_snapshots,
    volumes,
)
from tidemark_cli.session import JsonOption, Surroundings

_PANEL: Final = "Connection and output"

app = typer.Typer(
    name="tidemark",
    help=(
        "Snapshots of NGSIv2 entities, and of volumes: take, look inside, restore.\n\n"
        "Exit codes: 0 done, 1 refused or failed, 2 wrong command line, 3 not found, 4 conflict with the present "
        "state, 5 not allowed, 6 not reachable or busy, also after retries."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
_snapshots = typer.Typer(no_args_is_help=True, help="Take snapshots, look at them, restore them, move them.")
_restores = typer.Typer(no_args_is_help=True, help="Follow and cancel restores.")
_entities = typer.Typer(no_args_is_help=True, help="Entities through all snapshots.")
_plans = typer.Typer(no_args_is_help=True, help="What dry runs of restores found.")
_schedules = typer.Typer(no_args_is_help=True, help="Have snapshots taken on a schedule, and forgotten by a policy.")
_retention = typer.Typer(no_args_is_help=True, help="Which snapshots of a schedule stay, and why.")
_keys = typer.Typer(no_args_is_help=True, help="API keys, made in AWS directly, with your AWS credentials.")
_environments = typer.Typer(
    no_args_is_help=True, help="Environments of volumes, set in AWS directly, with your AWS credentials."
)
_volumes = typer.Typer(no_args_is_help=True, help="Volumes of an environment, their snapshots, schedules and images.")
_volume_snapshots = typer.Typer(no_args_is_help=True, help="Take snapshots of volumes, and make volumes of them.")
_volume_schedules = typer.Typer(no_args_is_help=True, help="Have snapshots of volumes taken on a schedule.")
_volumes.add_typer(_volume_snapshots, name="snapshots")
_volumes.add_typer(_volume_schedules, name="schedules")
for _name, _group in (
    ("snapshots", _snapshots),
    ("restores", _restores),
    ("entities", _entities),
    ("plans", _plans),
    ("schedules", _schedules),
    ("retention", _retention),
    ("keys", _keys),
    ("environments", _environments),
    ("volumes", _volumes),
):
    app.add_typer(_group, name=_name)

snapshots.add_to(_snapshots)
restoring.add_to(_snapshots)
reading.add_to(_snapshots)
transfers.add_to(_snapshots)
restores.add_to(_restores)
entities.add_to(_entities)
plans.add_to(_plans)
schedules.add_to(_schedules)
retention.add_to(_retention)
keys.add_to(_keys)
environments.add_to(_environments)
volumes.add_to(_volumes)
volume_snapshots.add_to(_volume_snapshots)
volume_schedules.add_to(_volume_schedules)
image_export.add_to(_volumes)
image_import.add_to(_volumes)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - the form that Typer calls
    if not wanted:
        return
    try:
        told = version("tidemark")
    except PackageNotFoundError:
        told = "of a source tree"
    sys.stdout.write(f"tidemark {told}\n")
    raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    *,
    url: Annotated[
        str | None, typer.Option("--url", envvar="TIDEMARK_URL", help="Address of the API.", rich_help_panel=_PANEL)
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            "--api-key",
            envvar="TIDEMARK_API_KEY",
            help="API key; the variable keeps it out of process lists.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    tenant: Annotated[
        str | None,
        typer.Option(
            "--tenant",
            envvar="TIDEMARK_TENANT",
            help="Whose entities (default: default).",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    as_json: JsonOption = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """What may be said before a command; see `session.operation`."""
    ctx.obj = replace(ctx.obj or Surroundings(), url=url, key=api_key, tenant=tenant, json=as_json)
