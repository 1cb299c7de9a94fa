"""Devices that registered for push notifications ("Service Binding Resource"). SDKs register them;
here they are read and deleted."""

from __future__ import annotations

from functools import partial
from typing import Any

from app.api import parameters as kinds
from app.api.call import Call, takes
from app.api.forms import Parameter
from app.api.page import Listing
from app.api.scope import Links
from app.clock import iso_seconds
from app.model import PushBinding
from app.store import push_bindings

TYPES = frozenset({"apn", "gcm", "fcm", "twilsock"})

TYPE = kinds.words("BindingType", TYPES, 50209, "Invalid binding type")
IDENTITY: Parameter[list[str]] = Parameter(
    "Identity", list, {"type": "array", "items": {"type": "string"}}
)

LISTING = Listing("bindings", (str,), size=50, size_max=100)


@takes(TYPE, IDENTITY)
async def page(call: Call) -> dict[str, Any]:
    """The bindings of a service, in the order in which they were made."""
    async with call.begin() as (tx, scope):
        wanted, form = call.wanted(LISTING), call.form
        types, identities = form.get(TYPE, []), form.get(IDENTITY, [])
        rows = await push_bindings.page(tx, scope, types, identities, wanted.slice)
    return wanted.answer(rows, push_bindings.key, partial(show, links=call.links))


@takes()
async def fetch(call: Call) -> dict[str, Any]:
    """One binding."""
    async with call.begin() as (tx, scope):
        binding = call.found(await push_bindings.find(tx, scope, call.key("Sid")))
    return show(binding, call.links)


@takes()
async def delete(call: Call) -> None:
    """Forget a device."""
    async with call.begin() as (tx, scope):
        binding = call.found(await push_bindings.find(tx, scope, call.key("Sid")))
        if not await push_bindings.remove(tx, binding.sid):
            raise call.missing()


def show(binding: PushBinding, links: Links) -> dict[str, Any]:
    """The resource."""
    return {
        "sid": binding.sid,
        "account_sid": binding.account_sid,
        "chat_service_sid": binding.chat_service_sid,
        "credential_sid": binding.credential_sid,
        "date_created": iso_seconds(binding.date_created),
        "date_updated": iso_seconds(binding.date_updated),
        "endpoint": binding.endpoint,
        "identity": binding.identity,
        "binding_type": binding.binding_type,
        "message_types": binding.message_types,
        "url": f"{links.tree}/Bindings/{binding.sid}",
    }
