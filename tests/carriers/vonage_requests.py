"""Requests as Vonage makes them, and the carrier that reads them at a time that stands still."""

from __future__ import annotations

import json
from typing import Any

from multidict import CIMultiDict, MultiDict

from app.carriers.contract import Request
from app.carriers.vonage import Options, Vonage
from tests.support.clock import START, TurnedClock
from tests.support.vonage_stand_in import OPTIONS, received

ID, OTHER_ID = "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab", "bbbbbbbb-bbbb-4ccc-8ddd-0123456789ab"
RECEIPT = "DY" + "0f" * 16
PHONE, OURS, ANN, BOB = "+447700900001", "+447700900000", "+447700900002", "+447700900003"
NOW = int(START.timestamp())


def vonage(**options: Any) -> Vonage:
    return Vonage("vo", Options.model_validate(OPTIONS | options), TurnedClock())


def request(said: Any, receipt: str = "", **headers: str) -> Request:
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    query = MultiDict({"receipt": receipt} if receipt else {})
    url = "https://talk.example.com/carriers/vo/inbound"
    return Request("POST", url, CIMultiDict(headers), query, MultiDict(), body)


def message(kind: str = "text", channel: str = "sms", /, **parts: Any) -> dict[str, Any]:
    said = received(ID, PHONE, OURS, "Hi") | {"message_type": kind, "channel": channel}
    if kind != "text":
        del said["text"]
    return said | parts


def whatsapp(kind: str = "text", /, **parts: Any) -> dict[str, Any]:
    return message(kind, "whatsapp", profile={"name": "Jane Smith"}, **parts)
