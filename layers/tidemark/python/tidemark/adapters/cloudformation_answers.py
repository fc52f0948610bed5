"""Answers to CloudFormation: what became of a custom resource.

Source: AWS CloudFormation User Guide, "Custom resource response objects".
"""

import json
import urllib.request
from collections.abc import Mapping
from typing import Any, Final

from tidemark.errors import AwsFailure
from tidemark.ports import Clock

# With all else of an answer it stays below the 4,096 bytes that CloudFormation takes, whatever its characters.
MAX_REASON_CHARS: Final = 500
_TIMEOUT_S: Final = 10
_PAUSES_S: Final = (0.5, 2.0, None)


def tell(event: Mapping[str, Any], physical_id: str, clock: Clock, *, reason: str | None = None) -> None:
    """Say that what the event asks for is done or, with a reason, that it failed. Can be repeated: the first counts.

    Raises AwsFailure where it can't be said, also after some tries.
    """
    document = {
        "Status": "SUCCESS" if reason is None else "FAILED",
        "Reason": (reason or "")[:MAX_REASON_CHARS],
        "PhysicalResourceId": physical_id,
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
    }
    address = str(event["ResponseURL"])
    if not address.startswith(("https://", "http://")):
        raise AwsFailure("the address for the answer to CloudFormation is not one of HTTP")
    # It is signed without a content type: any other than none would void the signature.
    asked = urllib.request.Request(  # noqa: S310 - looked at above
        address, json.dumps(document).encode(), {"Content-Type": ""}, method="PUT"
    )
    for pause_s in _PAUSES_S:
        try:
            with urllib.request.urlopen(asked, timeout=_TIMEOUT_S):  # noqa: S310 - as above
                return
        except OSError as error:
            if pause_s is None:
                raise AwsFailure(
                    f"CloudFormation could not be told what became of {event['LogicalResourceId']}: {error}"
                ) from error
            clock.sleep(pause_s)
