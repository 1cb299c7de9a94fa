"""The account's configuration ("Configuration Resource"): what new conversations get, wherever the
YAML does not say it."""

from __future__ import annotations

from typing import Any

from app import ids
from app.api import parameters as kinds
from app.api.call import Call, takes
from app.api.declared import owned
from app.api.forms import Form, Parameter
from app.api.scope import Links
from app.errors import Forbidden, NotFound
from app.model import Account
from app.rules import timers
from app.settings.models import Settings
from app.settings.problems import dotted
from app.store import declared, services
from app.store.database import Tx

PATH = "/Configuration"

DEFAULT_SERVICE = kinds.sid(
    "DefaultChatServiceSid", ids.SERVICE, 50050, "Service Instance not found"
)
DEFAULT_MESSAGING_SERVICE = kinds.sid(
    "DefaultMessagingServiceSid", ids.MESSAGING_SERVICE, 50341, "Invalid messaging service SID"
)
INACTIVE_TIMER: Parameter[int | None] = Parameter(
    "DefaultInactiveTimer", lambda texts: timers.parse_timer("Inactive", texts[-1])
)
CLOSED_TIMER: Parameter[int | None] = Parameter(
    "DefaultClosedTimer", lambda texts: timers.parse_timer("Closed", texts[-1])
)


@takes()
async def fetch(call: Call) -> dict[str, Any]:
    """The account's defaults."""
    async with call.begin() as (tx, scope):
        account = call.found(await services.account(tx, scope.account_sid))
    return show(account, call.links)


@takes(DEFAULT_SERVICE, DEFAULT_MESSAGING_SERVICE, INACTIVE_TIMER, CLOSED_TIMER)
async def update(call: Call) -> dict[str, Any]:
    """Change the account's defaults. Raises Conflict 20409 for one that the YAML owns."""
    async with call.begin() as (tx, scope):
        form, settings = call.form, call.runtime.settings
        if DEFAULT_SERVICE in form:
            _free_service(form[DEFAULT_SERVICE], settings)
            if await services.keep(tx, scope.account_sid, form[DEFAULT_SERVICE]) is None:
                raise NotFound(50050, "Service Instance not found")
        if DEFAULT_MESSAGING_SERVICE in form:
            wanted = form[DEFAULT_MESSAGING_SERVICE]
            await _messaging_service(tx, scope.account_sid, wanted, settings)
        account = call.found(await services.account(tx, scope.account_sid, lock=True))
        _apply(account, form)
        account.date_updated = tx.now
        await services.write_account(tx, account)
    return show(account, call.links)


def show(account: Account, links: Links) -> dict[str, Any]:
    """The resource. A timer that is off is null."""
    service = f"/Services/{account.default_chat_service_sid}"
    return {
        "account_sid": account.sid,
        "default_chat_service_sid": account.default_chat_service_sid,
        "default_messaging_service_sid": account.default_messaging_service_sid,
        "default_inactive_timer": timers.as_text(account.default_inactive_timer_s),
        "default_closed_timer": timers.as_text(account.default_closed_timer_s),
        "url": links.account(PATH),
        "links": {
            "service": links.account(f"{service}{PATH}"),
            "webhooks": links.account(f"{PATH}/Webhooks"),
        },
    }


def _free_service(sid: str, settings: Settings) -> None:
    """Raises Conflict when the YAML makes another service the default."""
    said = declared.default_service_sid(settings)
    if said not in (None, sid):
        raise owned("The default service", dotted(("services", settings.default_service)))


async def _messaging_service(tx: Tx, account_sid: str, sid: str, settings: Settings) -> None:
    """Raises Conflict when the YAML says another one, Forbidden 50342 when it is not ours."""
    said = declared.default_messaging_service_sid(settings)
    if said not in (None, sid):
        names = settings.messaging_services
        name = next(one for one in names if settings.messaging_service_sid(one) == said)
        raise owned("The default messaging service", dotted(("messaging_services", name)))
    if not await services.has_messaging_service(tx, account_sid, sid):
        raise Forbidden(50342, "Messaging service does not belong to account")


def _apply(account: Account, form: Form) -> None:
    a = account
    a.default_chat_service_sid = form.get(DEFAULT_SERVICE, a.default_chat_service_sid)
    a.default_messaging_service_sid = form.get(
        DEFAULT_MESSAGING_SERVICE, a.default_messaging_service_sid
    )
    a.default_inactive_timer_s = form.get(INACTIVE_TIMER, a.default_inactive_timer_s)
    a.default_closed_timer_s = form.get(CLOSED_TIMER, a.default_closed_timer_s)
