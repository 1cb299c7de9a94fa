"""Credentials of push services ("Credential Resource"). Secrets are written, kept sealed and never
read back."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from app import ids
from app.api import parameters as kinds
from app.api.call import Call, takes
from app.api.forms import INVALID, Form, Parameter
from app.api.page import Listing
from app.api.scope import Links
from app.clock import iso_seconds
from app.model import Credential
from app.rules.conversations import check_friendly_name
from app.store import credentials
from app.vault import Vault

PATH = "/Credentials"
TYPES = {word: word for word in ("apn", "gcm", "fcm")}
NAME_CHARS_MAX = 64
SECRET_CHARS_MAX = 16_384

TYPE = kinds.choice("Type", TYPES, INVALID, "Invalid Type")
NEW_TYPE = TYPE.needed()
FRIENDLY_NAME = kinds.clearable(
    "FriendlyName", partial(check_friendly_name, chars_max=NAME_CHARS_MAX)
)


def _secret(name: str) -> Parameter[str | None]:
    return kinds.short(name, SECRET_CHARS_MAX, INVALID, f"Invalid {name}")


CERTIFICATE, PRIVATE_KEY = _secret("Certificate"), _secret("PrivateKey")
SANDBOX = kinds.flag("Sandbox")
API_KEY, SECRET = _secret("ApiKey"), _secret("Secret")
# What belongs to each type, by column; the rest is not kept.
OF_TYPE: Mapping[str, Mapping[str, Parameter[Any]]] = {
    "apn": {"certificate": CERTIFICATE, "private_key": PRIVATE_KEY, "sandbox": SANDBOX},
    "gcm": {"api_key": API_KEY},
    "fcm": {"secret": SECRET},
}
BOTH = (FRIENDLY_NAME, CERTIFICATE, PRIVATE_KEY, SANDBOX, API_KEY, SECRET)

LISTING = Listing("credentials", (str,), size=50, size_max=100)


@takes()
async def page(call: Call) -> dict[str, Any]:
    """The account's credentials, in the order in which they were made."""
    async with call.begin() as (tx, scope):
        wanted = call.wanted(LISTING)
        rows = await credentials.page(tx, scope.account_sid, wanted.slice)
    return wanted.answer(rows, credentials.key, partial(show, links=call.links))


@takes(NEW_TYPE, *BOTH)
async def create(call: Call) -> dict[str, Any]:
    """Keep a new credential."""
    async with call.begin() as (tx, scope):
        credential = Credential(
            sid=ids.new(ids.CREDENTIAL),
            account_sid=scope.account_sid,
            type=call.form[NEW_TYPE],
            date_created=tx.now,
            date_updated=tx.now,
        )
        _apply(credential, call.form, call.runtime.vault)
        await tx.add(credential)
    return show(credential, call.links)


@takes()
async def fetch(call: Call) -> dict[str, Any]:
    """One credential, without its secrets."""
    async with call.begin() as (tx, scope):
        found = await credentials.find(tx, scope.account_sid, call.key("Sid"))
    return show(call.found(found), call.links)


@takes(TYPE, *BOTH)
async def update(call: Call) -> dict[str, Any]:
    """Change a credential; one that changes its type keeps nothing of the other."""
    async with call.begin() as (tx, scope):
        found = await credentials.find(tx, scope.account_sid, call.key("Sid"), lock=True)
        credential = call.found(found)
        credential.type = call.form.get(TYPE, credential.type)
        _apply(credential, call.form, call.runtime.vault)
        credential.date_updated = tx.now
        await credentials.write(tx, credential)
    return show(credential, call.links)


@takes()
async def delete(call: Call) -> None:
    """Forget a credential."""
    async with call.begin() as (tx, scope):
        sid = call.found(await credentials.find(tx, scope.account_sid, call.key("Sid"))).sid
        if not await credentials.remove(tx, scope.account_sid, sid):
            raise call.missing()


def show(credential: Credential, links: Links) -> dict[str, Any]:
    """The resource. `sandbox` is a word, for Apple's alone."""
    sandbox = "true" if credential.sandbox else "false"
    return {
        "sid": credential.sid,
        "account_sid": credential.account_sid,
        "friendly_name": credential.friendly_name,
        "type": credential.type,
        "sandbox": sandbox if credential.type == "apn" else None,
        "date_created": iso_seconds(credential.date_created),
        "date_updated": iso_seconds(credential.date_updated),
        "url": links.account(f"{PATH}/{credential.sid}"),
    }


def _apply(credential: Credential, form: Form, vault: Vault) -> None:
    """Set what was sent and belongs to the type; clear what belongs to another. Raises Forbidden
    for a secret that cannot be sealed."""
    credential.friendly_name = form.get(FRIENDLY_NAME, credential.friendly_name)
    for type_, columns in OF_TYPE.items():
        for column, parameter in columns.items():
            if type_ != credential.type:
                setattr(credential, column, None)
            elif parameter in form and column in credentials.SECRETS:
                credentials.seal(credential, vault, column, form[parameter])
            elif parameter in form:
                setattr(credential, column, form[parameter])
