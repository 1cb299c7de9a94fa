"""Messages made of content templates: what they say, what is kept, what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import OURS, OURS_WHATSAPP, World
from .test_contents import made

ANN, BOB = "+15551230001", "whatsapp:+15551230002"
REPLIES = {
    "twilio/text": {"body": "Hi {{1}}, your order {{2}} is here."},
    "twilio/quick-reply": {
        "body": "Hi {{1}}, shall we send {{2}}?",
        "actions": [{"title": "Yes", "id": "yes"}, {"title": "No", "id": "no"}],
    },
}
SAMPLES = {"1": "you", "2": "it"}


async def conversation(world: World, *pairs: tuple[str, str]) -> str:
    _, one = await world.call("POST", "/v1/Conversations", {})
    for address, ours in pairs:
        form = {"MessagingBinding.Address": address, "MessagingBinding.ProxyAddress": ours}
        status, body = await world.call("POST", one["links"]["participants"], form)
        assert status == 201, body
    return str(one["sid"])


async def post(world: World, ch: str, **form: str) -> tuple[int, Any]:
    return await world.call("POST", f"/v1/Conversations/{ch}/Messages", form)


async def receipts(world: World, message: Any) -> list[tuple[str, int | None]]:
    _, listed = await world.call("GET", message["links"]["delivery_receipts"])
    return [(one["status"], one["error_code"]) for one in listed["delivery_receipts"]]


async def wrote(world: World, address: str, ours: str) -> None:
    """Somebody wrote a moment ago: their session is open."""
    async with world.runtime.db.begin() as tx:
        await tx.sql.execute(
            "INSERT INTO messaging_windows (account_sid, proxy_address, address, last_inbound_at)"
            " VALUES ($1, $2, $3, $4)",
            world.account_sid,
            ours,
            address,
            tx.now,
        )


async def test_a_message_says_what_its_template_says_with_its_variables(world: World) -> None:
    await wrote(world, BOB, OURS_WHATSAPP)
    sid = (await made(world, types=REPLIES, variables=SAMPLES))["sid"]
    ch = await conversation(world, (ANN, OURS), (BOB, OURS_WHATSAPP))
    given = json.dumps({"1": "Alice", "9": "unused"})
    message = await world.api(
        lambda v1: v1.conversations(ch).messages.create(
            content_sid=sid, content_variables=given, body="ignored", media_sid="ME" + "0" * 32
        )
    )
    assert message.body == "Hi Alice, shall we send it?"
    assert (message.content_sid, message.media) == (sid, None)
    fetched = await world.api(lambda v1: v1.conversations(ch).messages(message.sid).fetch())
    assert (fetched.body, fetched.content_sid) == (message.body, sid)
    async with world.runtime.db.begin() as tx:
        rows = await tx.sql.fetch(
            "SELECT channel, status, dropped FROM receipts WHERE message_sid = $1 ORDER BY channel",
            message.sid,
        )
        kept = await tx.sql.fetchval(
            "SELECT content_variables FROM messages WHERE sid = $1", fetched.sid
        )
    assert [tuple(row) for row in rows] == [
        ("sms", "queued", None),
        ("whatsapp", "queued", None),
    ]
    assert json.loads(kept) == {"1": "Alice", "9": "unused"}


async def test_a_recipient_whose_channel_may_not_get_it_fails_alone(world: World) -> None:
    four = [{"title": str(n)} for n in range(4)]
    sid = (await made(world, types={"twilio/quick-reply": {"body": "Hi", "actions": four}}))["sid"]
    ch = await conversation(world, (ANN, OURS), (BOB, OURS_WHATSAPP))
    status, message = await post(world, ch, ContentSid=sid)
    assert (status, message["body"]) == (201, "Hi")
    assert sorted(code or 0 for _, code in await receipts(world, message)) == [0, 63016]
    await wrote(world, BOB, OURS_WHATSAPP)
    _, message = await post(world, ch, ContentSid=sid)
    assert sorted(code or 0 for _, code in await receipts(world, message)) == [0, 63021]


async def test_the_sid_may_be_written_in_capitals(world: World) -> None:
    sid = (await made(world))["sid"]
    ch = await conversation(world)
    status, message = await post(world, ch, ContentSid="HX" + sid[2:].upper())
    assert (status, message["content_sid"]) == (201, sid)


async def test_a_template_that_says_nothing_gives_a_message_without_a_body(world: World) -> None:
    types = {"twilio/media": {"media": ["https://m.example/a.png"]}}
    sid = (await made(world, types=types))["sid"]
    ch = await conversation(world, (BOB, OURS_WHATSAPP))
    status, message = await post(world, ch, ContentSid=sid)
    assert (status, message["body"], message["content_sid"]) == (201, None, sid)
    status, message = await world.call("POST", message["url"], {"Attributes": '{"a":1}'})
    assert (status, message["attributes"]) == (200, '{"a":1}')


REFUSED: list[tuple[dict[str, str], int, int]] = [
    ({"ContentSid": "x"}, 400, 50526),
    ({"ContentSid": "HX" + "0" * 32}, 404, 20404),
    ({"Body": "x", "ContentVariables": "{}"}, 400, 50528),
    ({"ContentSid": "{sid}", "ContentVariables": "[]"}, 400, 50527),
    ({"ContentSid": "{sid}", "ContentVariables": '{"1": 1}'}, 400, 50527),
    ({"ContentSid": "{sid}", "ContentVariables": json.dumps({"k" * 17: "v"})}, 400, 50540),
    ({"ContentSid": "{sid}", "ContentVariables": json.dumps({"k": "v" * 257})}, 400, 50541),
    ({"ContentSid": "{sid}", "ContentVariables": "{" + " " * 27_800 + "}"}, 400, 50529),
    ({"ContentSid": "{other}"}, 400, 50542),
]


@pytest.mark.parametrize(("form", "status", "code"), REFUSED)
async def test_what_is_refused(world: World, form: Any, status: int, code: int) -> None:
    sids = {
        "{sid}": (await made(world))["sid"],
        "{other}": (await made(world, types={"twilio/carousel": {"body": "x"}}))["sid"],
    }
    ch = await conversation(world)
    got, body = await post(world, ch, **{k: sids.get(v, v) for k, v in form.items()})
    assert (got, body["code"]) == (status, code)


async def test_the_template_of_another_account_is_not_there(world: World, a_world: Any) -> None:
    async with a_world() as other:
        sid = (await made(other))["sid"]
        status, body = await post(world, await conversation(world), ContentSid=sid)
        assert (status, body["code"]) == (404, 20404)


async def test_limits_of_variables_are_settings(a_world: Any) -> None:
    limits = {"content_variable_value_chars_max": 1600, "actions_per_s": 0}
    async with a_world(limits=limits) as world:
        sid = (await made(world))["sid"]
        value = json.dumps({"1": "v" * 1500})
        ch = await conversation(world)
        status, _ = await post(world, ch, ContentSid=sid, ContentVariables=value)
        assert status == 201


async def test_a_message_stays_when_its_template_goes(world: World) -> None:
    sid = (await made(world))["sid"]
    ch = await conversation(world)
    _, message = await post(world, ch, ContentSid=sid, ContentVariables='{"1": "Ann"}')
    assert (await world.call("DELETE", f"/v1/Content/{sid}"))[0] == 204
    _, kept = await world.call("GET", message["url"])
    assert (kept["body"], kept["content_sid"]) == ("Hi Ann, welcome.", sid)


async def test_a_post_with_an_idempotency_key_is_one_message(world: World) -> None:
    sid = (await made(world))["sid"]
    path = f"/v1/Conversations/{await conversation(world)}/Messages"
    headers = {"Idempotency-Key": "m"}
    first = await world.call("POST", path, {"ContentSid": sid}, headers=headers)
    assert await world.call("POST", path, {"ContentSid": sid}, headers=headers) == first
