"""Images with a real ext4 file system, where the machine has e2fsprogs."""

import random
from pathlib import Path

import pytest

from tests.local import ext4

needs_tools = pytest.mark.skipif(ext4.missing_tools() is not None, reason=str(ext4.missing_tools()))
SIZE_BYTES = 256 * 1024**2
CONTENT = random.Random(4).randbytes(3_000_000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "files"
    made.mkdir()
    (made / "large.bin").write_bytes(CONTENT)
    (made / "small.txt").write_text("small\n")
    return made


@needs_tools
def test_makes_the_same_sparse_image_of_the_same_files(tmp_path: Path, folder: Path) -> None:
    images = [tmp_path / "one.raw", tmp_path / "other.raw"]
    for image in images:
        ext4.make(image, SIZE_BYTES, folder)

    assert images[0].read_bytes() == images[1].read_bytes()
    assert images[0].stat().st_size == SIZE_BYTES
    assert images[0].stat().st_blocks * 512 < SIZE_BYTES / 4
    ext4.check(images[0])
    assert ext4.read(images[0], "large.bin") == CONTENT
    with pytest.raises(FileExistsError):
        ext4.make(images[0], SIZE_BYTES, folder)


@needs_tools
def test_overwrites_a_file_in_place_and_leaves_the_file_system_sound(tmp_path: Path, folder: Path) -> None:
    image = tmp_path / "image.raw"
    ext4.make(image, SIZE_BYTES, folder)
    before = image.read_bytes()

    ext4.overwrite(image, "large.bin", b"x" * 10_000)

    ext4.check(image)
    assert ext4.read(image, "large.bin") == b"x" * 10_000 + CONTENT[10_000:]
    assert ext4.read(image, "small.txt") == b"small\n"
    after = image.read_bytes()
    assert sum(before[at : at + 4096] != after[at : at + 4096] for at in range(0, SIZE_BYTES, 4096)) == 3
    with pytest.raises(ext4.ImageError, match=r"small\.txt has no block 1: it is too short"):
        ext4.overwrite(image, "small.txt", b"x" * 5000)
    with pytest.raises(ext4.ImageError, match=r"no file other\.txt in image\.raw"):
        ext4.read(image, "other.txt")


@needs_tools
def test_tells_what_is_wrong_with_a_damaged_file_system(tmp_path: Path, folder: Path) -> None:
    image = tmp_path / "image.raw"
    ext4.make(image, SIZE_BYTES, folder)
    with image.open("r+b") as opened:
        opened.seek(2 * 4096)
        opened.write(b"\xff" * 5000)

    with pytest.raises(ext4.ImageError, match=r"(?s)e2fsck ended with \d+: .*[Ii]llegal"):
        ext4.check(image)


def test_says_what_to_install_where_a_program_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ext4, "_find", lambda name: None if name == "e2fsck" else "/bin/true")

    assert (ext4.missing_tools() or "").startswith("no e2fsck on this machine: install e2fsprogs")
    with pytest.raises(ext4.ToolMissing, match="no e2fsck on this machine: install e2fsprogs"):
        ext4.check(tmp_path / "image.raw")
