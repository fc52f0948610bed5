"""Images are compared with restic where that is installed, and every restore with the image."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.benchmarks import __main__ as bench
from tests.benchmarks import file_tools, volume_images
from tests.benchmarks.running import Took, run


def test_image_is_stored_and_restored_beside_restic_where_that_is_installed(tmp_path: Path) -> None:
    part = bench.images(tmp_path, 48)
    assert "An image of 48 blocks as a raw file, 19 MB that are not zeros" in part.details
    if shutil.which("restic"):
        first, second = part.reached
        # Half of what is not zeros is noise, which no tool makes smaller.
        assert re.fullmatch(r"1\d MB, restic 1\d MB", first.measured)
        assert second.measured.startswith("0.5")


def test_image_is_measured_without_restic_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(file_tools, "is_there", lambda _name: False)
    part = bench.images(tmp_path, 12)
    assert [one.verdict for one in part.reached] == ["not measured: restic is not installed"]
    assert "| restic | not installed here: skipped" in part.details
    assert "restic is not installed: skipped (apt-get install restic)" in capsys.readouterr().err


def test_image_fails_when_a_restore_is_another_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoiled(command: Sequence[str]) -> Took:
        took = run(command)
        if "restore" in command:
            with (tmp_path / "restored.raw").open("r+b") as file:
                file.write(b"another")
        return took

    monkeypatch.setattr(volume_images, "run", spoiled)
    with pytest.raises(AssertionError, match=r"restored.raw is not .*second.raw"):
        volume_images.tidemark(volume_images.made(tmp_path, 12), tmp_path)
