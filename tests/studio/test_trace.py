"""What operators see of flows: `parley flow trace`, /ops/flows, the timeline of a message."""

from __future__ import annotations

import asyncio

from app.ops import flow_trace
from tests.support.house import house

from .conftest import BOTS, HI, Studio, lead, studio
from .stage import FLOW_SID
from .test_declared import declared, declaring


async def told(one: Studio, sid: str) -> str:
    """What the command says."""
    said: list[str] = []
    assert await flow_trace.run(one.house.service.runtime.db, name=sid, say=said.append) == 0
    return "\n".join(said)


async def test_an_execution_is_told_step_by_step(dsn: str) -> None:
    async with studio(dsn, BOTS) as one:
        ch = await one.text("hello")
        await one.hears(ch, "hello", HI)
        await one.rests()
        [ran] = await one.executions()
        title, first = (await told(one, ran["sid"])).split("\n")
        assert f"{ran['sid']}: waits until " in title
        assert f"{one.flow} revision 1 in {ch} with ***0001" in title
        assert ".000Z" not in first, "steps know whole seconds"
        assert first.endswith("Trigger (trigger)  incomingConversationMessage -> send_and_reply_1")
        await one.text("yes")
        await one.hears(ch, "hello", HI, "yes", "🤖")
        await one.rests()
        title, *steps = (await told(one, ran["sid"].upper()[:2] + ran["sid"][2:])).split("\n")
        assert f"{ran['sid']}: completed" in title
        assert steps[1].split("  ")[-1].startswith("sets inbound")
        assert len(steps) == 4


async def test_a_flow_is_told_with_its_executions(dsn: str) -> None:
    async with studio(dsn, BOTS) as one:
        ch = await one.text("hello")
        await one.hears(ch, "hello", HI)
        await one.rests()
        [ran] = await one.executions()
        title, row = (await told(one, one.flow)).split("\n")
        assert title == f"{one.flow}: a flow, revision 1, published is 1"
        assert ran["sid"] in row
        shown = await one.house.get(f"/ops/flows/{one.flow}")
        assert [run["sid"] for run in shown["executions"]] == [ran["sid"]]
        steps = (await one.house.get(f"/ops/flows/{ran['sid']}"))["steps"]
        assert [step["to"] for step in steps] == ["send_and_reply_1"]
        await one.house.get("/ops/flows/FN" + "0" * 32, 404)
        await one.house.get("/ops/flows/nothing", 404)


async def test_the_timeline_of_a_conversation_has_what_its_flow_took_in(dsn: str) -> None:
    async with studio(dsn, BOTS) as one:
        ch = await one.text("hello")
        await one.hears(ch, "hello", HI)
        await one.rests()
        entries = (await one.house.get(f"/ops/trace/{ch}"))["entries"]
        [walked] = [entry for entry in entries if entry["what"] == "flow"]
        assert (walked["target"], walked["outcome"]) == (f"flow:{one.flow}", "waits")


async def test_metrics_count_what_flows_took_in(dsn: str) -> None:
    async with studio(dsn, BOTS) as one:
        ch = await one.text("hello")
        await one.hears(ch, "hello", HI)
        page, url = "", f"{one.house.service.url}/metrics"
        async with asyncio.timeout(20):  # it is counted after the commit
            while 'parley_flow_walks_total{event="message",outcome="waits"} 1.0' not in page:
                async with one.house.http.get(url) as answer:
                    page = await answer.text()
        assert 'parley_flow_steps_total{event="message"} 1.0' in page
        assert 'parley_flow_walks_total{event="timeout",outcome="failed"} 0.0' in page


async def test_what_came_before_the_flow_was_there_can_be_told_to_it_again(dsn: str) -> None:
    """As after a restart with a file that names it."""
    async with house(dsn, webhooks={"filters": []}) as one:
        studio = Studio(one, FLOW_SID)
        await lead(one, FLOW_SID)
        ch = await studio.text("hello")
        await studio.until("SELECT count(*) FROM dead_letters WHERE kind = 'flow'", 1)
        await declared(one.service.runtime.db, declaring(BOTS))
        said = await one.post("/ops/hooks/replay", 200, Conversation=ch)
        assert said["replayed"] == 1
        await studio.hears(ch, "hello", HI)
