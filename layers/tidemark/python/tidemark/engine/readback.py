"""Reading back what a manifest names, whatever its records are: entities, or the blocks of an image."""

from collections.abc import Callable

from tidemark.domain.blocks import Image
from tidemark.domain.manifest import Manifest, PackRef, ShardManifest
from tidemark.engine import verification
from tidemark.engine.verification import Checked
from tidemark.ports import PayloadStore, Ports


def shards_to_read(manifest: Manifest) -> list[int]:
    """The shards of which there is anything to be read back: packs, or records that packs should be there for."""
    return [shard.shard for shard in manifest.shards if shard.layers or shard.records]


def check_shard(
    ports: Ports, manifest_key: str, manifest: Manifest, shard: ShardManifest, proceed: Callable[[], None]
) -> Checked:
    """Read all packs of a shard, and hold its layers against each other and its line of the manifest; what was read.

    `proceed` is called before each pack and may raise to stop. Raises ManifestCorrupt, PackCorrupt.
    """
    if manifest.image is not None:
        from tidemark.engine.blocks import images  # noqa: PLC0415 - those who read back entities alone need none of it

        return images.check_shard(ports, manifest, shard, proceed)
    return verification.check_shard(ports.payloads, manifest_key, shard, proceed)


def check_pack(payloads: PayloadStore, pack: PackRef, image: Image | None) -> None:
    """Read a whole pack and check every byte; `image` is what its manifest says of one. Raises PackCorrupt."""
    if image is not None:
        from tidemark.engine.blocks import images  # noqa: PLC0415 - see above

        images.check_pack(payloads, pack)
        return
    for _ in verification.check_pack(payloads, pack):
        pass
