"""Content templates in the SDK: those of the file and of the Content API are listed, and sent."""

from __future__ import annotations

from typing import Any

import pytest

from app.rules.templates import VALUE_TOO_LONG
from tests.faults.town import WHATSAPP
from tests.realtime.sdk.clients import SdkError
from tests.realtime.sdk.place import DECLARED, HELLO, OURS, Place

OPEN = "const it = await client.getConversationBySid(sid); "
LISTED = (
    "return (await client.getContentTemplates()).map((one) => ({...one,"
    " variables: one.variables.map((it) => [it.name, it.value]),"
    " variants: Object.fromEntries(one.variants),"
    " dateCreated: one.dateCreated.toISOString(), dateUpdated: one.dateUpdated.toISOString()}))"
)
SEND = (
    "const template = (await client.getContentTemplates()).find((one) => one.sid === content);"
    "const given = template.variables.filter((one) => one.name in values)"
    ".map((one) => one.copyWithValue(values[one.name]));"
    + OPEN
    + "return it.prepareMessage().setContentTemplate(template.sid, given).build().send()"
)
MADE: dict[str, Any] = {
    "friendly_name": "how_was_it",
    "language": "en",
    "variables": {"1": "Ann", "2": "the bench"},
    "types": {
        "twilio/text": {"body": "{{1}}, how was {{2}}? Answer 1 to 5."},
        "twilio/quick-reply": {
            "body": "{{1}}, how was {{2}}?",
            "actions": [{"title": "Good", "id": "good"}, {"title": "Bad", "id": "bad"}],
        },
        "twilio/call-to-action": {
            "body": "{{1}}, tell us how {{2}} was.",
            "actions": [
                {"type": "URL", "title": "Here", "url": "https://example.com/{{1}}"},
                {"type": "PHONE_NUMBER", "title": "By phone", "phone": "+15005550006"},
            ],
        },
        "twilio/media": {"body": "A picture.", "media": ["https://example.com/a.png"]},
        "twilio/location": {"latitude": 52.5, "longitude": 13.25, "label": "Our shop"},
        "twilio/list-picker": {
            "body": "Choose.",
            "button": "Open",
            "items": [{"item": "Tea", "id": "tea", "description": "green"}],
        },
        "twilio/card": {
            "title": "A bench",
            "subtitle": "of oak",
            "media": ["https://example.com/bench.png"],
            "actions": [{"type": "QUICK_REPLY", "title": "Mine", "id": "mine"}],
        },
    },
}
REPLIES = {name: MADE["types"][name] for name in ("twilio/text", "twilio/quick-reply")}


async def made(here: Place, **more: Any) -> str:
    """A template of the Content API's; gives its SID."""
    sid: str = (await here.rest("POST", "/v1/Content", json={**MADE, **more}))["sid"]
    return sid


async def test_templates_are_listed_with_their_variables_and_variants(here: Place) -> None:
    sid = await made(here)
    alice = await here.arrive("alice")
    listed = {one["sid"]: one for one in await alice.run(LISTED)}
    content = await here.rest("GET", f"/v1/Content/{sid}")
    one = listed[sid]
    assert one["friendlyName"] == "how_was_it"
    assert one["variables"] == [["1", "Ann"], ["2", "the bench"]]
    assert one["dateCreated"][:19] == content["date_created"][:19]
    assert one["dateUpdated"][:19] == content["date_updated"][:19]
    shown = {name: it["type"] for name, it in one["variants"].items()}
    assert shown == {
        "twilio/text": "text",
        "twilio/quick-reply": "quickReply",
        "twilio/call-to-action": "callToAction",
        "twilio/media": "media",
        "twilio/location": "location",
        "twilio/list-picker": "listPicker",
        "twilio/card": "card",
    }
    replies = one["variants"]["twilio/quick-reply"]
    assert replies["body"] == "{{1}}, how was {{2}}?"
    assert [(it["title"], it["id"]) for it in replies["replies"]] == [
        ("Good", "good"),
        ("Bad", "bad"),
    ]
    leads = one["variants"]["twilio/call-to-action"]["actions"]
    assert [(it["type"], it.get("url"), it.get("phone")) for it in leads] == [
        ("url", "https://example.com/{{1}}", None),
        ("phone", None, "+15005550006"),
    ]
    picked = one["variants"]["twilio/list-picker"]
    assert (picked["button"], picked["items"][0]["item"]) == ("Open", "Tea")
    assert one["variants"]["twilio/location"]["latitude"] == 52.5
    assert one["variants"]["twilio/card"]["media"] == ["https://example.com/bench.png"]
    [declared] = [it for it in listed.values() if it["friendlyName"] == "order_shipped"]
    assert dict(declared["variables"]) == DECLARED["variables"]
    assert declared["variants"]["twilio/text"]["body"] == DECLARED["types"]["twilio/text"]["body"]


async def test_more_than_a_page_of_templates_is_listed(here: Place) -> None:
    names = {here.stranger("one") for _ in range(101)}
    text = {"twilio/text": {"body": "Hi"}}
    sids = [await made(here, friendly_name=name, variables={}, types=text) for name in names]
    try:
        alice = await here.arrive("alice")
        listed = await alice.run("return client.getContentTemplates()")
        assert names <= {one["friendlyName"] for one in listed}
        assert len({one["sid"] for one in listed}) == len(listed)
    finally:
        for sid in sids:
            await here.rest("DELETE", f"/v1/Content/{sid}")


async def test_a_template_is_sent_and_rendered_by_channel(here: Place) -> None:
    alice, bob = await here.arrive("alice"), await here.arrive("bob")
    content = await made(here, types=REPLIES)
    sid = await here.meeting(alice, bob)
    phones = here.number(), f"whatsapp:{here.number()}"
    for phone, ours in zip(phones, (OURS, WHATSAPP), strict=True):
        pair = {"MessagingBinding.Address": phone, "MessagingBinding.ProxyAddress": ours}
        await here.rest("POST", f"/v1/Conversations/{sid}/Participants", pair)
        here.town.world.phone(phone).text_later(ours, f"hello from {phone}")
        await alice.saw("messageAdded", body=f"hello from {phone}")
    index = await alice.run(SEND, sid=sid, content=content, values={"2": "the table"})
    said = "Ann, how was the table?"
    for one in (alice, bob):
        heard = await one.saw("messageAdded", body=said)
        assert (heard["author"], heard["index"]) == (alice.identity, index)
    sent = "return (await it.getMessages()).items.find((one) => one.index === index).contentSid"
    assert await bob.run(OPEN + sent, sid=sid, index=index) == content
    shown = (await here.messages(sid))[-1]
    assert (shown["body"], shown["content_sid"]) == (said, content)
    rendered = (
        "Ann, how was the table? Answer 1 to 5.",
        "Ann, how was the table?\n- Good\n- Bad",
    )
    for phone, body in zip(phones, rendered, strict=True):
        await here.until(lambda phone=phone, body=body: here.got(phone, body))


async def test_without_variables_the_samples_stand_in(here: Place) -> None:
    alice = await here.arrive("alice")
    sid = await here.meeting(alice)
    listed = await alice.run("return client.getContentTemplates()")
    [content] = [one["sid"] for one in listed if one["friendlyName"] == "order_shipped"]
    send = "return it.prepareMessage().setContentTemplate(content).build().send()"
    await alice.run(OPEN + send, sid=sid, content=content)
    await alice.saw("messageAdded", body="Hi Ann, your order 4711 is on its way.")
    assert (await here.messages(sid))[-1]["content_sid"] == content


async def test_a_template_that_is_gone_is_refused(here: Place) -> None:
    alice = await here.arrive("alice")
    sid, content = await here.meeting(alice), await made(here)
    await alice.run("return client.getContentTemplates()")  # it keeps what it has seen
    await here.rest("DELETE", f"/v1/Content/{content}")
    with pytest.raises(SdkError) as caught:
        await alice.run(SEND, sid=sid, content=content, values={})
    assert caught.value.status == 404
    assert [one["body"] for one in await here.messages(sid)] == [HELLO]


async def test_a_variable_that_is_too_long_is_refused(here: Place) -> None:
    alice = await here.arrive("alice")
    sid, content = await here.meeting(alice), await made(here)
    with pytest.raises(SdkError) as caught:
        await alice.run(SEND, sid=sid, content=content, values={"1": "x" * 300})
    assert (caught.value.status, caught.value.code) == (400, VALUE_TOO_LONG)
    assert [one["body"] for one in await here.messages(sid)] == [HELLO]


TOLD = (
    OPEN
    + "const one = (await it.getMessages()).items.find((one) => one.index === index);"
    + "return {said: await one.getContentData(), attached: one.attachedMedia, type: one.type}"
)
SAYS: dict[str, dict[str, Any]] = {
    "twilio/text": {"type": "text", "body": "Bo, how was the bench? Answer 1 to 5."},
    "twilio/media": {
        "type": "media",
        "body": "A picture.",
        "media": ["https://example.com/a.png"],
    },
    "twilio/location": {
        "type": "location",
        "latitude": 52.5,
        "longitude": 13.25,
        "label": "Our shop",
    },
    "twilio/quick-reply": {
        "type": "quickReply",
        "body": "Bo, how was the bench?",
        "replies": [{"title": "Good", "id": "good"}, {"title": "Bad", "id": "bad"}],
    },
    "twilio/call-to-action": {
        "type": "callToAction",
        "body": "Bo, tell us how the bench was.",
        "actions": [
            {"type": "url", "title": "Here", "url": "https://example.com/Bo"},
            {"type": "phone", "title": "By phone", "phone": "+15005550006"},
        ],
    },
    "twilio/list-picker": {
        "type": "listPicker",
        "body": "Choose.",
        "button": "Open",
        "items": [{"item": "Tea", "id": "tea", "description": "green"}],
    },
    "twilio/card": {
        "type": "card",
        "title": "A bench",
        "subtitle": "of oak",
        "media": ["https://example.com/bench.png"],
        "actions": [{"type": "reply", "title": "Mine", "id": "mine", "index": 0}],
    },
}
"""What the SDK gives of each type of `MADE`, sent to Bo."""


@pytest.mark.parametrize("kind", SAYS)
async def test_what_a_message_says_by_a_template_is_read_as_it_was_sent(
    here: Place, kind: str
) -> None:
    alice, bob = await here.arrive("alice"), await here.arrive("bob")
    content = await made(here, types={kind: MADE["types"][kind]})
    sid = await here.meeting(alice, bob)
    index = await alice.run(SEND, sid=sid, content=content, values={"1": "Bo"})
    for one in (alice, bob):
        await one.saw("messageAdded", index=index)
    # The original shows no media of it by REST.
    shown = (await here.messages(sid))[-1]
    assert (shown["media"], shown["content_sid"]) == (None, content)
    await here.rest("DELETE", f"/v1/Content/{content}")
    late = await here.arrive("late")
    await here.join(sid, late.identity)
    await late.saw("conversationJoined", sid=sid)
    for one in (alice, bob, late):
        told = await one.run(TOLD, sid=sid, index=index)
        assert (told["attached"], told["type"]) == ([], "text")
        assert _like(told["said"], SAYS[kind]), told["said"]


async def test_a_message_without_a_template_says_nothing_by_one(here: Place) -> None:
    alice = await here.arrive("alice")
    sid = await here.meeting(alice)
    assert (await alice.run(TOLD, sid=sid, index=0))["said"] is None


async def test_who_is_not_in_the_conversation_reads_nothing_of_it(here: Place) -> None:
    alice, mallory = await here.arrive("alice"), await here.arrive("mallory")
    sid, content = await here.meeting(alice), await made(here)
    await here.meeting(mallory)
    index = await alice.run(SEND, sid=sid, content=content, values={})
    await alice.saw("messageAdded", index=index)
    medium = "return (await it.getMessages()).items[1].getMediaByCategories(['body'])[0].sid"
    body = await alice.run(OPEN + medium, sid=sid)
    urls = "return client.getTemporaryContentUrlsForMediaSids([medium])"
    assert await alice.run(urls, medium=body)
    with pytest.raises(SdkError):
        await mallory.run(urls, medium=body)
    # What is gone is gone for everybody.
    message = (await here.messages(sid))[-1]["sid"]
    await here.rest("DELETE", f"/v1/Conversations/{sid}/Messages/{message}")
    with pytest.raises(SdkError):
        await alice.run(urls, medium=body)


def _like(found: Any, wanted: Any) -> bool:
    """Whether it has these members, at every depth."""
    if isinstance(wanted, dict):
        return all(_like(found.get(name), one) for name, one in wanted.items())
    if isinstance(wanted, list):
        both = zip(found, wanted, strict=True)
        return len(found) == len(wanted) and all(_like(*one) for one in both)
    return bool(found == wanted)
