"""What the command line shows of volumes, for README.md: a disk's snapshots, a new volume that is made of one, and its
schedules.
"""

from typing import Final

from tests.repo.screens import Terminal
from tests.unit.volumes import backing, restoring
from tests.unit.volumes.backing import REGION, World, body
from tests.unit.volumes.examples import TEST_AREA
from tests.unit.volumes.slots import deliver
from tidemark.domain.volume import VolumeSnapshot, volume_id
from tidemark.usecases.volume_schedules import list_volume_schedules

_PHASE_S: Final = 2.0


class Operator(Terminal):
    """An environment with a volume, and somebody who looks after it from a terminal."""

    def __init__(self) -> None:
        self.world = World()
        self.world.disks.attach(
            self.world.source_id, "i-0a1b2c3d4e5f60718", "/dev/sdf", name="i-douglas-ADM", root_device="/dev/xvda"
        )
        super().__init__(self.world.ports)

    def sleep(self, seconds: float) -> None:
        """While the command waits, what was begun is carried out."""
        self.clock.advance(seconds)
        for one in self.snapshots():
            if one.running:
                self.clock.advance(_PHASE_S)
                backing.run(self.ports, one.id)
            for user in one.used_by:
                restoring.run(self.ports, user.removeprefix("task "))

    def snapshots(self) -> list[VolumeSnapshot]:
        """Those of the environment, as they are recorded."""
        found = self.ports.volumes.volume_snapshots(TEST_AREA)
        return [one for one in found if isinstance(one, VolumeSnapshot)]


def disk() -> dict[str, str]:
    """Each screen by its name: an upgrade of what is on a disk is undone beside it."""
    operator = Operator()
    screens = {"volumes": operator.shows("tidemark volumes list")}
    volume = volume_id(REGION, operator.world.source_id)
    screens["volume-create"] = operator.shows(f"tidemark volumes snapshots create {volume} --name before-upgrade")
    [before] = operator.snapshots()
    operator.world.change(b7=body("upgraded"))
    operator.shows(f"tidemark volumes snapshots create {volume} --name after-upgrade")
    screens["volume-snapshots"] = operator.shows("tidemark volumes snapshots list")
    screens["volume-restore"] = operator.shows(f"tidemark volumes snapshots restore {before.id} --name foo-restored")
    return screens


def nights() -> dict[str, str]:
    """Each screen by its name: a disk has a nightly and an hourly schedule, one of which is paused after a night."""
    operator = Operator()
    volume = volume_id(REGION, operator.world.source_id)
    screens = {
        "volume-schedule": operator.shows(
            f"tidemark volumes schedules create {volume} \\\n"
            "    --interval daily --time 02:30 --timezone America/Toronto --keep 7"
        )
    }
    operator.shows(f"tidemark volumes schedules create {volume} --interval hourly --keep 24")
    daily, hourly = list_volume_schedules(operator.ports, TEST_AREA).schedules
    night = daily.next_run(operator.clock.now())
    if night is None:
        raise RuntimeError(f"{daily.id} is never due")
    deliver(operator.world, daily, night, "night")
    screens["volume-pause"] = operator.shows(f"tidemark volumes schedules pause {hourly.id}")
    screens["volume-schedules"] = operator.shows("tidemark volumes schedules list")
    return screens
