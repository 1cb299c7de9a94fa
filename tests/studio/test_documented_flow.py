"""The flow of "Connecting Twilio Studio to Conversations", its JSON unchanged, over the road."""

from __future__ import annotations

import pytest

from .conftest import ALIEN, BOTS, GHOST, HI, MARIA, ROBOT, studio


@pytest.mark.parametrize(
    ("reply", "answer"),
    [("yes", ROBOT), ("Yes", ROBOT), ("no", ALIEN), ("No", ALIEN), ("maybe", GHOST)],
)
async def test_it_answers_as_the_page_says(dsn: str, reply: str, answer: str) -> None:
    async with studio(dsn, BOTS) as one:
        ch = await one.text("hello")
        await one.hears(ch, "hello", HI)
        await one.text(reply)
        await one.hears(ch, "hello", HI, reply, answer)
        await one.rests()
        [ran] = await one.executions()
        assert (ran["status"], ran["contact_channel_address"]) == ("ended", MARIA)
        await one.delivered(2)
        received = [text.body for text in one.house.world.phone(MARIA).received]
        assert received == [HI, answer]


async def test_what_it_says_is_by_the_flow_and_a_message_like_any_other(dsn: str) -> None:
    async with studio(dsn, BOTS) as one:
        ch = await one.text("hello")
        await one.hears(ch, "hello", HI)
        listed = await one.house.get(f"/v1/Conversations/{ch}/Messages")
        said = listed["messages"][1]
        assert (said["author"], said["index"]) == (one.flow, 1)
        await one.delivered(1)
        await one.until("SELECT count(*) FROM outbox", 0)
        told = [hook.form for hook in one.house.customer.hooks if hook.event == "onMessageAdded"]
        assert [form["Body"] for form in told if form["Author"] == one.flow] == [HI]


async def test_its_steps_and_what_it_knows_can_be_read(dsn: str) -> None:
    async with studio(dsn, BOTS) as one:
        ch = await one.text("hello")
        await one.hears(ch, "hello", HI)
        await one.rests()
        [ran] = await one.executions()
        assert (ran["status"], await one.steps(ran)) == (
            "active",
            [("Trigger", "incomingConversationMessage", "send_and_reply_1")],
        )
        await one.text("yes")
        await one.hears(ch, "hello", HI, "yes", ROBOT)
        await one.rests()
        assert await one.steps(ran) == [
            ("Trigger", "incomingConversationMessage", "send_and_reply_1"),
            ("send_and_reply_1", "incomingMessage", "split_1"),
            ("split_1", "match", "send_message_2"),
            ("send_message_2", "sent", "Ended"),
        ]
        context = (await one.house.get(ran["links"]["execution_context"]))["context"]
        assert context["widgets"]["send_and_reply_1"]["inbound"]["Body"] == "yes"
        assert context["contact"]["channel"]["address"] == MARIA


async def test_when_it_has_ended_the_next_message_starts_it_again(dsn: str) -> None:
    async with studio(dsn, BOTS) as one:
        ch = await one.text("hello")
        await one.hears(ch, "hello", HI)
        await one.text("no")
        await one.hears(ch, "hello", HI, "no", ALIEN)
        await one.text("again")
        await one.hears(ch, "hello", HI, "no", ALIEN, "again", HI)
        await one.rests()
        assert [ran["status"] for ran in await one.executions()] == ["ended", "active"]
