"""What clients change is told like everything else, and may be refused before it happens."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from tests.realtime.town import joined, town
from tests.support.customer import Hook, customer
from tests.support.settings import TOKEN

AFTER = ("onMessageAdded", "onParticipantAdded", "onConversationAdded", "onUserUpdated")


async def test_webhooks_say_that_an_sdk_did_it_and_who(dsn: str) -> None:
    async with customer(TOKEN) as told:
        hooks: dict[str, Any] = {"post_url": f"{told.url}/events", "filters": list(AFTER)}
        async with town(dsn, webhooks=hooks) as place, place.client("alice") as alice:
            made = await alice.aim("POST", "Conversations", {"friendly_name": "Room"})
            path = f"Conversations/{made['sid']}"
            await alice.aim("POST", f"{path}/Participants", {"identity": "alice"})
            await alice.aim("POST", f"{path}/Messages", {"body": "hello"})
            await alice.aim("POST", "Users/alice", {"friendly_name": "Alice"})
            await told.until(lambda: {hook.event for hook in told.events()} >= set(AFTER))
            for event in AFTER:
                [hook] = told.events(event)
                said = (hook.form["Source"], hook.form["ClientIdentity"])
                assert (hook.signed, said) == (True, ("SDK", "alice")), event


async def test_the_customer_may_refuse_a_message_and_the_app_is_told(dsn: str) -> None:
    def judge(hook: Hook) -> int | web.Response:
        if hook.form.get("Body") == "forbidden":
            return 403
        if hook.form.get("Body") == "frist":
            return web.json_response({"body": "first"})
        return 200

    async with customer(TOKEN) as told:
        told.answer = judge
        hooks = {"pre_url": f"{told.url}/before", "filters": ["onMessageAdd", "onConversationAdd"]}
        async with town(dsn, webhooks=hooks) as place, place.client("alice") as alice:
            sid = await place.conversation("alice")
            _, messages, _ = await joined(alice, sid)
            path = f"/Client/v2/Conversations/{sid}/Messages"
            status, answer, said = await alice.request("POST", path, {"body": "forbidden"})
            assert (status, answer["code"], said) == (403, 50056, answer["message"])
            asked = next(hook for hook in told.hooks if hook.event == "onMessageAdd")
            assert (asked.form["Source"], asked.form["ClientIdentity"]) == ("SDK", "alice")
            await alice.request("POST", path, {"body": "frist"})
            await alice.until(lambda: ("added", 0) in messages.raised)
            assert messages.items[0][1]["text"] == "first"
