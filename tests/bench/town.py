"""The town of the bench: who lives in it (addresses by number) and the YAML of the service."""

from __future__ import annotations

import json
from hashlib import sha1
from typing import Any

ACCOUNT = "AC" + "b" * 32
TOKEN = "the-token-of-the-bench"
CARRIER_ACCOUNT = "AC" + "7e" * 16
CARRIER_TOKEN = "the-token-of-the-carrier"
LINE, LAB = "line", "lab"
"""Carriers: inbounds come by `line` (signed forms), deliveries go out by `lab` (a local sink)."""
LINE_ADDRESS, LAB_ADDRESS = "+15005550006", "+15005550007"
CUSTOMER, COLLEAGUE, STRANGER = "+1555", "+1666", "+1777"
"""Conversation number n is held by customer n and has colleague n as its other external member."""
INBOUND = f"/carriers/{LINE}/inbound"
NOWHERE = "http://127.0.0.1:9"
"""Where things go that no worker ever sends."""


SAME = {
    "AccountSid": CARRIER_ACCOUNT,
    "ApiVersion": "2010-04-01",
    "NumMedia": "0",
    "NumSegments": "1",
    "SmsStatus": "received",
    "To": LINE_ADDRESS,
}
"""The parameters that are the same in every inbound message."""


def address(family: str, number: int) -> str:
    """The address of one inhabitant."""
    return f"{family}{2_000_000 + number % 7_900_000:07d}"


def form(body: str, number: int) -> dict[str, str]:
    """What the carrier posts when customer `number` writes; the body names the message too."""
    sid = f"SM{sha1(body.encode()).hexdigest()[:32]}"
    return SAME | {
        "Body": body,
        "From": address(CUSTOMER, number),
        "MessageSid": sid,
        "SmsSid": sid,
    }


def settings(port: int, *, sink: str = NOWHERE, hooks: bool = True, **sections: Any) -> str:
    """The YAML (as JSON, which is YAML) of a service that listens on this port."""
    webhooks = {"post_url": f"{sink}/events", "filters": ["onMessageAdded"]} if hooks else {}
    return json.dumps(
        {
            "account": {"sid": ACCOUNT, "auth_token": TOKEN},
            "server": {"port": port, "drain_s": 1.0},
            "carriers": {
                LINE: {
                    "kind": "twilio",
                    "account_sid": CARRIER_ACCOUNT,
                    "auth_token": CARRIER_TOKEN,
                    "base_url": NOWHERE,
                },
                LAB: {"kind": "sandbox", "url": sink, "look_up": False},
            },
            "senders": [
                {"address": LINE_ADDRESS, "carrier": LINE, "messaging_service": "default"},
                {"address": LAB_ADDRESS, "carrier": LAB, "messaging_service": "default"},
            ],
            "messaging_services": {"default": {}},
            "addresses": [{"address": LINE_ADDRESS, "auto_creation": {"type": "default"}}],
            "webhooks": webhooks,
            "egress": {"open": ["127.0.0.1"]},
            **sections,
        }
    )
