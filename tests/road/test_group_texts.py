"""Group texts through the whole house: phones on one side, the API on the other."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.support.house import House, house
from tests.support.settings import SMS

ANN, BOB, CAROL = "+15558675310", "+15558675311", "+15558675312"


async def make(one: House, *natives: str, identity: str | None = None) -> tuple[int, Any]:
    """A group made over REST at one stroke; status and body."""
    binding: dict[str, Any] = {"messaging_binding": {"projected_address": SMS}}
    people = [binding if identity is None else binding | {"identity": identity}]
    people += [{"messaging_binding": {"address": address}} for address in natives]
    form = [("Participant", json.dumps(person)) for person in people]
    url = f"{one.service.url}/v1/ConversationWithParticipants"
    async with one.http.post(url, data=form) as response:
        return response.status, await response.json()


async def rows(one: House, question: str, *given: Any) -> list[tuple[Any, ...]]:
    async with one.service.runtime.db.begin() as tx:
        return [tuple(row) for row in await tx.sql.fetch(question, *given)]


async def test_a_group_made_over_rest_takes_what_its_people_write(dsn: str) -> None:
    async with house(dsn) as one:
        status, made = await make(one, ANN, BOB, identity="agent")
        assert status in (201, 202)
        assert (await one.world.phone(BOB).text(SMS, "hi all", others=[ANN])).acknowledged
        path = f"/v1/Conversations/{made['sid']}/Messages"
        [message] = (await one.get(path))["messages"]
        assert (message["author"], message["body"]) == (BOB, "hi all")
        assert await one.receipts(message) == []
        assert (await one.world.phone(BOB).text(SMS, "just us")).acknowledged
        assert len((await one.get(path))["messages"]) == 1, "a text to us alone is none of a group"


async def test_rest_and_a_first_text_at_once_make_one_group(dsn: str) -> None:
    """Whoever wins, the text is in the one conversation that has the numbers."""
    async with house(dsn) as one:
        for n in range(12):
            them = f"+1555867{5400 + n}"
            later = make(one, ANN, them)
            text = one.world.phone(them).text(SMS, f"{n}", others=[ANN])
            both = (later, text) if n % 2 else (text, later)
            results = await asyncio.gather(*both)
            status, made = results[0] if n % 2 else results[1]
            texted = results[1] if n % 2 else results[0]
            assert texted.acknowledged
            held = await rows(
                one,
                "SELECT conversation_sid FROM number_groups WHERE numbers LIKE $1 AND open",
                f"%{them}",
            )
            said = await rows(one, "SELECT conversation_sid FROM messages WHERE body = $1", f"{n}")
            assert held == said
            assert len(held) == 1
            if status == 409:
                assert (made["code"], made["message"][-34:]) == (50438, held[0][0])
            else:
                assert made["sid"] == held[0][0]


async def test_people_who_leave_and_come_while_texts_arrive_lose_none(dsn: str) -> None:
    """A set that changes is another group: each text is in one that had it, none is lost."""
    async with house(dsn) as one:
        _, made = await make(one, ANN, BOB)
        people = f"/v1/Conversations/{made['sid']}/Participants"

        async def come_and_go() -> None:
            for _ in range(5):
                joined = await one.post(people, MessagingBinding_Address=CAROL)
                await one.delete(joined["url"])

        async def write() -> None:
            for n in range(20):
                texted = await one.world.phone(ANN).text(SMS, f"{n}", others=[BOB])
                assert texted.acknowledged

        await write_or_conflict(come_and_go(), write())
        said = await rows(one, "SELECT body FROM messages ORDER BY sid")
        assert [body for (body,) in said] == [str(n) for n in range(20)]


async def write_or_conflict(changing: Any, writing: Any) -> None:
    """Both at once. A change may be refused: its numbers were taken by what a text created."""

    async def change() -> None:
        try:
            await changing
        except AssertionError as error:
            assert "50438" in str(error)

    await asyncio.gather(change(), writing)
