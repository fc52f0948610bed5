"""The authorizer of the REST API: whose key is it, and may it do this for this tenant?"""

from typing import Any

from tidemark import bootstrap, web
from tidemark.dialects.ngsi.routes import action
from tidemark.domain.tenant import parse_tenant
from tidemark.errors import InvalidRequest, Unauthorized
from tidemark.telemetry import KEY_ID, METHOD, ROUTE, TENANT, logger
from tidemark.usecases.keys import authenticate

bootstrap.prepare()


def handler(event: web.Event, context: object) -> dict[str, Any]:
    """An IAM policy for the called method alone; its context tells the functions which tenant was checked, and what
    the key was made for.
    """
    method, route = event["httpMethod"], event["resource"]
    try:
        key = authenticate(bootstrap.ports(), web.credential(event))
    except Unauthorized:
        logger().info("no usable key", extra={METHOD: method, ROUTE: route})
        raise Exception("Unauthorized") from None  # noqa: TRY002 - the gateway answers 401 to this very message only
    key_id = key.id[:12]
    try:
        tenant = parse_tenant(web.tenant_name(event))
    except InvalidRequest:
        # The function answers 400 to such a name; without a tenant in the context it can do nothing else.
        return web.policy(event, allowed=True, tenant=None, key=key)
    allowed = key.allows(tenant, action(method, route))
    if not allowed:
        logger().info("key not made for this", extra={METHOD: method, ROUTE: route, TENANT: tenant, KEY_ID: key_id})
    return web.policy(event, allowed=allowed, tenant=tenant, key=key)
