"""What a provider's answer to a send means: the operator's outcomes first, then these defaults.

| answer | means |
|---|---|
| 2xx with the id | accepted |
| 2xx without it | unknown: something was accepted, and nobody knows its name |
| 429 | throttled |
| 3xx, 401, 403, 404, 405, 407, 425 | temporary: not about the message, the operator mends it; |
|       | with 401 and 407 (20003) the carrier counts as failing, with 403 (20003) only the sender |
| 408, 5xx | unknown: the request had arrived |
| any other 4xx | permanent |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from app.carriers import http_text
from app.carriers.exchange import Reply, retry_after, without_numbers
from app.carriers.http_options import AnswerSettings, Outcome
from app.carriers.http_paths import Source, word
from app.errors import NOT_LET_IN, Permanent, Temporary, Unknown
from app.model.traffic import Accepted

OPERATORS = frozenset({401, 403, 404, 405, 407, 425})
LOGIN = frozenset({401, 407})
FORBIDDEN = 403
UNAUTHORISED_CODE = 20003
TIMED_OUT = 408
TOO_MANY = 429
TOO_MANY_CODE = 20429
UNKNOWN_CODE = 30008
"""The original's "unknown error": what a refusal gets whose code is not in `codes`."""
ID_LENGTH_MAX = 255


@dataclass(frozen=True, slots=True)
class Judge:
    """Reads answers. `codes` maps the provider's codes to ours; `hidden` are texts that no message
    repeats."""

    settings: AnswerSettings
    codes: Mapping[str, int]
    hidden: Sequence[str] = field(repr=False)

    def accepted(self, reply: Reply, reference: str, now: datetime) -> Accepted:
        """The accepted message; raises Temporary, Permanent or Unknown."""
        body = self._body(reply)
        said = Source(body, body)
        outcome = self._outcome(reply.status, said)
        means = outcome.means if outcome else _default(reply.status)
        theirs = word(said.first(self.settings.code)) if self.settings.code else None
        code = (outcome.code if outcome else None) or self.codes.get(theirs or "")
        text = self._text(reply.status, theirs, said)
        wait_s = retry_after(reply.headers, now)
        if means == "accepted":
            return Accepted(self._id(said, reference))
        if means == "throttled":
            raise Temporary(text, code or TOO_MANY_CODE, wait_s, throttled=True)
        if means == "temporary":
            down = reply.status >= 500 or reply.status in LOGIN or code in NOT_LET_IN
            if reply.status in (*LOGIN, FORBIDDEN):
                code = code or UNAUTHORISED_CODE
            raise Temporary(text, code, wait_s, down=down)
        if means == "permanent":
            raise Permanent(text, code or UNKNOWN_CODE)
        raise Unknown(text, code)

    def _body(self, reply: Reply) -> Any:
        if not self.settings.text:
            return json_of(reply)
        return http_text.fields(self.settings.text, reply.body.decode("utf-8", "replace"))

    def _outcome(self, status: int, said: Source) -> Outcome | None:
        for outcome in self.settings.outcomes:
            if fits(status, outcome.status) and said.fits(outcome.when):
                return outcome
        return None

    def _id(self, said: Source, reference: str) -> str:
        if self.settings.id is None:
            return reference
        found = identifier(said.first(self.settings.id))
        if found is None:
            raise Unknown("the carrier accepted something that it does not name")
        return found

    def _text(self, status: int, theirs: str | None, said: Source) -> str:
        text = word(said.first(self.settings.message)) if self.settings.message else None
        for one in self.hidden:
            text = text and text.replace(one, "***")
        parts = [f"HTTP {status}", theirs and f"code {theirs}", text]
        return without_numbers(": ".join(part for part in parts if part))


def json_of(reply: Reply) -> Any:
    """The JSON in the answer, whatever it is; None when it is none."""
    try:
        return orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        return None


def fits(status: int, patterns: Sequence[str]) -> bool:
    """Whether an HTTP status is among 404s and 5xxs; any is among none."""
    return not patterns or any(
        str(status) == one or (one.endswith("xx") and str(status)[0] == one[0]) for one in patterns
    )


def identifier(value: Any) -> str | None:
    """A provider's id as text; None for what cannot be one."""
    text = word(value)
    if not text or len(text) > ID_LENGTH_MAX or not text.isascii() or not text.isprintable():
        return None
    return text


def _default(status: int) -> str:
    if 200 <= status < 300:
        return "accepted"
    if status == TOO_MANY:
        return "throttled"
    if status in OPERATORS or 300 <= status < 400:
        return "temporary"
    return "unknown" if status >= 500 or status in (TIMED_OUT, *range(200)) else "permanent"
