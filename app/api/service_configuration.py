"""The configuration of one service ("Service Configuration Resource"): the roles that people get
in it, and whether their reachability is told."""

from __future__ import annotations

from typing import Any, NamedTuple

from app import ids
from app.api import parameters as kinds
from app.api.call import Call, takes
from app.api.forms import Parameter
from app.api.scope import Links
from app.errors import Invalid, NotFound
from app.model import Service
from app.store import roles, services
from app.store.database import Tx

PATH = "/Configuration"
CHANNEL_ROLE = (50101, "Channel role not found")
SERVICE_ROLE = (50102, "Deployment role not found")

CREATOR_ROLE = kinds.sid("DefaultConversationCreatorRoleSid", ids.ROLE, *CHANNEL_ROLE)
CONVERSATION_ROLE = kinds.sid("DefaultConversationRoleSid", ids.ROLE, *CHANNEL_ROLE)
CHAT_SERVICE_ROLE = kinds.sid("DefaultChatServiceRoleSid", ids.ROLE, *SERVICE_ROLE)
REACHABILITY = kinds.flag("ReachabilityEnabled")


class Default(NamedTuple):
    """One default role: its parameter, its column, the type it must have, what is said when there
    is none such."""

    parameter: Parameter[str]
    column: str
    type: str
    missing: tuple[int, str]


DEFAULTS = (
    Default(CREATOR_ROLE, "default_conversation_creator_role_sid", "conversation", CHANNEL_ROLE),
    Default(CONVERSATION_ROLE, "default_conversation_role_sid", "conversation", CHANNEL_ROLE),
    Default(CHAT_SERVICE_ROLE, "default_chat_service_role_sid", "service", SERVICE_ROLE),
)


@takes()
async def fetch(call: Call) -> dict[str, Any]:
    """The configuration of a service."""
    async with call.begin() as (tx, scope):
        service = call.found(await services.find(tx, scope.account_sid, scope.service_sid))
    return show(service, call.links)


@takes(CREATOR_ROLE, CONVERSATION_ROLE, CHAT_SERVICE_ROLE, REACHABILITY)
async def update(call: Call) -> dict[str, Any]:
    """Change the configuration of a service."""
    async with call.begin() as (tx, scope):
        form = call.form
        service = call.found(
            await services.find(tx, scope.account_sid, scope.service_sid, lock=True)
        )
        for default in DEFAULTS:
            if default.parameter in form:
                await _check_role(tx, service, form[default.parameter], default)
                setattr(service, default.column, form[default.parameter])
        service.reachability_enabled = form.get(REACHABILITY, service.reachability_enabled)
        service.date_updated = tx.now
        await services.write(tx, service)
    return show(service, call.links)


def show(service: Service, links: Links) -> dict[str, Any]:
    """The resource."""
    url = f"{links.tree}{PATH}"
    return {
        "chat_service_sid": service.sid,
        "default_conversation_creator_role_sid": service.default_conversation_creator_role_sid,
        "default_conversation_role_sid": service.default_conversation_role_sid,
        "default_chat_service_role_sid": service.default_chat_service_role_sid,
        "reachability_enabled": service.reachability_enabled,
        "url": url,
        "links": {"notifications": f"{url}/Notifications", "webhooks": f"{url}/Webhooks"},
    }


async def _check_role(tx: Tx, service: Service, sid: str, default: Default) -> None:
    """Raises NotFound 50101, 50102, or Invalid 50105 for a role of the other type."""
    role = await roles.held(tx, service.sid, sid)
    if role is None:
        raise NotFound(*default.missing)
    if role.type != default.type:
        raise Invalid(50105, "Invalid role type")
