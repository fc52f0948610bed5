"""The authorizer of the REST API: whose key is it, and may it do this for this tenant or in this environment?"""

from typing import Any

from tidemark import access, bootstrap, web

bootstrap.prepare()


def handler(event: web.Event, context: object) -> dict[str, Any]:
    """An IAM policy for the called method alone; its context tells the functions which tenant or environment was
    checked, and what the key was made for.
    """
    try:
        return access.policy_of(bootstrap.ports(), event)
    except access.NoKey:
        raise Exception("Unauthorized") from None  # noqa: TRY002 - the gateway answers 401 to this very message only
