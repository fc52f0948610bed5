"""What shells and people get from the command itself: completion, help and version."""

import os
import subprocess
import sys

import pytest

from tests.cli.running import CommandLine, Scripted


def _run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own, as a shell runs it."""
    path = os.pathsep.join(sys.path)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": path, "HOME": "/nonexistent", **variables}
    return subprocess.run(
        [sys.executable, "-m", "tidemark_cli", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_is_generated(shell: str) -> None:
    done = _run(_TIDEMARK_COMPLETE=f"source_{shell}")
    assert done.returncode == 0, done.stderr
    assert "_TIDEMARK_COMPLETE" in done.stdout
    if shell == "bash":
        assert subprocess.run(["bash", "-n"], input=done.stdout, text=True, check=False).returncode == 0


def test_shell_is_told_the_commands_that_fit() -> None:
    done = _run(_TIDEMARK_COMPLETE="complete_bash", COMP_WORDS="tidemark snapshots re", COMP_CWORD="2")
    assert done.stdout.split() == ["release", "restore", "read"]


def test_shell_is_told_the_values_of_an_option() -> None:
    words = "tidemark schedules create --overlap "
    done = _run(_TIDEMARK_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD="4")
    assert done.stdout.split() == ["skip", "queue"]


def test_shell_is_told_the_commands_and_values_of_an_inner_group() -> None:
    done = _run(_TIDEMARK_COMPLETE="complete_bash", COMP_WORDS="tidemark volumes schedules ", COMP_CWORD="3")
    assert done.stdout.split() == ["list", "create", "get", "pause", "resume", "delete"]
    words = "tidemark volumes schedules create --interval "
    done = _run(_TIDEMARK_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD="5")
    assert done.stdout.split() == ["hourly", "daily", "weekly", "monthly"]


def test_version_and_help_need_no_service() -> None:
    command = CommandLine(Scripted([]))
    assert command("--version", env={"TIDEMARK_URL": None}).out.startswith("tidemark ")
    told = command("--help", env={"TIDEMARK_URL": None})
    assert told.code == 0
    assert "Exit codes" in told.out
    assert "--install-completion" in told.out


def test_no_colour_is_sent_to_what_is_no_terminal() -> None:
    done = _run("--help", FORCE_COLOR="", NO_COLOR="1")
    assert "\x1b[3" not in done.stdout
