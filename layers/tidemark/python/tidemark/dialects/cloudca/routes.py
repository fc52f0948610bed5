"""Which methods the paths of this dialect have, what a key needs for each, and which of them are about an environment.

Source: the cloud.ca documentation, "Snapshots" and "Volumes", and the CloudMC documentation for what changes anything.
"""

from typing import Final

from tidemark.domain.api_key import Action, ApiKey
from tidemark.domain.environment import EnvironmentId
from tidemark.errors import MethodNotAllowed, RouteNotFound, TidemarkError

BASE: Final = "/v1"
_ENVIRONMENT: Final = f"{BASE}/services/{{serviceCode}}/{{environmentName}}"
SNAPSHOTS: Final = f"{_ENVIRONMENT}/snapshots"
SNAPSHOT: Final = f"{SNAPSHOTS}/{{snapshotId}}"
IMAGE: Final = f"{SNAPSHOT}/image"
UPLOADS: Final = f"{SNAPSHOT}/uploads"
VOLUMES: Final = f"{_ENVIRONMENT}/volumes"
VOLUME: Final = f"{VOLUMES}/{{volumeId}}"
SCHEDULES: Final = f"{_ENVIRONMENT}/schedules"
SCHEDULE: Final = f"{SCHEDULES}/{{scheduleId}}"
TASK: Final = f"{BASE}/tasks/{{taskId}}"

METHODS: Final[dict[str, tuple[str, ...]]] = {
    SNAPSHOTS: ("GET", "POST"),
    SNAPSHOT: ("GET", "POST", "DELETE"),
    IMAGE: ("GET",),
    UPLOADS: ("GET", "POST"),
    VOLUMES: ("GET",),
    VOLUME: ("GET",),
    SCHEDULES: ("GET", "POST"),
    SCHEDULE: ("GET", "DELETE"),
    TASK: ("GET", "DELETE"),
}


def serves(path: str) -> bool:
    """Whether a path, or the template of one, is of this dialect: what is wrong with a request is told in its words.

    Ask with the path where no template was matched but the one for everything.
    """
    return path == BASE or path.startswith(f"{BASE}/")


def of_environment(route: str) -> bool:
    """Whether a path names the environment that it is about. A task's doesn't: its record tells."""
    return route.startswith(_ENVIRONMENT)


def refusal(method: str, route: str) -> TidemarkError:
    """Why a request that no function serves is refused: its path does not exist, or not with this method."""
    allowed = METHODS.get(route)
    if allowed is None:
        return RouteNotFound(
            "no such path; there are snapshots, volumes and schedules under "
            "/v1/services/{service_code}/{environment_name}, and /v1/tasks/{id}"
        )
    return MethodNotAllowed(f"{route} does not accept {method}; it accepts {', '.join(allowed)}", allow=allowed)


def action(method: str, route: str) -> Action:
    """What a key must be made for to call a route. A path that does not exist needs what reading needs."""
    if method not in METHODS.get(route, ()) or (method == "GET" and route != UPLOADS):
        return Action.READ
    # Addresses of uploads open what whoever stores snapshots may do.
    # What can be asked of a snapshot makes volumes and templates of it, and the tasks that do so can be cancelled.
    return Action.RESTORE if (method, route) in {("POST", SNAPSHOT), ("DELETE", TASK)} else Action.SNAPSHOT


def permits(key: ApiKey, method: str, route: str, environment: EnvironmentId | None) -> bool:
    """Whether a key may call a route. `environment` is the one in the path; None where there is none.

    Whoever serves a task asks once more, as only its record says which environment it is of.
    """
    needed = action(method, route)
    return key.allows_somewhere(needed) if environment is None else key.allows_in(environment, needed)
