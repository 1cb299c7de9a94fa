"""Settings as tests want them: one account, a sandbox carrier, two senders."""

from __future__ import annotations

from typing import Any

from app.settings.models import Settings

ACCOUNT = "AC" + "a" * 32
TOKEN = "the-account-token"
SMS = "+15005550006"
WHATSAPP = "whatsapp:+15005550010"
POST_EVENTS = (
    "onConversationAdded",
    "onConversationStateUpdated",
    "onDeliveryUpdated",
    "onMessageAdded",
    "onParticipantAdded",
)


def settings(**changes: Any) -> Settings:
    """The settings of a small house; sections that are named replace these."""
    sections: dict[str, Any] = {
        "account": {"sid": ACCOUNT, "auth_token": TOKEN},
        "server": {"port": 0, "drain_s": 5},
        "carriers": {"lab": {"kind": "sandbox", "secret": "lab-secret"}},
        "senders": [
            {"address": SMS, "carrier": "lab", "messaging_service": "default"},
            {"address": WHATSAPP, "carrier": "lab", "messaging_service": "default"},
        ],
        "messaging_services": {"default": {"autocreate": True}},
        "egress": {"open": ["127.0.0.1"]},
        "media": {"fetch": False},
    }
    return Settings.model_validate(sections | changes)
