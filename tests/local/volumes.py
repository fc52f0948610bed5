"""Reaches into volumes of the pretended EC2, as an instance that they are attached to would: by bytes, or by raw files.

AWS has no API for that. It works in the process that runs the stack, `VolumeRoute` from any other.
"""

from pathlib import Path
from typing import Any

from moto.core.exceptions import ServiceException
from moto.ec2.models import ec2_backends

from tests.local import moto_ebs
from tests.local.aws import ACCOUNT_ID, REGION
from tests.local.moto_ec2 import content_of
from tests.local.volume_blocks import GIB_BYTES

_NEEDED = moto_ebs  # imported for what it replaces


class VolumeError(Exception):
    """What was asked of a volume can't be done."""


def size_bytes(volume_id: str, *, region: str = REGION) -> int:
    """How large a volume is.

    Raises:
        VolumeError: there is no such volume.
    """
    return int(_volume(volume_id, region).size) * GIB_BYTES


def written_blocks(volume_id: str, *, region: str = REGION) -> int:
    """How many blocks of a volume hold something.

    Raises:
        VolumeError: there is no such volume.
    """
    return len(content_of(_volume(volume_id, region)).blocks)


def checksums(volume_id: str, *, region: str = REGION) -> dict[int, bytes]:
    """The SHA-256 of each block of a volume that holds something, by its index.

    Raises:
        VolumeError: there is no such volume.
    """
    return {index: block.checksum for index, block in content_of(_volume(volume_id, region)).blocks.items()}


def write(volume_id: str, offset_bytes: int, content: bytes, *, keep_zeros: bool = False, region: str = REGION) -> None:
    """Write bytes anywhere in a volume.

    Args:
        volume_id: the volume.
        offset_bytes: where.
        content: what.
        keep_zeros: whether blocks that are all zeros stay written ones, as EBS lists them; otherwise they are absent.
        region: the volume's region.

    Raises:
        VolumeError: there is no such volume, or it ends before.
    """
    _require_room(volume_id, offset_bytes + len(content), region)
    content_of(_volume(volume_id, region)).write(offset_bytes, content, keep_zeros=keep_zeros)


def read(volume_id: str, offset_bytes: int, length_bytes: int, *, region: str = REGION) -> bytes:
    """Bytes of a volume.

    Raises:
        VolumeError: there is no such volume, or it ends before.
    """
    _require_room(volume_id, offset_bytes + length_bytes, region)
    return content_of(_volume(volume_id, region)).read_range(offset_bytes, length_bytes)


def fill(volume_id: str, image: Path, *, region: str = REGION) -> None:
    """Make a volume what a raw image file holds. What they have in common is not written again.

    Raises:
        VolumeError: there is no such volume, or the image is larger.
        OSError: the file can't be read.
    """
    _require_room(volume_id, image.stat().st_size, region)
    content_of(_volume(volume_id, region)).fill(image)


def save(volume_id: str, image: Path, *, region: str = REGION) -> None:
    """Write a volume to a new raw file, sparse where the volume holds nothing.

    Raises:
        VolumeError: there is no such volume.
        FileExistsError: there is a file: none is written over.
        OSError: the file can't be written.
    """
    content_of(_volume(volume_id, region)).save(image, size_bytes(volume_id, region=region))


def _volume(volume_id: str, region: str) -> Any:
    try:
        return ec2_backends[ACCOUNT_ID][region].get_volume(volume_id)
    except ServiceException:
        raise VolumeError(f"there is no volume {volume_id} in {region}: make one by EC2's CreateVolume") from None


def _require_room(volume_id: str, end_bytes: int, region: str) -> None:
    size = size_bytes(volume_id, region=region)
    if end_bytes > size:
        raise VolumeError(f"volume {volume_id} has {size} bytes, and {end_bytes} are needed: make a larger volume")
