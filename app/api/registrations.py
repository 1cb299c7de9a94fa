"""Devices register for push notifications through their SDK; "Service Binding Resource" shows them.

What an SDK asks, by the bearer of an access token:

| request                       | body                                                            |
|-------------------------------|-----------------------------------------------------------------|
| POST /v1/registrations        | `channel_type`, `message_types`, `data.registration_id`        |
| DELETE /v1/registrations/{id} | -                                                               |
| DELETE /v1/registrations      | `binding_type`, `address`: the device, by what it is reached at |

An SDK asks again until it is answered, and registers a device whenever it starts: both find the
binding that is there. To unregister what is not there is done already.
"""

from __future__ import annotations

from typing import Any

from app import ids
from app.api.access_tokens import scope_of
from app.api.push_bindings import TYPES
from app.errors import Denied, Invalid
from app.model import PushBinding
from app.rules.access_tokens import GRANTS, Grant
from app.runtime import Runtime
from app.store import push_bindings, services

INVALID = 20001
BAD_TYPE = (50209, "Invalid binding type")
ADDRESS_CHARS_MAX = 1024
"""Of a device; those of today have fewer than 300."""
MESSAGE_TYPES_MAX, MESSAGE_TYPE_CHARS_MAX = 50, 100


async def register(runtime: Runtime, grant: Grant, body: Any) -> str:
    """Keep a device of the bearer's; gives the SID of its binding. Raises Invalid, Denied."""
    asked = _object(body, "the body")
    kind = _kind(asked.get("channel_type"))
    address = _address(_object(asked.get("data"), "`data`").get("registration_id"))
    message_types = _message_types(asked.get("message_types"))
    scope = scope_of(grant)
    async with runtime.db.begin() as tx:
        if await services.keep(tx, *scope) is None:
            raise Denied(*GRANTS, {"reason": f"there is no conversation service {scope[1]}"})
        binding = PushBinding(
            sid=ids.new(ids.PUSH_BINDING),
            account_sid=scope.account_sid,
            chat_service_sid=scope.service_sid,
            credential_sid=grant.credential_sid,
            identity=grant.identity,
            endpoint=address,
            binding_type=kind,
            message_types=message_types,
            date_created=tx.now,
            date_updated=tx.now,
        )
        return await push_bindings.register(tx, binding)


async def unregister(runtime: Runtime, grant: Grant, sid: str) -> None:
    """Forget a device of the bearer's, by its binding."""
    async with runtime.db.begin() as tx:
        binding = await push_bindings.find(tx, scope_of(grant), sid)
        if binding is not None and binding.identity == grant.identity:
            await push_bindings.remove(tx, binding.sid)


async def forget(runtime: Runtime, grant: Grant, body: Any) -> None:
    """Forget a device of the bearer's, by what it is reached at. Raises Invalid."""
    asked = _object(body, "the body")
    kind, address = _kind(asked.get("binding_type")), _address(asked.get("address"))
    async with runtime.db.begin() as tx:
        await push_bindings.forget(tx, scope_of(grant), grant.identity, kind, address)


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Invalid(INVALID, f"Invalid registration: {what} is not an object")
    return value


def _kind(value: Any) -> str:
    if not isinstance(value, str) or value not in TYPES:
        raise Invalid(*BAD_TYPE)
    return value


def _address(value: Any) -> str:
    if not _is_text(value, ADDRESS_CHARS_MAX) or not value.isascii():
        said = f"an address has 1 to {ADDRESS_CHARS_MAX} ASCII characters"
        raise Invalid(INVALID, f"Invalid registration: {said}")
    return str(value)


def _message_types(value: Any) -> list[str]:
    """Which messages the device wants; none said: none."""
    wanted = [] if value is None else value
    if (
        not isinstance(wanted, list)
        or len(wanted) > MESSAGE_TYPES_MAX
        or not all(_is_text(one, MESSAGE_TYPE_CHARS_MAX) for one in wanted)
    ):
        raise Invalid(INVALID, "Invalid registration: `message_types` is not a list of names")
    return list(dict.fromkeys(wanted))


def _is_text(value: Any, chars_max: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= chars_max and "\x00" not in value
