"""Address configurations ("Address Configuration Resource"): what an inbound message to one of
our addresses may create. They belong to the account; one address has at most one."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any, get_args

from app import ids
from app.api import parameters as kinds
from app.api.call import Call, takes
from app.api.declared import owned
from app.api.forms import INVALID, Form
from app.api.page import Listing
from app.api.scope import Links
from app.channels.address import channel_of, normalise
from app.clock import iso_seconds
from app.errors import Forbidden, Invalid, NotFound
from app.model import AddressConfiguration
from app.rules.conversations import check_friendly_name
from app.settings.types import Payload, PostEvent
from app.store import addresses
from app.store import scope as scopes
from app.store.database import Tx

PATH = "/Configuration/Addresses"
WORDS = (
    "sms",
    "whatsapp",
    "messenger",
    "instagram",
    "gbm",
    "email",
    "rcs",
    "apple",
    "chat",
    "applechat",
)
TYPES = {word: word for word in WORDS}
AUTO_TYPES = {word: word for word in ("webhook", "studio", "default")}
METHODS = {"get": "GET", "post": "POST"}
PAYLOADS = {payload: payload for payload in get_args(Payload)}
# The ten of the documentation, and onConversationAdded, which the Messenger guide uses.
FILTERS = frozenset(get_args(PostEvent)) - {"onUserAdded", "onUserUpdated"}
URL_CHARS_MAX = 512
RETRIES_MAX = 3

TYPE = kinds.choice("Type", TYPES, INVALID, "Invalid Type").needed()
ADDRESS = kinds.text("Address").needed()
FRIENDLY_NAME = kinds.clearable("FriendlyName", check_friendly_name)
ADDRESS_COUNTRY = kinds.country("AddressCountry")
AUTO_ENABLED = kinds.flag("AutoCreation.Enabled")
AUTO_TYPE = kinds.choice("AutoCreation.Type", AUTO_TYPES, INVALID, "Invalid AutoCreation.Type")
AUTO_SERVICE_SID = kinds.sid(
    "AutoCreation.ConversationServiceSid", ids.SERVICE, 50050, "Service Instance not found"
)
AUTO_WEBHOOK_URL = kinds.url(
    "AutoCreation.WebhookUrl", URL_CHARS_MAX, 50372, "Conversation webhook URL is too long"
)
AUTO_WEBHOOK_METHOD = kinds.choice(
    "AutoCreation.WebhookMethod", METHODS, 50055, "Invalid webhook method"
)
AUTO_WEBHOOK_FILTERS = kinds.words(
    "AutoCreation.WebhookFilters", FILTERS, 50365, "Invalid conversation webhook filter"
)
AUTO_WEBHOOK_ECHO = kinds.flag("AutoCreation.WebhookEcho")
AUTO_WEBHOOK_PAYLOAD = kinds.choice(
    "AutoCreation.WebhookPayload", PAYLOADS, INVALID, "Invalid AutoCreation.WebhookPayload"
)
AUTO_STUDIO_FLOW_SID = kinds.sid(
    "AutoCreation.StudioFlowSid", ids.FLOW, 50367, "Invalid conversation webhook flow SID"
)
AUTO_STUDIO_RETRY_COUNT = kinds.integer(
    "AutoCreation.StudioRetryCount", RETRIES_MAX, 50065, "Invalid webhook retry count"
)
BOTH = (
    FRIENDLY_NAME,
    AUTO_ENABLED,
    AUTO_TYPE,
    AUTO_SERVICE_SID,
    AUTO_WEBHOOK_URL,
    AUTO_WEBHOOK_METHOD,
    AUTO_WEBHOOK_FILTERS,
    AUTO_WEBHOOK_ECHO,
    AUTO_WEBHOOK_PAYLOAD,
    AUTO_STUDIO_FLOW_SID,
    AUTO_STUDIO_RETRY_COUNT,
)
LISTED_TYPE = kinds.choice("Type", TYPES, INVALID, "Invalid Type")

LISTING = Listing("address_configurations", (datetime, str))


@takes(LISTED_TYPE)
async def page(call: Call) -> dict[str, Any]:
    """The account's address configurations, oldest first."""
    async with call.begin() as (tx, scope):
        wanted, type_ = call.wanted(LISTING), call.form.get(LISTED_TYPE)
        rows = await addresses.page(tx, scope.account_sid, type_, wanted.slice)
    return wanted.answer(rows, addresses.key, partial(show, links=call.links))


@takes(TYPE, ADDRESS, ADDRESS_COUNTRY, *BOTH)
async def create(call: Call) -> dict[str, Any]:
    """Configure one of our senders. Raises Forbidden 50413 for any other address."""
    async with call.begin() as (tx, scope):
        configuration = AddressConfiguration(
            sid=ids.new(ids.ADDRESS_CONFIGURATION),
            account_sid=scope.account_sid,
            type=call.form[TYPE],
            address=_address(call),
            address_country=call.form.get(ADDRESS_COUNTRY),
            date_created=tx.now,
            date_updated=tx.now,
        )
        await _apply(tx, configuration, call.form, tx.now)
        await addresses.add(tx, configuration)
    return show(configuration, call.links)


@takes()
async def fetch(call: Call) -> dict[str, Any]:
    """One configuration, by SID or address."""
    async with call.begin() as (tx, scope):
        found = await addresses.find(tx, scope.account_sid, _key(call))
    return show(call.found(found), call.links)


@takes(*BOTH)
async def update(call: Call) -> dict[str, Any]:
    """Change a configuration that the YAML does not own."""
    async with call.begin() as (tx, _):
        configuration = await _changeable(call, tx)
        await _apply(tx, configuration, call.form, tx.now)
        await addresses.write(tx, configuration)
    return show(configuration, call.links)


@takes()
async def delete(call: Call) -> None:
    """Delete a configuration that the YAML does not own."""
    async with call.begin() as (tx, _):
        configuration = await _changeable(call, tx)
        await addresses.remove(tx, configuration.sid)


def show(configuration: AddressConfiguration, links: Links) -> dict[str, Any]:
    """The resource."""
    return {
        "account_sid": configuration.account_sid,
        "sid": configuration.sid,
        "address": configuration.address,
        "type": configuration.type,
        "friendly_name": configuration.friendly_name,
        "address_country": configuration.address_country,
        "auto_creation": _auto_creation(configuration),
        "date_created": iso_seconds(configuration.date_created),
        "date_updated": iso_seconds(configuration.date_updated),
        "url": links.account(f"{PATH}/{configuration.sid}"),
    }


def _auto_creation(configuration: AddressConfiguration) -> dict[str, Any]:
    """The `auto_creation` object: only the keys of its type, as the samples show it."""
    c = configuration
    shown: dict[str, Any] = {"enabled": c.auto_enabled, "type": c.auto_type}
    if c.auto_service_sid is not None:
        shown["conversation_service_sid"] = c.auto_service_sid
    if c.auto_type == "webhook":
        shown["webhook_url"] = c.auto_webhook_url
        shown["webhook_method"] = c.auto_webhook_method or "POST"
        shown["webhook_filters"] = c.auto_webhook_filters
    if c.auto_type == "studio":
        shown["studio_flow_sid"] = c.auto_studio_flow_sid
        shown["studio_retry_count"] = c.auto_studio_retry_count
    return shown


def _key(call: Call) -> str:
    """The path's SID, or its address as it is stored."""
    key = call.key("Sid")
    try:
        return key if ids.SID.fullmatch(key) else normalise(key, allow_short_code=True)
    except ValueError:
        raise call.missing() from None


async def _changeable(call: Call, tx: Tx) -> AddressConfiguration:
    """The configuration, locked. Raises Conflict 20409 when the YAML owns it."""
    configuration = call.found(await addresses.find(tx, call.account_sid, _key(call), lock=True))
    if configuration.declared_as is not None:
        raise owned("This address configuration", configuration.declared_as)
    return configuration


def _address(call: Call) -> str:
    """The address to configure. Raises Invalid 20001, Forbidden 50413 when it is not ours."""
    try:
        address = normalise(call.form[ADDRESS], allow_short_code=True)
    except ValueError as error:
        details = {"parameter": ADDRESS.name, "reason": str(error)}
        raise Invalid(INVALID, f"Invalid {ADDRESS.name}", details) from None
    if channel_of(address) != call.form[TYPE]:
        raise Invalid(INVALID, "Invalid Type: the Address is of another type")
    if call.runtime.settings.sender(address) is None:
        raise Forbidden(50413, "Account is not authorized to use proxy address")
    return address


async def _apply(tx: Tx, configuration: AddressConfiguration, form: Form, now: datetime) -> None:
    """Set what was sent. Raises NotFound 50050 for a service that is not there."""
    c = configuration
    if AUTO_SERVICE_SID in form and not await scopes.find(
        tx, c.account_sid, form[AUTO_SERVICE_SID]
    ):
        raise NotFound(50050, "Service Instance not found")
    c.friendly_name = form.get(FRIENDLY_NAME, c.friendly_name)
    c.auto_enabled = form.get(AUTO_ENABLED, c.auto_enabled)
    c.auto_type = form.get(AUTO_TYPE, c.auto_type)
    c.auto_service_sid = form.get(AUTO_SERVICE_SID, c.auto_service_sid)
    c.auto_webhook_url = form.get(AUTO_WEBHOOK_URL, c.auto_webhook_url)
    c.auto_webhook_method = form.get(AUTO_WEBHOOK_METHOD, c.auto_webhook_method)
    c.auto_webhook_filters = form.get(AUTO_WEBHOOK_FILTERS, c.auto_webhook_filters)
    c.auto_webhook_echo = form.get(AUTO_WEBHOOK_ECHO, c.auto_webhook_echo)
    c.auto_webhook_payload = form.get(AUTO_WEBHOOK_PAYLOAD, c.auto_webhook_payload)
    c.auto_studio_flow_sid = form.get(AUTO_STUDIO_FLOW_SID, c.auto_studio_flow_sid)
    c.auto_studio_retry_count = form.get(AUTO_STUDIO_RETRY_COUNT, c.auto_studio_retry_count)
    c.date_updated = now
    if c.auto_type == "webhook" and c.auto_webhook_url is None:
        raise Invalid(50369, "Conversation webhook URL not provided")
    if c.auto_type == "studio" and c.auto_studio_flow_sid is None:
        raise Invalid(50367, "Invalid conversation webhook flow SID")
