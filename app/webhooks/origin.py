"""Where a change comes from, in the original's word and in ours, and who hears of it unasked.

One rule holds for everybody who may be told: every change becomes an event, and its origin says
whether it is `quiet`. A quiet event is for those alone who asked for everything (a webhook with
`echo`); an event that is not quiet is for all whose filters name it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from app.channels.facts import binding_type
from app.values import value

KINDS = {"API": "rest", "SDK": "sdk", "TIMER": "timer"}
CARRIER = "carrier"


@value(frozen=True, slots=True)
class Origin:
    """`source` is the payloads' `Source`: API, SDK, SMS, WHATSAPP, ... `kind` is our `Origin`:
    rest, sdk, carrier, timer or flow. `client_identity` is who acted, in an SDK. `quiet`: the
    change is told only to those who want echoes ("Triggering Webhooks for REST API Events")."""

    source: str
    kind: str
    client_identity: str | None = None
    quiet: bool = False

    @property
    def aloud(self) -> Origin:
        """The same for a change that is always told: one by timer, or by a new message."""
        return replace(self, quiet=False)


REST = Origin("API", "rest")
QUIET_REST = replace(REST, quiet=True)
"""A change by REST whose caller did not send X-Twilio-Webhook-Enabled."""

TIMER = Origin("TIMER", "timer")
"""The original documents TIMER as a reason; its source was never observed. A word of its own keeps
apart what a customer's program changed (API, SDK): programs that skip their own changes by Source
must not skip these."""

FLOW = Origin("API", "flow")
"""A flow acts through REST; only our own word tells it apart."""


def sdk(client_identity: str) -> Origin:
    """Somebody with an SDK."""
    return Origin("SDK", "sdk", client_identity)


@lru_cache(maxsize=64)  # of few channels
def carrier(channel: str) -> Origin:
    """Somebody outside, on this channel; or what a carrier says of a send."""
    return Origin(binding_type(channel).upper(), CARRIER)


def of(source: str, *, quiet: bool = False) -> Origin:
    """The origin of something of which only the source was kept."""
    return Origin(source, KINDS.get(source, CARRIER), quiet=quiet)
