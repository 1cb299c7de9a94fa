"""Who comes with an access token: somebody's web or mobile application, as one identity.

Tokens are signed by API keys (`rules/access_tokens.py` says what they must be): those of the file,
and those of the database that may write, whose secrets are kept sealed. The keys of the database
are those that the gate knows (`keys.py`), so that an unknown one costs no question.
"""

from __future__ import annotations

from collections.abc import Mapping

from app.api.keys import Keys
from app.errors import Denied, Unsealable
from app.model.access import WRITE
from app.rules import access_tokens
from app.rules.access_tokens import GRANTS, ISSUER, Grant, Signer
from app.runtime import Runtime
from app.settings.models import Settings
from app.store import scope as scopes
from app.store.keys import Live, reveal
from app.store.scope import Scope


class Tokens:
    """Reads access tokens."""

    def __init__(self, runtime: Runtime, keys: Keys) -> None:
        self._runtime, self._keys = runtime, keys
        self._configured = _configured(runtime.settings)

    async def read(self, token: str) -> Grant:
        """What this token grants, now. Raises Denied (20101-20107, 20157) and Unavailable."""
        runtime = self._runtime
        signer = await self._signer(access_tokens.issuer(token))
        limits = runtime.settings.of(signer.account_sid).limits
        grant = access_tokens.verified(
            token,
            signer,
            now=runtime.clock.now(),
            identity_chars_max=limits.identity_chars_max,
        )
        async with runtime.db.read() as tx:
            if await scopes.find(tx, grant.account_sid, grant.service_sid) is None:
                reason = f"the account has no conversation service {grant.service_sid}"
                raise Denied(*GRANTS, {"reason": reason})
        return grant

    async def stands(self, grant: Grant) -> bool:
        """Whether the key that signed it is still there: a grant ends with it. Costs a question at
        most every two seconds, whoever asks. Raises Unavailable."""
        if grant.key_sid in self._configured:
            return True
        key = await self._keys.find(grant.key_sid)
        return key is not None and WRITE in key.scopes

    async def _signer(self, sid: str) -> Signer:
        """The key with this SID. Raises Denied for one that signs no tokens."""
        if (configured := self._configured.get(sid)) is not None:
            return configured
        key = await self._keys.find(sid)
        if key is None or key.account_sid not in self._runtime.settings.houses:
            raise Denied(*ISSUER, {"reason": f"there is no API key {sid}"})
        return Signer(sid, key.account_sid, self._secret(key))

    def _secret(self, key: Live) -> str:
        """The secret of a key that may sign tokens: who may only read could make itself anybody
        who writes. Raises Denied."""
        if WRITE not in key.scopes:
            raise Denied(*ISSUER, {"reason": f"{key.sid} has not the scope {WRITE}"})
        if key.sealed_secret is None:
            reason = f"the secret of {key.sid} is not kept: make another key"
            raise Denied(*ISSUER, {"reason": reason})
        try:
            return reveal(self._runtime.vault, key.sid, key.sealed_secret)
        except Unsealable:
            raise Denied(*ISSUER, {"reason": f"the secret of {key.sid} cannot be opened"}) from None


def scope_of(grant: Grant) -> Scope:
    """The service that a token leads into."""
    return Scope(grant.account_sid, grant.service_sid)


def _configured(settings: Settings) -> Mapping[str, Signer]:
    """The keys of the file."""
    return {
        key.sid: Signer(key.sid, account.sid, key.secret.get_secret_value())
        for account in (settings.account, *settings.accounts)
        for key in account.api_keys
    }
