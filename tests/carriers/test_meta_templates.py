"""Content templates at Meta: as the approved template, freely within a session, or in words; and
what WhatsApp decides on them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from multidict import CIMultiDict, MultiDict

from app.carriers.contract import Approving, Junk, Request
from app.model.traffic import ApprovalStatus, ContentTemplate, Outgoing
from app.rules.content import Deliver
from app.rules.templates import fitted
from app.settings.content_types import check_types
from tests.carriers.test_meta_outbound import (
    CHAT,
    TAKEN,
    TAKEN_CHAT,
    TEXT,
    canned,
    carrier,
    context,
    whatsapp,
)

__all__ = ["context"]

PNG = "https://m.example/a.png"
REPLIES = [{"title": "Yes", "id": "y"}, {"title": "No"}]
SITE = {"type": "URL", "title": "Track", "url": "https://x.example/{{3}}"}
CALL = {"type": "PHONE_NUMBER", "title": "Call", "phone": "+15550001111"}
CODE = {"type": "COPY_CODE", "title": "Copy", "code": "SALE"}


def made(types: Any, **more: Any) -> ContentTemplate:
    given = {"1": "Ann", "2": "Bob", "3": "77"}
    return ContentTemplate(
        **{
            "sid": "HX1",
            "language": "en",
            "types": check_types(types),
            "variables": given,
            "approved_name": "hello",
            **more,
        }
    )


def sent(base: Outgoing, content: ContentTemplate, in_session: bool) -> Outgoing:
    """What the road hands over."""
    fitting = fitted(base.channel, None, (), "twilio", content, in_session)
    assert isinstance(fitting, Deliver), fitting
    return replace(base, body=fitting.body, media=fitting.media, template=fitting.template)


def template(components: list[Any], **more: Any) -> dict[str, Any]:
    shown = {"name": "hello", "language": {"code": "en"}, **more}
    return whatsapp("template", {**shown, **({"components": components} if components else {})})


def texts(*values: str) -> dict[str, Any]:
    return {"type": "body", "parameters": [{"type": "text", "text": one} for one in values]}


def button(kind: str, index: int, **parameter: str) -> dict[str, Any]:
    return {"type": "button", "sub_type": kind, "index": str(index), "parameters": [parameter]}


APPROVED: list[tuple[str, Any, dict[str, Any], Any]] = [
    ("without variables", {"twilio/text": {"body": "Hi"}}, {}, template([])),
    (
        "variables in the order of their numbers, each once",
        {"twilio/text": {"body": "{{2}} {{1}} and {{2}}."}},
        {},
        template([texts("Ann", "Bob")]),
    ),
    (
        "named variables",
        {"twilio/text": {"body": "Hi {{who}}."}},
        {"variables": {"who": "Ann"}},
        template(
            [
                {
                    "type": "body",
                    "parameters": [{"type": "text", "text": "Ann", "parameter_name": "who"}],
                }
            ]
        ),
    ),
    (
        "a picture",
        {"twilio/media": {"body": "Hi {{1}}", "media": [PNG]}},
        {},
        template(
            [
                {"type": "header", "parameters": [{"type": "image", "image": {"link": PNG}}]},
                texts("Ann"),
            ]
        ),
    ),
    (
        "a document",
        {"twilio/media": {"media": ["https://m.example/a.pdf"]}},
        {},
        template(
            [
                {
                    "type": "header",
                    "parameters": [
                        {"type": "document", "document": {"link": "https://m.example/a.pdf"}}
                    ],
                }
            ]
        ),
    ),
    (
        "replies",
        {"twilio/quick-reply": {"body": "Hi {{1}}?", "actions": REPLIES}},
        {},
        template(
            [
                texts("Ann"),
                button("quick_reply", 0, type="payload", payload="y"),
                button("quick_reply", 1, type="payload", payload="No"),
            ]
        ),
    ),
    (
        "buttons, of which some need something",
        {"twilio/call-to-action": {"body": "Hi", "actions": [CALL, SITE, CODE]}},
        {},
        template(
            [
                button("url", 1, type="text", text="77"),
                button("copy_code", 2, type="coupon_code", coupon_code="SALE"),
            ]
        ),
    ),
    (
        "under the name that Meta has for it",
        {"twilio/text": {"body": "Hi"}},
        {"names": {"wa": {"name": "hallo", "language": "de_AT"}}},
        template([], name="hallo", language={"code": "de_AT"}),
    ),
    (
        "in a language with a country",
        {"twilio/text": {"body": "Hi"}},
        {"language": "pt-BR"},
        template([], language={"code": "pt_BR"}),
    ),
    (
        "in words, when nobody knows its name",
        {"twilio/text": {"body": "Hi {{1}}"}},
        {"approved_name": ""},
        whatsapp("text", {"body": "Hi Ann"}),
    ),
]


@pytest.mark.parametrize(
    ("types", "more", "expected"),
    [case[1:] for case in APPROVED],
    ids=[case[0] for case in APPROVED],
)
async def test_an_approved_template_is_sent(
    types: Any, more: Any, expected: Any, context: Any
) -> None:
    outgoing = sent(TEXT, made(types, approval="approved", **more), in_session=False)
    async with canned(TAKEN) as server:
        await carrier(server.url).send(outgoing, context)
    assert server.seen[0][2] == expected


LIST = {
    "body": "Choose",
    "button": "Menu",
    "items": [{"id": "t", "item": "Tea", "description": "hot"}, {"id": "w", "item": "Water"}],
}
FREE: list[tuple[str, Any, Any]] = [
    ("a text", {"twilio/text": {"body": "Hi {{1}}"}}, whatsapp("text", {"body": "Hi Ann"})),
    (
        "a picture",
        {"twilio/media": {"body": "Hi", "media": [PNG]}},
        whatsapp("image", {"link": PNG, "caption": "Hi"}),
    ),
    (
        "a place",
        {"twilio/location": {"latitude": 1.5, "longitude": 2, "label": "Us"}},
        whatsapp("location", {"latitude": 1.5, "longitude": 2, "name": "Us"}),
    ),
    (
        "replies",
        {"twilio/quick-reply": {"body": "Hi {{1}}?", "actions": REPLIES}},
        whatsapp(
            "interactive",
            {
                "type": "button",
                "body": {"text": "Hi Ann?"},
                "action": {
                    "buttons": [
                        {"type": "reply", "reply": {"id": "y", "title": "Yes"}},
                        {"type": "reply", "reply": {"id": "No", "title": "No"}},
                    ]
                },
            },
        ),
    ),
    (
        "a list",
        {"twilio/list-picker": LIST},
        whatsapp(
            "interactive",
            {
                "type": "list",
                "body": {"text": "Choose"},
                "action": {
                    "button": "Menu",
                    "sections": [
                        {
                            "rows": [
                                {"id": "t", "title": "Tea", "description": "hot"},
                                {"id": "w", "title": "Water"},
                            ]
                        }
                    ],
                },
            },
        ),
    ),
    (
        "a link",
        {"twilio/call-to-action": {"body": "Hi", "actions": [SITE]}},
        whatsapp(
            "interactive",
            {
                "type": "cta_url",
                "body": {"text": "Hi"},
                "action": {
                    "name": "cta_url",
                    "parameters": {"display_text": "Track", "url": "https://x.example/77"},
                },
            },
        ),
    ),
    (
        "two links, which WhatsApp shows in a template only",
        {"twilio/call-to-action": {"body": "Hi", "actions": [SITE, SITE]}},
        whatsapp(
            "text",
            {"body": "Hi\nTrack: https://x.example/77\nTrack: https://x.example/77"},
        ),
    ),
    (
        "a card",
        {
            "twilio/card": {
                "title": "Hi",
                "subtitle": "small",
                "media": [PNG],
                "actions": [{"type": "QUICK_REPLY", "title": "Ok", "id": "ok"}],
            }
        },
        whatsapp(
            "interactive",
            {
                "type": "button",
                "body": {"text": "Hi"},
                "footer": {"text": "small"},
                "header": {"type": "image", "image": {"link": PNG}},
                "action": {"buttons": [{"type": "reply", "reply": {"id": "ok", "title": "Ok"}}]},
            },
        ),
    ),
    (
        "a card without buttons",
        {"twilio/card": {"title": "Hi", "subtitle": "small"}},
        whatsapp("text", {"body": "Hi\nsmall"}),
    ),
]


@pytest.mark.parametrize(
    ("types", "expected"), [case[1:] for case in FREE], ids=[case[0] for case in FREE]
)
async def test_within_a_session_a_template_goes_freely(
    types: Any, expected: Any, context: Any
) -> None:
    async with canned(TAKEN) as server:
        await carrier(server.url).send(sent(TEXT, made(types), in_session=True), context)
    assert server.seen[0][2] == expected


CHATS: list[tuple[str, Any, Any]] = [
    (
        "replies",
        {"twilio/quick-reply": {"body": "Hi?", "actions": REPLIES}},
        {
            "text": "Hi?",
            "quick_replies": [
                {"content_type": "text", "title": "Yes", "payload": "y"},
                {"content_type": "text", "title": "No", "payload": "No"},
            ],
        },
    ),
    (
        "buttons",
        {"twilio/call-to-action": {"body": "Hi", "actions": [SITE, CALL]}},
        {
            "attachment": {
                "type": "template",
                "payload": {
                    "template_type": "button",
                    "text": "Hi",
                    "buttons": [
                        {"type": "web_url", "title": "Track", "url": "https://x.example/77"},
                        {"type": "phone_number", "title": "Call", "payload": "+15550001111"},
                    ],
                },
            }
        },
    ),
    (
        "a card",
        {
            "twilio/card": {
                "title": "Hi",
                "subtitle": "small",
                "media": [PNG],
                "actions": [{"type": "QUICK_REPLY", "title": "Ok"}],
            }
        },
        {
            "attachment": {
                "type": "template",
                "payload": {
                    "template_type": "generic",
                    "elements": [
                        {
                            "title": "Hi",
                            "subtitle": "small",
                            "image_url": PNG,
                            "buttons": [{"type": "postback", "title": "Ok", "payload": "Ok"}],
                        }
                    ],
                },
            }
        },
    ),
    (
        "a card without buttons",
        {"twilio/card": {"title": "Hi", "media": [PNG]}},
        {
            "attachment": {
                "type": "template",
                "payload": {
                    "template_type": "generic",
                    "elements": [{"title": "Hi", "image_url": PNG}],
                },
            }
        },
    ),
    (
        "a card without buttons and picture, in words",
        {"twilio/card": {"title": "Hi", "subtitle": "small"}},
        {"text": "Hi\nsmall"},
    ),
    ("a text", {"twilio/text": {"body": "Hi {{1}}"}}, {"text": "Hi Ann"}),
    ("a list, in words", {"twilio/list-picker": LIST}, {"text": "Choose\n- Tea: hot\n- Water"}),
]


@pytest.mark.parametrize(
    ("types", "expected"), [case[1:] for case in CHATS], ids=[case[0] for case in CHATS]
)
async def test_what_messenger_shows_of_a_template(types: Any, expected: Any, context: Any) -> None:
    async with canned(TAKEN_CHAT) as server:
        await carrier(server.url).send(sent(CHAT, made(types), in_session=True), context)
    message = server.seen[0][2]["message"]
    assert {name: value for name, value in message.items() if name != "metadata"} == expected


def decided(event: str, **more: Any) -> dict[str, Any]:
    value = {
        "event": event,
        "message_template_id": 12345,
        "message_template_name": "hello",
        "message_template_language": "en_US",
        "reason": "NONE",
        **more,
    }
    return {"field": "message_template_status_update", "value": value}


def request(*changes: Any) -> Request:
    document = {
        "object": "whatsapp_business_account",
        "entry": [{"id": "1", "changes": [*changes]}],
    }
    body = json.dumps(document).encode()
    return Request("POST", "https://t.example", CIMultiDict(), MultiDict(), MultiDict(), body)


DECISIONS = [
    ("APPROVED", "approved"),
    ("REJECTED", "rejected"),
    ("PAUSED", "paused"),
    ("UNPAUSED", "approved"),
    ("REINSTATED", "approved"),
    ("DISABLED", "disabled"),
    ("PENDING", "pending"),
]


@pytest.mark.parametrize(("event", "status"), DECISIONS)
def test_what_whatsapp_decides_is_read(event: str, status: str) -> None:
    meta = carrier("http://127.0.0.1:1")
    assert isinstance(meta, Approving)
    asked = request(decided(event))
    assert meta.parse_approvals(asked) == [ApprovalStatus("hello", "en_US", status)]
    assert meta.parse_inbound(asked) == meta.parse_status(asked) == []


def test_a_rejection_has_its_reason() -> None:
    meta = carrier("http://127.0.0.1:1")
    asked = request(decided("REJECTED", reason="INVALID_FORMAT"))
    expected = ApprovalStatus("hello", "en_US", "rejected", "INVALID_FORMAT")
    assert meta.parse_approvals(asked) == [expected]


def test_other_news_of_templates_is_passed_over() -> None:
    meta = carrier("http://127.0.0.1:1")
    nameless = decided("APPROVED", message_template_name=None)
    other = {"field": "messages", "value": {"event": "APPROVED", "message_template_name": "x"}}
    assert meta.parse_approvals(request(decided("FLAGGED"), nameless, other)) == []
    with pytest.raises(Junk):
        meta.parse_approvals(replace(request(), body=b"{"))
