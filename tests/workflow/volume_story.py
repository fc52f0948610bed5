"""What happens to the volume of an environment, for the rights that its functions need."""

from tests.local.moto_ebs import damaged_block
from tests.local.stack import LocalStack
from tests.unit.blocks.imaging import body
from tests.workflow.volume import Volume
from tidemark.domain.volume import VolumeSnapshotState


class VolumeStory:
    """A volume of a gibibyte whose snapshots are asked for, made, and fail."""

    def __init__(self, stack: LocalStack) -> None:
        self._volume = Volume(stack, size_gib=1)

    def tell(self) -> None:
        """All of it."""
        self._backups()

    def _backups(self) -> None:
        """One of all blocks, one of those that EBS says have changed since, and one of a damaged block."""
        self._volume.write({0: body("first"), 7: body("first, too")})
        first = self._volume.take(keeps_source=True)
        self._volume.write({7: body("second")})
        second = self._volume.take()
        assert [one.state for one in (first, second)] == [VolumeSnapshotState.STORED] * 2
        with damaged_block(0):
            self._volume.write({0: body("third")})
            assert self._volume.take().state is VolumeSnapshotState.FAILED
        self._volume.forget(first)
