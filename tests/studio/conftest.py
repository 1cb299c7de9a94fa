"""A house whose number hands its conversations to a flow."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.observe import Observe
from tests.support.house import House, house
from tests.support.settings import SMS

MARIA = "+15551230001"
BOTS = (Path(__file__).parents[2] / "config" / "flows" / "bots.json").read_text()
HI, GHOST, ROBOT, ALIEN = "Hi, do you like bots?", "👻", "🤖", "👽"


def flow(*states: dict[str, Any], first: str = "") -> str:
    """A definition: messages start at `first`, else at the first of these states."""
    begins = first or states[0]["name"]
    events = ("incomingMessage", "incomingConversationMessage", "incomingRequest", "incomingParent")
    trigger = {
        "name": "Trigger",
        "type": "trigger",
        "transitions": [{"event": event, "next": begins} for event in events],
        "properties": {},
    }
    whole = {"description": "", "states": [trigger, *states], "initial_state": "Trigger"}
    return json.dumps(whole | {"flags": {"allow_concurrent_calls": True}})


def state(name: str, type: str, /, **given: Any) -> dict[str, Any]:
    """A state: `_event=next` are its transitions, the rest its properties."""
    transitions = [
        {"event": key[1:], "next": value} for key, value in given.items() if key.startswith("_")
    ]
    properties = {key: value for key, value in given.items() if not key.startswith("_")}
    return {"name": name, "type": type, "transitions": transitions, "properties": properties}


@dataclass
class Studio:
    """A house and the flow that its number leads to."""

    house: House
    flow: str

    @property
    def path(self) -> str:
        return f"/v2/Flows/{self.flow}/Executions"

    async def text(self, body: str, phone: str = MARIA) -> str:
        """Somebody texts; gives the conversation."""
        return await self.house.conversation(phone, body=body)

    async def said(self, ch: str) -> list[str]:
        """What was said in a conversation."""
        path = f"/v1/Conversations/{ch}/Messages?PageSize=100"
        return [one["body"] for one in (await self.house.get(path))["messages"]]

    async def hears(self, ch: str, *bodies: str) -> None:
        """Wait until a conversation says exactly this."""
        async with asyncio.timeout(60):
            while await self.said(ch) != list(bodies):
                await asyncio.sleep(0.02)

    async def rests(self) -> None:
        """Wait until no item of a flow waits."""
        await self.until("SELECT count(*) FROM outbox WHERE kind = 'flow'", 0)

    async def delivered(self, count: int) -> None:
        """Wait until so many people have got something."""
        await self.until("SELECT count(*) FROM receipts WHERE status = 'delivered'", count)

    async def until(self, question: str, wanted: Any, *given: Any) -> None:
        """Wait until the database answers so."""
        async with asyncio.timeout(60):
            while await self.ask(question, *given) != wanted:
                await asyncio.sleep(0.02)

    async def ask(self, question: str, *given: Any) -> Any:
        async with self.house.service.runtime.db.begin() as tx:
            return await tx.sql.fetchval(question, *given)

    async def executions(self) -> list[dict[str, Any]]:
        """The executions, the oldest first."""
        listed = (await self.house.get(self.path))["executions"]
        return list(reversed(listed))

    async def steps(self, execution: dict[str, Any]) -> list[tuple[str, str, str]]:
        """The steps of an execution: from, event, to."""
        listed = (await self.house.get(execution["links"]["steps"]))["steps"]
        return [(one["transitioned_from"], one["name"], one["transitioned_to"]) for one in listed]


async def publish(house: House, definition: str, name: str = "a flow") -> str:
    """A published flow."""
    form = {"FriendlyName": name, "Status": "published", "Definition": definition}
    made = await house.post("/v2/Flows", 201, **form)
    return str(made["sid"])


async def lead(house: House, flow: str) -> None:
    """Our number hands its conversations to this flow."""
    await house.post(
        "/v1/Configuration/Addresses",
        201,
        Type="sms",
        Address=SMS,
        AutoCreation_Enabled="true",
        AutoCreation_Type="studio",
        AutoCreation_StudioFlowSid=flow,
    )


@asynccontextmanager
async def studio(
    dsn: str, definition: str, observe: Observe | None = None, **sections: Any
) -> AsyncIterator[Studio]:
    """A house with this flow behind its number."""
    async with house(dsn, observe, **sections) as one:
        sid = await publish(one, definition)
        await lead(one, sid)
        yield Studio(one, sid)
