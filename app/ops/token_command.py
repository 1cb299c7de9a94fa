"""`parley token`: make an access token, as an application's server makes them."""

from __future__ import annotations

import argparse
from typing import Any

from app.errors import Invalid, Unsealable
from app.model.access import WRITE
from app.rules import access_tokens
from app.rules.access_tokens import SECRET_BYTES_MIN, TTL_S, TTL_S_MAX, Signer
from app.rules.participants import check_identity
from app.settings.models import Settings
from app.store import keys
from app.store import scope as scopes
from app.store.database import Tx
from app.store.declared import declare
from app.vault import Vault

TEXT = "Print an access token for the SDKs: who has it is this identity until it expires."
WRONG = 20001

ARGUMENTS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (("--identity",), {"required": True, "metavar": "NAME", "help": "who its bearer is"}),
    (("--service",), {"metavar": "IS...", "help": "default: the account's default service"}),
    (
        ("--ttl",),
        {
            "type": int,
            "default": TTL_S,
            "metavar": "SECONDS",
            "help": f"how long it is valid, at most {TTL_S_MAX}; default: %(default)s",
        },
    ),
    (("--key",), {"metavar": "SK...", "help": "the API key that signs it; default: any that can"}),
    (("--account",), {"metavar": "AC...", "help": "whose; default: the main account"}),
)


async def run(tx: Tx, settings: Settings, vault: Vault, options: argparse.Namespace) -> str:
    """The token. Raises Invalid."""
    account_sid = options.account or settings.account.sid
    if account_sid not in settings.houses:
        raise Invalid(WRONG, f"the file names no account {account_sid}")
    if not 1 <= options.ttl <= TTL_S_MAX:
        raise Invalid(WRONG, f"--ttl should be between 1 and {TTL_S_MAX} seconds")
    await declare(tx, settings)  # the account may never have been served yet
    scope = await scopes.find(tx, account_sid, options.service)
    if scope is None:
        raise Invalid(WRONG, f"{account_sid} has no conversation service {options.service}")
    chars_max = settings.of(account_sid).limits.identity_chars_max
    identity = check_identity(options.identity, chars_max=chars_max)
    signer = await _signer(tx, settings, vault, account_sid, options.key)
    return access_tokens.make(signer, scope.service_sid, identity, now=tx.now, ttl_s=options.ttl)


async def _signer(
    tx: Tx, settings: Settings, vault: Vault, account_sid: str, sid: str | None
) -> Signer:
    """The key with this SID, else any of the account's that can sign. Raises Invalid."""
    account = next(one for one in (settings.account, *settings.accounts) if one.sid == account_sid)
    signers = [
        Signer(key.sid, account_sid, key.secret.get_secret_value()) for key in account.api_keys
    ]
    for live in (await keys.live(tx.sql)).values():
        if live.account_sid == account_sid and WRITE in live.scopes and live.sealed_secret:
            try:
                secret = keys.reveal(vault, live.sid, live.sealed_secret)
            except Unsealable:
                continue
            signers.append(Signer(live.sid, account_sid, secret))
    for signer in signers:
        if sid in (None, signer.key_sid) and len(signer.secret.encode()) >= SECRET_BYTES_MIN:
            return signer
    needs = f"a key that may write, with a secret of {SECRET_BYTES_MIN} characters or more"
    if sid is not None:
        raise Invalid(
            WRONG, f"{sid} cannot sign: it takes {needs}, that is kept sealed or in the file"
        )
    raise Invalid(
        WRONG, f"{account_sid} has no API key that can sign ({needs}): parley keys create"
    )
