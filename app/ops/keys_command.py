"""`parley keys`: make, list and revoke the API keys of the database."""

from __future__ import annotations

import argparse
from typing import Any

from app.model.access import WRITE
from app.ops import keys
from app.settings.models import Settings
from app.store.database import Tx
from app.vault import Vault

TEXT = "Make, list and revoke API keys: a user name (SK...) and a secret for HTTP Basic."

ARGUMENTS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (("action",), {"choices": ("create", "list", "revoke"), "help": "what to do"}),
    (("sid",), {"nargs": "?", "metavar": "SK...", "help": "the key to revoke"}),
    (("--name",), {"metavar": "NAME", "help": "what the new key is for"}),
    (
        ("--scopes",),
        {
            "default": ",".join(keys.USUAL),
            "metavar": "LIST",
            "help": "of read (GET), write (all of the API) and operator (/ops); "
            "default: %(default)s",
        },
    ),
    (("--account",), {"metavar": "AC...", "help": "whose; default: the main account"}),
)


def wrong(options: argparse.Namespace) -> str | None:
    """What is wrong with the question; None when nothing is."""
    if (options.action == "revoke") != (options.sid is not None):
        return "give the SID of a key to revoke it, and only then"
    return None


async def run(tx: Tx, settings: Settings, vault: Vault, options: argparse.Namespace) -> str:
    """Do what was asked with keys; gives what there is to say when it is committed."""
    if options.action == "list":
        return await keys.listing(tx)
    if options.action == "revoke":
        await keys.revoke(tx, options.sid)
        return f"{options.sid} is revoked: running servers refuse it within seconds"
    scopes = options.scopes.split(",")
    sid, secret = await keys.create(
        tx, settings, vault, name=options.name, scopes=scopes, account_sid=options.account
    )
    told = f"key     {sid}\nsecret  {secret}\nThe secret is shown this once."
    if WRITE in scopes and vault.prefix is None:
        told += " The key signs no access tokens: there is no secret key (setting `secrets.key`)."
    return told
