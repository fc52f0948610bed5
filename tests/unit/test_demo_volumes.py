"""What the demo's disk proves, it could also disprove: that images are equal and sound, and what a snapshot may add."""

from pathlib import Path

import pytest

from tests.local import ext4
from tests.local.demo_client import DemoFailed
from tests.local.demo_volumes import digest, require_clean, require_no_more, require_same
from tests.local.volume_blocks import BLOCK_BYTES

SIZE_BYTES = 4 * BLOCK_BYTES


def image(path: Path, *written: tuple[int, bytes], size_bytes: int = SIZE_BYTES) -> Path:
    """A sparse file with bytes at some places."""
    with path.open("xb") as made:
        made.truncate(size_bytes)
        for offset_bytes, content in written:
            made.seek(offset_bytes)
            made.write(content)
    return path


def test_images_are_the_same_whether_zeros_are_written_or_left_out(tmp_path: Path) -> None:
    sparse = image(tmp_path / "sparse", (BLOCK_BYTES + 7, b"x"))
    full = image(tmp_path / "full", (0, bytes(SIZE_BYTES)), (BLOCK_BYTES + 7, b"x"))
    assert full.stat().st_blocks > sparse.stat().st_blocks
    assert require_same({"one": sparse, "other": full}) == digest(sparse)


@pytest.mark.parametrize(
    ("offset_bytes", "content", "size_bytes"),
    [
        (BLOCK_BYTES + 7, b"y", SIZE_BYTES),
        (BLOCK_BYTES + 8, b"x", SIZE_BYTES),
        (2 * BLOCK_BYTES + 7, b"x", SIZE_BYTES),
        (BLOCK_BYTES + 7, b"x", SIZE_BYTES + 1),
        (0, b"", SIZE_BYTES),
    ],
)
def test_images_that_differ_in_a_byte_a_place_or_their_size_are_not_the_same(
    tmp_path: Path, offset_bytes: int, content: bytes, size_bytes: int
) -> None:
    one = image(tmp_path / "one", (BLOCK_BYTES + 7, b"x"))
    other = image(tmp_path / "other", (offset_bytes, content), size_bytes=size_bytes)
    with pytest.raises(DemoFailed, match="one, other must be equal"):
        require_same({"one": one, "other": other})


@pytest.mark.parametrize(("added_bytes", "changed"), [(20 * BLOCK_BYTES, 20), (0, 1), (20 * BLOCK_BYTES + 100_000, 20)])
def test_snapshot_may_add_what_changed_and_a_hundredth(added_bytes: int, changed: int) -> None:
    require_no_more(added_bytes, changed)


@pytest.mark.parametrize(("added_bytes", "changed"), [(20 * BLOCK_BYTES + 110_000, 20), (21 * BLOCK_BYTES, 20), (0, 0)])
def test_demo_fails_when_a_snapshot_adds_more_or_nothing_changed(added_bytes: int, changed: int) -> None:
    with pytest.raises(DemoFailed, match=f"{changed} blocks"):
        require_no_more(added_bytes, changed)


@pytest.mark.skipif(ext4.missing_tools() is not None, reason="this machine has no e2fsprogs")
def test_demo_fails_when_e2fsck_finds_a_fault(tmp_path: Path) -> None:
    folder, sound = tmp_path / "files", tmp_path / "sound.raw"
    folder.mkdir()
    (folder / "file").write_bytes(b"content")
    ext4.make(sound, 16 * BLOCK_BYTES, folder)
    require_clean({"volume": sound})
    broken = tmp_path / "broken.raw"
    content = bytearray(sound.read_bytes())
    content[4096:8192] = bytes(4096)  # the descriptors of its groups
    broken.write_bytes(content)
    with pytest.raises(DemoFailed, match="the file system of the restored volume is damaged"):
        require_clean({"volume": sound, "restored volume": broken})
