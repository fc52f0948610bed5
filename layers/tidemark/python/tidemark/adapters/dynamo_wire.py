"""Large answers of DynamoDB, and large requests to it, past botocore's walk over the model of every single value.

botocore checks and copies each attribute in Python, which costs several times what the engine does with an entity. Its
events `provide-client-params`, `before-call` and `before-parse` allow to exchange the text of a request and the content
of an answer; signing, retries, checksums and errors stay botocore's. Attributes look the same as from botocore, except
binary ones, which would stay in base64: Tidemark stores none.
"""

from typing import Any, Final

import msgspec

# The parameter of a call that is, instead of all others, the text of its request.
TEXT: Final = "TidemarkRequestText"
_ANSWERS: Final = ("Query", "BatchGetItem", "BatchExecuteStatement")
_REQUESTS: Final = ("BatchExecuteStatement",)
_DECODER: Final = msgspec.json.Decoder(dict[str, Any])
_FIRST_ERROR_STATUS: Final = 300
# What botocore is to check and write in place of the text, by operation.
_STAND_IN: Final = {"BatchExecuteStatement": {"Statements": [{"Statement": "-"}]}}


def attach(client: Any) -> None:  # noqa: ANN401 - botocore makes the class of a client at run time
    """Make a client of DynamoDB read and write so. Can be repeated."""
    events = client.meta.events
    for operation in _REQUESTS:
        events.register(f"provide-client-params.dynamodb.{operation}", _take_text, unique_id=f"take-{operation}")
        events.register(f"before-call.dynamodb.{operation}", _put_text, unique_id=f"put-{operation}")
    for operation in _ANSWERS:
        events.register(f"before-parse.dynamodb.{operation}", _decode, unique_id=f"decode-{operation}")


def _take_text(params: dict[str, Any], model: Any, context: dict[str, Any], **_: object) -> dict[str, Any] | None:  # noqa: ANN401 - botocore's
    if TEXT not in params:
        return None
    context[TEXT] = params[TEXT]
    return _STAND_IN[model.name]


def _put_text(params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
    if TEXT in context:
        params["body"] = context[TEXT]


def _decode(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    if response_dict["status_code"] >= _FIRST_ERROR_STATUS:
        return
    try:
        content = _DECODER.decode(response_dict["body"])
    except msgspec.MsgspecError:
        # botocore knows what to do with an answer that is none.
        return
    response_dict["body"] = b"{}"
    customized_response_dict.update(content)
