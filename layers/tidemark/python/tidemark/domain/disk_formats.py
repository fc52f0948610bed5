"""Formats of disk images that are not raw: told by their first or last bytes, so that none is taken for a disk.

Sources: QEMU's documentation, "QEMU disk image utility", for the names; the published descriptions of each format for
the bytes.
"""

from typing import Final

# How much of both ends of an image tells.
HEAD_BYTES: Final = 512
TAIL_BYTES: Final = 512
_HEADS: Final = (
    (0, b"QFI\xfb", "qcow2"),
    (0, b"QED\0", "QED"),
    (0, b"KDMV", "VMDK"),
    (0, b"COWD", "VMDK"),
    (0, b"# Disk DescriptorFile", "VMDK"),
    (0, b"vhdxfile", "VHDX"),
    (0, b"conectix", "VHD"),
    (0x40, b"\x7f\x10\xda\xbe", "VDI"),
    (0, b"WithoutFreeSpace", "Parallels"),
    (0, b"WithouFreSpacExt", "Parallels"),
)
_TAILS: Final = ((b"conectix", "VHD"), (b"koly", "DMG"))
_PACKED: Final = (
    (0, b"\x1f\x8b\x08", "gzip"),
    (0, b"\xfd7zXZ\0", "xz"),
    (0, b"\x28\xb5\x2f\xfd", "zstd"),
    (0, b"BZh", "bzip2"),
    (0, b"PK\x03\x04", "zip"),
    (257, b"ustar", "tar (OVA)"),
)


def other_format(name: str, head: bytes, tail: bytes) -> str | None:
    """Why an image that begins and ends with these bytes can't be imported, and what to do; None for one that can be.

    `tail` is what there is of an image's last `TAIL_BYTES`, `name` what it is called.
    """
    heads = [form for offset, magic, form in _HEADS if head[offset : offset + len(magic)] == magic]
    tails = [form for magic, form in _TAILS if len(tail) == TAIL_BYTES and tail.startswith(magic)]
    for form in (*heads, *tails):
        return (
            f"{name} is a {form} image, and only a raw one can be imported: convert it first, as with "
            "qemu-img convert -O raw FROM TO"
        )
    return None


def packed_format(head: bytes) -> str | None:
    """How a file that begins with these bytes is packed, as far as they tell. A disk may hold such bytes, too."""
    return next((form for offset, magic, form in _PACKED if head[offset : offset + len(magic)] == magic), None)
