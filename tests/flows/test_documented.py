"""The documented flow, as the page has it (docs/65): Hi, do you like bots?"""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.flows import machine
from app.flows.asks import Refused, Replied, Said, Say, TimedOut, Wait
from app.flows.definition import parse
from tests.flows.flowing import BOTS, FLOW, FORM, NOW, talk, trigger


@pytest.mark.parametrize(
    ("reply", "answer"),
    [("yes", "🤖"), ("Yes", "🤖"), ("no", "👽"), ("No", "👽"), ("perhaps", "👻"), ("", "👻")],
)
def test_it_answers_as_the_page_says(reply: str, answer: str) -> None:
    memory = talk(parse(BOTS.read_bytes()), Said("IM1"), Replied({"Body": reply}))
    assert isinstance(memory.ask, Say)
    assert (memory.ask.body, memory.ask.author) == (answer, FLOW)


def test_it_asks_waits_an_hour_and_ends_after_its_answer() -> None:
    bots = parse(BOTS.read_bytes())
    asked = machine.begin(bots, trigger())
    assert isinstance(asked.ask, Say)
    assert asked.ask.body == "Hi, do you like bots?"
    assert asked.ask.conversation == FORM["ConversationSid"]
    assert asked.ask.service == FORM["ChatServiceSid"]
    waiting = machine.advance(bots, asked, Said("IM1"), NOW)
    assert waiting.ask == Wait(NOW + timedelta(hours=1), "IM1")
    ended = talk(bots, Said("IM1"), Replied({"Body": "yes"}), Said("IM2"))
    assert ended.ask is None
    assert ended.ended is not None
    assert ended.ended.reason == "completed"
    assert (ended.asked, ended.stepped) == (3, 4)


@pytest.mark.parametrize("events", [(Said("IM1"), TimedOut()), (Refused("no such person"),)])
def test_it_ends_where_nothing_is_connected(events: tuple[Said | TimedOut | Refused, ...]) -> None:
    ended = talk(parse(BOTS.read_bytes()), *events)
    assert ended.ended is not None
    assert ended.ended.reason == "completed"


def test_only_messages_of_conversations_begin_it() -> None:
    bots = parse(BOTS.read_bytes())
    assert machine.message_event(bots) == "incomingConversationMessage"
    assert not machine.hears(bots, "incomingMessage")
    assert not machine.hears(bots, "incomingRequest")
    assert not machine.hears(bots, "no such event")
