"""Any sequence of calls and of texts against a model that fits on a page: conversations, who is in
them, the pairs that they hold, their states and their messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings, stateful
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, consumes, invariant, multiple, precondition, rule
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from tests.support.house import House, house
from tests.support.settings import ACCOUNT, SMS, TOKEN

from .conftest import Redirected

T = TypeVar("T")
Pair = tuple[str, str]  # somebody's address, and the address of ours that talks to it

SMS_TOO, ANN, BOB = "+15005550009", "+15551230001", "+15551230002"
PROXIES = st.sampled_from([SMS, SMS_TOO])
PAIRS = st.sampled_from([(ANN, SMS), (ANN, SMS_TOO), (BOB, SMS)])
IDENTITIES = st.sampled_from(["ann", "bob"])
OPEN = st.sampled_from(["active", "inactive"])
STATES = st.sampled_from(["active", "inactive", "inactive", "closed"])
NUMBERS = st.integers(0, 3)

CLOSED, HELD, TWICE, NOT_A_PAIR, NOT_FOUND = 50377, 50416, 50433, 50441, 20404
TEXT_S, MANY = 20, 3
BOUNDED = settings(
    max_examples=20,
    stateful_step_count=25,
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.generate, Phase.shrink),
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


@dataclass(eq=False)
class Member:
    """A participant, as the model has it: who chats has an identity, all others have a pair."""

    sid: str
    identity: str | None = None
    pair: Pair | None = None


@dataclass(eq=False)
class Talk:
    """A conversation, as the model has it. `messages` are authors and bodies by index."""

    sid: str
    state: str = "active"
    members: list[Member] = field(default_factory=list)
    messages: list[tuple[str, str]] = field(default_factory=list)

    def hear(self, author: str, body: str) -> None:
        """A new message; it makes an inactive conversation active."""
        self.messages.append((author, body))
        self.state = "active"

    def member(self, number: int) -> Member:
        """One of those who are in it, by any number."""
        return self.members[number % len(self.members)]


class Town:
    """A running house as a thread has it: the API through the official client, and the phones."""

    def __init__(self, house: House) -> None:
        self._house, self._loop = house, asyncio.get_running_loop()
        self._transport = Redirected(house.service.url)
        self.bodies = (f"text {number}" for number in count())
        self.v1 = Client(ACCOUNT, TOKEN, http_client=self._transport).conversations.v1

    def text(self, pair: Pair, body: str) -> str:
        """A phone texts us; gives the SID of the conversation that takes it."""
        texting = self._house.conversation(*pair, body)
        return asyncio.run_coroutine_threadsafe(texting, self._loop).result(TEXT_S)

    def close(self) -> None:
        self._transport.close()


class Talks(stateful.RuleBasedStateMachine):
    """Each rule does one thing to the house and to the model; they must agree on what comes of it
    and, after every step, on everything that can be seen."""

    talks = Bundle("talks")

    def __init__(self, town: Town) -> None:
        super().__init__()
        self.town = town
        self.known: dict[str, Talk] = {}
        self.touched: Talk | None = None

    @stateful.initialize(target=talks)
    def two_conversations_are_there(self) -> Any:
        """With one pair, which nobody else gets."""
        talks = [self.somebody_creates_a_conversation(state) for state in ("active", "inactive")]
        self.a_pair_joins(talks[1], (ANN, SMS))
        return multiple(*talks)

    @rule(target=talks, state=OPEN)
    def somebody_creates_a_conversation(self, state: str) -> Talk:
        made = self.town.v1.conversations.create(state=state)
        return self.new(Talk(made.sid, state))

    @rule(talk=talks, state=STATES)
    def somebody_changes_the_state(self, talk: Talk, state: str) -> None:
        if self.answered(self.at(talk).update, _closed(talk), state=state):
            talk.state = state

    @precondition(lambda self: len(self.known) > MANY)
    @rule(talk=consumes(talks))
    def somebody_deletes_a_conversation(self, talk: Talk) -> None:
        assert self.answered(self.at(talk).delete, None)
        del self.known[talk.sid]
        self.touched = None
        self.answered(self.town.v1.conversations(talk.sid).fetch, NOT_FOUND)

    @rule(talk=talks, pair=PAIRS)
    def a_pair_joins(self, talk: Talk, pair: Pair) -> None:
        form = {"messaging_binding_address": pair[0], "messaging_binding_proxy_address": pair[1]}
        made = self.claimed(self.at(talk).participants.create, talk, Member("", None, pair), form)
        if made is not None:
            talk.members.append(Member(made.sid, None, pair))

    @rule(talk=talks, identity=IDENTITIES)
    def an_identity_joins(self, talk: Talk, identity: str) -> None:
        twice = any(member.identity == identity for member in talk.members)
        code = _closed(talk) or (TWICE if twice else None)
        made = self.answered(self.at(talk).participants.create, code, identity=identity)
        if made is not None:
            talk.members.append(Member(made.sid, identity))

    @rule(talk=talks, number=NUMBERS, proxy=PROXIES)
    def a_member_gets_another_address_of_ours(self, talk: Talk, number: int, proxy: str) -> None:
        if not talk.members:
            return
        member = talk.member(number)
        ask = self.at(talk).participants(member.sid).update
        form = {"messaging_binding_proxy_address": proxy}
        if member.pair is None:
            self.answered(ask, NOT_A_PAIR, **form)
            return
        wanted = Member(member.sid, None, (member.pair[0], proxy))
        if self.claimed(ask, talk, wanted, form) is not None:
            member.pair = wanted.pair

    @rule(talk=talks, number=NUMBERS)
    def a_member_leaves(self, talk: Talk, number: int) -> None:
        if not talk.members:
            return
        member = talk.member(number)
        at = self.at(talk).participants(member.sid)
        if self.answered(at.delete, _closed(talk)):
            talk.members.remove(member)
            self.answered(at.fetch, NOT_FOUND)

    @rule(talk=talks)
    def an_agent_posts_a_message(self, talk: Talk) -> None:
        body = next(self.town.bodies)
        ask = self.at(talk).messages.create
        made = self.answered(ask, _closed(talk), author="agent", body=body)
        if made is not None:
            assert made.index == len(talk.messages)
            talk.hear("agent", body)

    @rule(target=talks, pair=PAIRS)
    def a_phone_texts_us(self, pair: Pair) -> Any:
        """It joins the conversation that holds the pair, else it creates one that does."""
        body, held = next(self.town.bodies), self.holder(pair)
        sid = self.town.text(pair, body)
        if held is None:
            (member,) = self.town.v1.conversations(sid).participants.list()
            created = self.new(Talk(sid, members=[Member(member.sid, None, pair)]))
            created.hear(pair[0], body)
            return created
        self.touched = held[0]
        assert sid == self.touched.sid
        self.touched.hear(pair[0], body)
        return multiple()

    @invariant()
    def the_same_conversations_are_there(self) -> None:
        listed = self.town.v1.conversations.list()
        assert {one.sid: one.state for one in listed} == {
            talk.sid: talk.state for talk in self.known.values()
        }

    @invariant()
    def the_same_people_and_messages_are_in_the_one_that_was_touched(self) -> None:
        if self.touched is None:
            return
        at, talk = self.town.v1.conversations(self.touched.sid), self.touched
        assert [_shown(one) for one in at.participants.list()] == [
            (one.sid, one.identity, one.pair) for one in talk.members
        ]
        assert [(one.index, one.author, one.body) for one in at.messages.list()] == [
            (index, *message) for index, message in enumerate(talk.messages)
        ]

    def teardown(self) -> None:
        """The next machine finds an empty house."""
        for one in self.town.v1.conversations.list():
            one.delete()

    def new(self, talk: Talk) -> Talk:
        """The model has it from now on."""
        assert talk.sid not in self.known
        self.known[talk.sid] = self.touched = talk
        return talk

    def at(self, talk: Talk) -> Any:
        """The official client at this conversation, which is looked at after this step."""
        self.touched = talk
        return self.town.v1.conversations(talk.sid)

    def holder(self, pair: Pair | None) -> tuple[Talk, Member] | None:
        """Who holds a pair: one member of one conversation that is not closed."""
        open_ = (talk for talk in self.known.values() if talk.state != "closed")
        holders = ((talk, one) for talk in open_ for one in talk.members if one.pair == pair)
        return next(holders, None)

    def claimed(
        self, ask: Callable[..., T], talk: Talk, wanted: Member, form: dict[str, str]
    ) -> T | None:
        """What the API gives to a member who wants a pair; None when it rightly refuses. Who holds
        the pair is named."""
        held = self.holder(wanted.pair)
        if _closed(talk) or held is None or held[1].sid == wanted.sid:
            return self.answered(ask, _closed(talk), **form)
        at, who = held
        refused = _refused(ask, HELD, **form)
        assert (refused.status, refused.msg[-35:]) == (409, f" {at.sid}")
        named = {"conversation_sid": at.sid, "participant_sid": who.sid, "state": at.state}
        assert refused.details == named
        return None

    def answered(self, ask: Callable[..., T], code: int | None, **form: str) -> T | None:
        """What the API gives; with a code it must refuse, and gives nothing."""
        if code is None:
            return ask(**form)
        _refused(ask, code, **form)
        return None


def _refused(ask: Callable[..., Any], code: int, **form: str) -> TwilioRestException:
    with pytest.raises(TwilioRestException) as refused:
        ask(**form)
    assert refused.value.code == code, refused.value
    return refused.value


def _closed(talk: Talk) -> int | None:
    """What a closed conversation says to every change."""
    return CLOSED if talk.state == "closed" else None


def _shown(participant: Any) -> tuple[str, str | None, Pair | None]:
    binding = participant.messaging_binding
    pair = (binding["address"], binding["proxy_address"]) if binding else None
    return participant.sid, participant.identity, pair


@pytest.mark.timeout(300)  # what is found is made as short as it can be
async def test_the_house_and_the_model_agree_whatever_happens(dsn: str) -> None:
    senders = [
        {"address": address, "carrier": "lab", "messaging_service": "default"}
        for address in (SMS, SMS_TOO)
    ]
    calm = {"limits": {"actions_per_s": 0}, "webhooks": {}}
    async with house(dsn, senders=senders, **calm) as one:
        town = Town(one)
        try:
            agree = partial(stateful.run_state_machine_as_test, settings=BOUNDED)
            await asyncio.to_thread(agree, lambda: Talks(town))
        finally:
            town.close()
