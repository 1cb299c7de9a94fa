"""Group texts on the road: the set of numbers in the pair's place, and one message however many of
our numbers it came to."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from app.convoy import Convoy
from app.model.traffic import Inbound, MediaPart
from app.road.items import Arrival, Road, Taken
from app.road.walk import Walker
from tests.road.conftest import Open, Roadside
from tests.support.settings import ACCOUNT, POST_EVENTS, SMS, settings

ANN, BOB, CAROL = "+15558675310", "+15558675311", "+15558675312"
OURS_TOO = "+15005550009"
BOTH = [
    {"address": address, "carrier": "lab", "messaging_service": "default"}
    for address in (SMS, OURS_TOO)
]
ALL = frozenset({SMS, ANN, BOB})


async def group(
    roadside: Roadside, external_id: str, author: str = ANN, to: str = SMS, **parts: Any
) -> Taken:
    """A text to everybody of Ann, Bob and our number, or of the `numbers` given."""
    numbers = parts.pop("numbers", ALL)
    others = tuple(sorted(numbers - {author, to}))
    return await roadside.arrive(external_id, author, to, others=others, **parts)


async def people(roadside: Roadside, conversation_sid: str | None) -> list[tuple[Any, ...]]:
    rows = await roadside.sql.fetch(
        "SELECT identity, channel, address, proxy_address, projected_address FROM participants"
        " WHERE conversation_sid = $1 ORDER BY address NULLS LAST, projected_address, identity",
        conversation_sid,
    )
    return [tuple(row) for row in rows]


async def count(roadside: Roadside, table: str) -> int:
    found: int = await roadside.sql.fetchval(f"SELECT count(*) FROM {table}")
    return found


async def test_a_first_group_text_creates_a_group_of_all_its_numbers(roadside: Roadside) -> None:
    taken = await group(roadside, "MM1")
    assert (taken.outcome, taken.rule) == ("created", "messaging_service")
    assert await people(roadside, taken.conversation_sid) == [
        (None, "sms", ANN, None, None),
        (None, "sms", BOB, None, None),
        (None, "sms", None, None, SMS),
    ]
    row = await roadside.sql.fetchrow(
        "SELECT g.numbers, g.open, c.grouped, c.state, p.address, m.author, m.index, m.source"
        " FROM messages m JOIN conversations c ON c.sid = m.conversation_sid"
        " JOIN number_groups g ON g.conversation_sid = c.sid"
        " JOIN participants p ON p.sid = m.participant_sid WHERE m.sid = $1",
        taken.message_sid,
    )
    assert tuple(row) == (f"{SMS} {ANN} {BOB}", True, True, "active", ANN, ANN, 0, "SMS")
    assert await count(roadside, "bindings") == 0
    assert await count(roadside, "receipts") == 0, "it is on every phone already"


async def test_whoever_of_the_group_answers_answers_into_it(roadside: Roadside) -> None:
    first = await group(roadside, "MM1")
    second = await group(roadside, "MM2", BOB)
    assert (second.outcome, second.rule) == ("joined", "binding")
    assert second.conversation_sid == first.conversation_sid
    authors = await roadside.sql.fetch(
        "SELECT p.address FROM messages m JOIN participants p ON p.sid = m.participant_sid"
        " ORDER BY m.index"
    )
    assert [row["address"] for row in authors] == [ANN, BOB]
    steps = json.loads(await roadside.sql.fetchval("SELECT steps FROM decisions ORDER BY sid DESC"))
    assert steps[-1][1].startswith("the number group is held in CH")


async def test_a_pair_a_bigger_set_and_another_number_of_ours_are_others(open_road: Open) -> None:
    async with open_road(settings(senders=BOTH)) as roadside:
        taken = [
            await roadside.arrive("SM1", ANN),
            await group(roadside, "MM1"),
            await group(roadside, "MM2", numbers=ALL | {CAROL}),
            await group(roadside, "MM3", to=OURS_TOO, numbers={OURS_TOO, ANN, BOB}),
            await roadside.arrive("SM2", ANN),
        ]
    assert [one.outcome for one in taken] == [*["created"] * 4, "joined"]
    assert taken[4].conversation_sid == taken[0].conversation_sid
    assert len({one.conversation_sid for one in taken}) == 4


async def test_a_group_of_two_takes_what_no_pair_takes(roadside: Roadside) -> None:
    """Made over REST while nobody had the pair; what comes to it looks like any other text."""
    two = await group(roadside, "MM1")
    await roadside.sql.execute("DELETE FROM participants WHERE address = $1", BOB)
    await roadside.sql.execute("UPDATE number_groups SET numbers = $1", f"{SMS} {ANN}")
    taken = await roadside.arrive("SM1", ANN)
    assert (taken.outcome, taken.conversation_sid) == ("joined", two.conversation_sid)
    assert (await roadside.arrive("SM2", BOB)).outcome == "created"


async def test_a_closed_group_gives_its_numbers_to_the_next(roadside: Roadside) -> None:
    first = await group(roadside, "MM1")
    await roadside.sql.execute("UPDATE conversations SET state = 'closed'")
    await roadside.sql.execute("UPDATE number_groups SET open = false")
    second = await group(roadside, "MM2")
    assert second.outcome == "created"
    assert second.conversation_sid != first.conversation_sid


RULE = {
    "type": "webhook",
    "webhook_url": "https://crm.example.com/hook",
    "webhook_filters": list(POST_EVENTS),
    "default_identities": ["desk", "boss"],
}


async def test_identities_of_the_rule_stand_behind_our_number(open_road: Open) -> None:
    rule = [{"address": SMS, "auto_creation": RULE}]
    async with open_road(settings(addresses=rule, senders=BOTH)) as roadside:
        taken = await group(roadside, "MM1", numbers=ALL | {OURS_TOO})
        assert (taken.rule, taken.autocreate) == ("address", "webhook")
        assert await people(roadside, taken.conversation_sid) == [
            (None, "sms", ANN, None, None),
            (None, "sms", BOB, None, None),
            ("boss", "sms", None, None, SMS),
            ("desk", "sms", None, None, SMS),
            (None, "sms", None, None, OURS_TOO),
        ]
        posted = await roadside.post(taken.conversation_sid or "", "desk")
        assert posted.message.participant_sid is not None


async def test_what_is_told_is_told_in_the_documented_order(open_road: Open) -> None:
    rule = [{"address": SMS, "auto_creation": RULE | {"default_identities": []}}]
    async with open_road(settings(addresses=rule)) as roadside:
        taken = await group(roadside, "MM1")
        await group(roadside, "MM2", BOB)
        rows = await roadside.sql.fetch("SELECT event, params FROM outbox ORDER BY seq")
        told = [(row["event"], json.loads(row["params"])) for row in rows]
    assert [event for event, _ in told] == [
        "onConversationAdded",
        *["onParticipantAdded"] * 3,
        "onMessageAdded",
        "onConversationStateUpdated",
        "onMessageAdded",
    ]
    added, moved = told[0][1], told[5][1]
    assert added["MessagingBinding.AuthorAddress"] == ANN
    assert added["MessagingBinding.Address"] == f"{SMS},{BOB}"
    assert added["MessagingBinding.ProjectedAddress"] == SMS
    assert "MessagingBinding.ProxyAddress" not in added
    assert added["State"] == "initializing"
    assert (moved["StateFrom"], moved["StateTo"], moved["Reason"]) == (
        "initializing",
        "active",
        "EVENT",
    )
    joined = {
        params.get("MessagingBinding.Address") or params["MessagingBinding.ProjectedAddress"]
        for _, params in told[1:4]
    }
    assert joined == ALL
    assert told[4][1]["ConversationSid"] == taken.conversation_sid


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({SMS, ANN, "+442071838750"}, "a group text takes numbers of the United States and Canada"),
        ({SMS, ANN, "+18005550100"}, "a toll-free number cannot be in a group text"),
        ({SMS, ANN, *(f"+1555867540{n}" for n in range(9))}, "it goes to 11 numbers"),
    ],
)
async def test_what_cannot_be_a_group_is_passed_over_and_says_why(
    roadside: Roadside, numbers: set[str], said: str
) -> None:
    taken = await group(roadside, "MM1", numbers=numbers)
    assert taken.outcome == "dropped"
    steps = dict(json.loads(await roadside.sql.fetchval("SELECT steps FROM decisions")))
    assert steps["messaging_service"].startswith(said)
    assert json.loads(await roadside.sql.fetchval("SELECT payload FROM inbox"))["others"]


async def test_our_own_text_that_comes_back_is_dropped(open_road: Open) -> None:
    async with open_road(settings(senders=BOTH)) as roadside:
        numbers = ALL | {OURS_TOO}
        await group(roadside, "MM1", numbers=numbers)
        taken = await group(roadside, "MM2", SMS, OURS_TOO, numbers=numbers)
        assert (taken.outcome, taken.rule, taken.reason) == ("dropped", "sender", "echo")
        assert await count(roadside, "messages") == 1


SEVERAL = ALL | {OURS_TOO}


async def test_a_text_to_several_of_our_numbers_is_one_message(open_road: Open) -> None:
    async with open_road(settings(senders=BOTH)) as roadside:
        first = await group(roadside, "MM1", numbers=SEVERAL)
        copy = await group(roadside, "MM2", to=OURS_TOO, numbers=SEVERAL)
        assert (copy.outcome, copy.rule) == ("duplicate", "copy")
        assert (copy.message_sid, copy.conversation_sid) == (
            first.message_sid,
            first.conversation_sid,
        )
        again = await group(roadside, "MM2", to=OURS_TOO, numbers=SEVERAL)
        assert (again.outcome, again.rule) == ("duplicate", "ledger")
        assert await count(roadside, "messages") == 1


@pytest.mark.parametrize("order", ["ABAB", "AABB", "ABBA", "BBAA"])
async def test_who_writes_the_same_twice_is_heard_twice(open_road: Open, order: str) -> None:
    async with open_road(settings(senders=BOTH)) as roadside:
        for n, one in enumerate(order):
            await group(roadside, f"MM{n}", to=SMS if one == "A" else OURS_TOO, numbers=SEVERAL)
        assert await count(roadside, "messages") == 2
        assert await count(roadside, "conversations") == 1


@pytest.mark.parametrize(
    ("changed", "messages"),
    [
        ({"body": "something else"}, 2),
        ({"author": BOB}, 2),
        ({"media": (MediaPart("https://media.example.com/a", "image/png"),)}, 2),
        ({"body": "hi"}, 1),
    ],
)
async def test_only_the_same_of_the_same_author_is_a_copy(
    open_road: Open, changed: dict[str, Any], messages: int
) -> None:
    async with open_road(settings(senders=BOTH)) as roadside:
        await group(roadside, "MM1", numbers=SEVERAL)
        await group(roadside, "MM2", to=OURS_TOO, numbers=SEVERAL, **changed)
        assert await count(roadside, "messages") == messages


async def test_what_comes_long_after_is_no_copy(open_road: Open) -> None:
    async with open_road(settings(senders=BOTH)) as roadside:
        await group(roadside, "MM1", numbers=SEVERAL)
        await roadside.sql.execute(
            "UPDATE decisions SET received_at = received_at - interval '601 s'"
        )
        await group(roadside, "MM2", to=OURS_TOO, numbers=SEVERAL)
        assert await count(roadside, "messages") == 2


async def test_copies_and_first_texts_at_once_give_one_group_and_each_message_once(
    open_road: Open,
) -> None:
    """Two roads, many convoys, both authors, both numbers of ours."""
    async with open_road(settings(senders=BOTH)) as roadside:
        other = Walker(roadside.runtime)
        second: Road = Convoy(other, longest=4, waiting_max=1000)
        numbers = sorted(SEVERAL)
        async with asyncio.TaskGroup() as walking:
            walking.create_task(second.run())
            async with asyncio.TaskGroup() as arriving:
                for n in range(10):
                    for author in (ANN, BOB):
                        for at, road in ((SMS, roadside.road), (OURS_TOO, second)):
                            others = tuple(one for one in numbers if one not in (author, at))
                            inbound = Inbound(
                                "lab",
                                f"{author}{at}{n}",
                                "mms",
                                author,
                                at,
                                body=f"{n % 5}",
                                others=others,
                            )
                            arriving.create_task(road.submit(Arrival(ACCOUNT, inbound)))
            second.close()
        await other.close()
        [conversation] = await roadside.sql.fetch("SELECT sid, message_count FROM conversations")
        assert await count(roadside, "number_groups") == 1
        assert await count(roadside, "participants") == 4
        said = await roadside.sql.fetch(
            "SELECT author, body, count(*) FROM messages GROUP BY 1, 2 ORDER BY 1, 2"
        )
        assert [tuple(row) for row in said] == [
            (author, f"{n}", 2) for author in (ANN, BOB) for n in range(5)
        ]
        assert await roadside.indices(conversation["sid"]) == list(range(20))
        duplicates = "SELECT count(*) FROM decisions WHERE outcome = 'duplicate'"
        assert await roadside.sql.fetchval(duplicates) == 20
