"""What flows ask for: requests, people, other flows, media; and what ends them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from app.studio.errand import CALLS_MAX
from tests.support.house import house
from tests.support.settings import SMS, WHATSAPP

from .conftest import BOTS, HI, MARIA, Studio, flow, lead, publish, state, studio

WAIT = {"_incomingMessage": "done", "_timeout": "late"}
DONE = state("done", "send-message", body="done", _sent=None)
LATE = state("late", "send-message", body="late", _sent=None)


def calling(url: str) -> str:
    """Asks a URL for a name, and says it."""
    return flow(
        state("look", "make-http-request", url=url, method="POST", _success="say", _failed="sorry"),
        state("say", "send-message", body="You are {{widgets.look.parsed.name}}.", _sent=None),
        state("sorry", "send-message", body="Sorry.", _sent=None),
    )


async def test_a_request_is_made_with_a_key_and_its_answer_is_known(dsn: str) -> None:
    async with house(dsn, webhooks={"filters": []}) as one:
        one.customer.answer = lambda hook: web.json_response({"name": "Ann"})
        studio = Studio(one, await publish(one, calling(f"{one.customer.url}/who")))
        await lead(one, studio.flow)
        ch = await studio.text("hello")
        await studio.hears(ch, "hello", "You are Ann.")
        [asked] = [hook for hook in one.customer.hooks if hook.path == "/who"]
        assert len(asked.headers["Idempotency-Key"]) == 36


async def test_a_request_that_a_dead_process_made_is_made_again_under_the_same_key(
    dsn: str,
) -> None:
    """Its lease ends, and another worker goes on where it stood."""
    hold = asyncio.Event()
    async with house(dsn, webhooks={"filters": []}) as one:
        one.customer.answer = lambda hook: web.json_response({"name": "Ann"})
        one.customer.hold = hold
        studio = Studio(one, await publish(one, calling(f"{one.customer.url}/who")))
        await lead(one, studio.flow)
        ch = await studio.text("hello")
        await one.customer.until(lambda: one.customer.held == 1)
        await studio.ask("UPDATE lanes SET due = now() WHERE kind = 'flow' RETURNING 1")
        one.service.runtime.wakes.ring("flow")
        await one.customer.until(lambda: one.customer.held == 2)
        hold.set()
        await studio.hears(ch, "hello", "You are Ann.")
        await studio.rests()
        await one.customer.until(lambda: len(one.customer.hooks) == 2)
        keys = {hook.headers["Idempotency-Key"] for hook in one.customer.hooks}
        assert (len(one.customer.hooks), len(keys)) == (2, 1)
        assert await studio.said(ch) == ["hello", "You are Ann."]


async def test_no_request_leads_into_our_own_network(dsn: str) -> None:
    async with studio(dsn, calling("http://10.0.0.1/who")) as one:
        ch = await one.text("hello")
        await one.hears(ch, "hello", "Sorry.")


async def test_a_virtual_agent_holds_the_talk(dsn: str) -> None:
    turns: list[Any] = []

    def answer(hook: Any) -> web.Response:
        turns.append(json.loads(hook.body))
        ends = turns[-1]["turn"] == 2
        said = {"messages": [{"text": f"You said {turns[-1]['text']}."}]}
        return web.json_response(said | {"status": "completed" if ends else "continue"})

    async with house(dsn, webhooks={"filters": []}) as one:
        one.customer.answer = answer
        agent = state(
            "agent",
            "connect-virtual-agent",
            url=f"{one.customer.url}/agent",
            _completed="done",
            _failed="late",
        )
        studio = Studio(one, await publish(one, flow(agent, DONE, LATE)))
        await lead(one, studio.flow)
        ch = await studio.text("hello")
        await studio.hears(ch, "hello", "You said hello.")
        await studio.text("bye")
        await studio.hears(ch, "hello", "You said hello.", "bye", "You said bye.", "done")
        assert {turn["session"] for turn in turns} == {turns[0]["session"]}


async def test_somebody_is_added_and_told_of_by_the_rules_of_the_api(dsn: str) -> None:
    add = state("add", "add-participant", identity="ann", _success="again", _failed="late")
    again = state("again", "add-participant", identity="ann", _success="late", _failed="done")
    async with studio(dsn, flow(add, again, DONE, LATE)) as one:
        ch = await one.text("hello")
        await one.hears(ch, "hello", "done")
        people = (await one.house.get(f"/v1/Conversations/{ch}/Participants"))["participants"]
        assert [one["identity"] for one in people] == [None, "ann"]
        await one.until("SELECT count(*) FROM outbox", 0)
        told = one.house.customer.events("onParticipantAdded")
        assert [hook.form.get("Identity") for hook in told] == [None, "ann"]
        [ran] = await one.executions()
        context = (await one.house.get(ran["links"]["execution_context"]))["context"]
        assert context["widgets"]["again"]["code"] == 50433


async def test_a_person_outside_is_added_through_our_address(dsn: str) -> None:
    add = state("add", "add-participant", address="+15551230002", _success="done", _failed="late")
    async with studio(dsn, flow(add, DONE, LATE)) as one:
        ch = await one.text("hello")
        await one.hears(ch, "hello", "done")
        await one.delivered(2)
        [received] = one.house.world.phone("+15551230002").received
        assert (received.body, received.sender) == ("done", SMS)


async def test_another_flow_is_entered_and_what_it_set_comes_back(dsn: str) -> None:
    inner = flow(
        state(
            "ask", "send-and-wait-for-reply", body="Name?", timeout="60", _incomingMessage="keep"
        ),
        state(
            "keep",
            "set-variables",
            variables=[{"key": "name", "value": "{{widgets.ask.inbound.Body}}"}],
            _next=None,
        ),
    )
    async with house(dsn) as one:
        entered = await publish(one, inner)
        outer = flow(
            state("sub", "run-subflow", flow_sid=entered, _completed="hi", _failed="late"),
            state("hi", "send-message", body="Hi {{widgets.sub.name}}.", _sent=None),
            LATE,
        )
        studio = Studio(one, await publish(one, outer))
        await lead(one, studio.flow)
        ch = await studio.text("hello")
        await studio.hears(ch, "hello", "Name?")
        await studio.text("Maria")
        await studio.hears(ch, "hello", "Name?", "Maria", "Hi Maria.")


async def test_a_flow_that_never_rests_ends(dsn: str) -> None:
    loop = flow(state("say", "send-message", body="again", _sent="say", _failed="say"))
    async with studio(dsn, loop, webhooks={"filters": []}) as one:
        ch = await one.text("hello")
        await one.rests()
        [ran] = await one.executions()
        assert ran["status"] == "ended"
        reason = await one.ask("SELECT reason FROM executions")
        assert reason.startswith("failed: more than 100 messages")
        said = await one.ask("SELECT count(*) FROM messages WHERE conversation_sid = $1", ch)
        assert said == 101


async def test_media_are_sent_by_their_urls(dsn: str) -> None:
    url = "https://media.example.com/a.png"
    async with studio(dsn, flow(state("say", "send-message", media_url=url, _sent=None))) as one:
        ch = await one.text("hello")
        await one.hears(ch, "hello", None)  # type: ignore[arg-type]
        await one.delivered(1)
        [received] = one.house.world.phone(MARIA).received
        assert [part.url for part in received.media] == [url]


async def begun(one: Studio) -> tuple[str, dict[str, Any]]:
    """The documented flow waits for an answer."""
    ch = await one.text("hello")
    await one.hears(ch, "hello", HI)
    await one.rests()
    [ran] = await one.executions()
    assert ran["status"] == "active"
    return ch, ran


async def test_it_ends_with_its_conversation_closed(dsn: str) -> None:
    async with studio(dsn, BOTS) as one:
        ch, ran = await begun(one)
        await one.house.post(f"/v1/Conversations/{ch}", 200, State="closed")
        assert (await one.house.get(ran["url"]))["status"] == "ended"
        again = await one.text("yes")
        await one.hears(again, "yes", HI)
        assert again != ch


async def test_it_ends_when_a_timer_closes_its_conversation(dsn: str) -> None:
    async with studio(dsn, BOTS) as one:
        ch, ran = await begun(one)
        await one.house.post(f"/v1/Conversations/{ch}", 200, Timers_Closed="PT10M")
        await one.ask(
            "UPDATE conversations SET active_at = active_at - interval '1 hour', state_at ="
            " state_at - interval '1 hour', next_timer_at = now() WHERE sid = $1 RETURNING 1",
            ch,
        )
        await one.until("SELECT state FROM conversations WHERE sid = $1", "closed", ch)
        assert (await one.house.get(ran["url"]))["status"] == "ended"


async def test_it_goes_with_its_conversation_deleted(dsn: str) -> None:
    async with studio(dsn, BOTS) as one:
        ch, ran = await begun(one)
        await one.house.delete(f"/v1/Conversations/{ch}")
        await one.house.get(ran["url"], 404)
        assert await one.executions() == []


async def test_what_is_ended_by_the_api_does_not_go_on(dsn: str) -> None:
    async with studio(dsn, BOTS) as one:
        ch, ran = await begun(one)
        await one.house.post(ran["url"], 200, Status="ended")
        await one.text("yes")
        await one.hears(ch, "hello", HI, "yes", HI)  # another one has begun


async def test_what_is_ended_under_a_request_says_nothing_more(dsn: str) -> None:
    hold = asyncio.Event()
    async with house(dsn, webhooks={"filters": []}) as one:
        one.customer.answer = lambda hook: web.json_response({"name": "Ann"})
        one.customer.hold = hold
        studio = Studio(one, await publish(one, calling(f"{one.customer.url}/who")))
        await lead(one, studio.flow)
        ch = await studio.text("hello")
        await one.customer.until(lambda: one.customer.held == 1)
        [ran] = await studio.executions()
        await one.post(ran["url"], 200, Status="ended")
        hold.set()
        await studio.rests()
        assert await studio.said(ch) == ["hello"]
        assert [ran["status"] for ran in await studio.executions()] == ["ended"]


async def test_what_is_deleted_under_a_request_does_not_begin_again(dsn: str) -> None:
    hold = asyncio.Event()
    async with house(dsn, webhooks={"filters": []}) as one:
        one.customer.hold = hold
        studio = Studio(one, await publish(one, calling(f"{one.customer.url}/who")))
        await lead(one, studio.flow)
        ch = await studio.text("hello")
        await one.customer.until(lambda: one.customer.held == 1)
        [ran] = await studio.executions()
        await one.delete(ran["url"])
        hold.set()
        await studio.rests()
        assert await studio.said(ch) == ["hello"]
        assert await studio.executions() == []


async def test_one_that_waits_goes_on_when_the_time_is_up(dsn: str) -> None:
    ask = state("ask", "send-and-wait-for-reply", body="?", timeout="1", **WAIT)
    async with studio(dsn, flow(ask, DONE, LATE)) as one:
        ch = await one.text("hello")
        await one.hears(ch, "hello", "?", "late")


@pytest.mark.parametrize(
    ("body", "behaviour"),
    [
        ("?", {"refuse": "permanent"}),  # by the carrier's answer
        ("?", {"bounce": 30003}),  # by its callback
        ("long " * 400, {}),  # by ourselves, with the message: no SMS carries it
    ],
)
async def test_what_did_not_arrive_is_told_to_the_flow_that_waits_behind_it(
    dsn: str, body: str, behaviour: dict[str, Any]
) -> None:
    lost = "{{widgets.ask.outbound.Status}} {{widgets.ask.outbound.ErrorCode}}"
    ways = {**WAIT, "_deliveryFailure": "lost"}
    ask = state("ask", "send-and-wait-for-reply", body=body, **ways)
    say = state("lost", "send-message", body=lost, _sent=None)
    async with studio(dsn, flow(ask, say, DONE, LATE)) as one:
        one.house.world.behave(MARIA, **behaviour)
        ch = await one.text("hello")
        code = 30003 if behaviour else 21617
        word = "undelivered" if "bounce" in behaviour else "failed"
        await one.hears(ch, "hello", body, f"{word} {code}")
        await one.rests()


async def test_a_message_of_somebody_else_that_does_not_arrive_is_nothing_to_the_flow(
    dsn: str,
) -> None:
    """Nor is one of its own that does not reach somebody with whom it does not talk."""
    other = "+15551230009"
    ways = {**WAIT, "_deliveryFailure": "late"}
    ask = state("ask", "send-and-wait-for-reply", body="?", timeout="60", **ways)
    async with studio(dsn, flow(ask, DONE, LATE)) as one:
        one.house.world.behave(other, bounce=30003)
        ch = await one.text("hello")
        await one.hears(ch, "hello", "?")
        binding = {"MessagingBinding_Address": other, "MessagingBinding_ProxyAddress": SMS}
        await one.house.post(f"/v1/Conversations/{ch}/Participants", **binding)
        await one.house.say(ch, "hello you two")
        await one.until("SELECT count(*) FROM receipts WHERE status = 'undelivered'", 1)
        await one.text("good")
        await one.hears(ch, "hello", "?", "hello you two", "good", "done")


async def test_an_execution_by_rest_writes_first_and_hears_the_reply(dsn: str) -> None:
    async with house(dsn) as one:
        hello = state("ask", "send-and-wait-for-reply", body="Hi {{flow.data.name}}?", **WAIT)
        studio = Studio(one, await publish(one, flow(hello, DONE, LATE)))
        form = {"To": MARIA, "From": SMS, "Parameters": '{"name": "Maria"}'}
        made = await one.post(studio.path, 201, **form)
        await studio.delivered(1)
        [received] = one.world.phone(MARIA).received
        assert received.body == "Hi Maria?"
        ch = await studio.text("yes")
        await studio.hears(ch, "Hi Maria?", "yes", "done")
        await studio.rests()
        assert (await one.get(made["url"]))["status"] == "ended"


async def test_drafts_are_for_those_who_test_them(dsn: str) -> None:
    async with studio(dsn, flow(DONE)) as one:
        path = f"/v2/Flows/{one.flow}"
        await one.house.post(path, 200, Status="draft", Definition=flow(LATE))
        await one.house.post(f"{path}/TestUsers", 200, TestUsers="+15551230002")
        mine = await one.text("hello")
        await one.hears(mine, "hello", "done")
        theirs = await one.text("hello", "+15551230002")
        await one.hears(theirs, "hello", "late")


async def test_what_runs_goes_on_in_the_revision_in_which_it_began(dsn: str) -> None:
    async with studio(dsn, BOTS) as one:
        ch, _ = await begun(one)
        await one.house.post(
            f"/v2/Flows/{one.flow}", 200, Status="published", Definition=flow(DONE)
        )
        await one.text("yes")
        await one.hears(ch, "hello", HI, "yes", "🤖")
        await one.text("hello")
        await one.hears(ch, "hello", HI, "yes", "🤖", "hello", "done")


async def test_a_webhook_of_a_conversation_hands_it_to_a_flow(dsn: str) -> None:
    async with house(dsn) as one:
        studio = Studio(one, await publish(one, BOTS))
        ch = await one.conversation(MARIA, body="before")
        hook = {"Target": "studio", "Configuration_FlowSid": studio.flow}
        await one.post(f"/v1/Conversations/{ch}/Webhooks", 201, **hook)
        await studio.text("hello")
        await studio.hears(ch, "before", "hello", HI)


async def test_it_writes_by_whatsapp_as_well(dsn: str) -> None:
    async with house(dsn) as one:
        studio = Studio(one, await publish(one, BOTS))
        pair = {"Type": "whatsapp", "Address": WHATSAPP, "AutoCreation_Enabled": "true"}
        rule = {"AutoCreation_Type": "studio", "AutoCreation_StudioFlowSid": studio.flow}
        await one.post("/v1/Configuration/Addresses", 201, **pair, **rule)
        ch = await one.conversation(f"whatsapp:{MARIA}", to=WHATSAPP, body="hello")
        await studio.hears(ch, "hello", HI)


async def test_other_flows_and_it_itself_do_not_hear_what_it_says(dsn: str) -> None:
    async with house(dsn) as one:
        first, second = await publish(one, flow(DONE)), await publish(one, flow(LATE))
        studio = Studio(one, first)
        await lead(one, first)
        ch = await studio.text("hello")
        await studio.hears(ch, "hello", "done")
        hook = {"Target": "studio", "Configuration_FlowSid": second}
        await one.post(f"/v1/Conversations/{ch}/Webhooks", 201, **hook)
        await studio.text("again")
        await studio.rests()
        said = await studio.said(ch)
        assert sorted(said) == ["again", "done", "done", "hello", "late"]


async def test_a_host_that_hangs_holds_up_nobody_else(dsn: str) -> None:
    """It has so many places; who needs another waits, and others' flows go on."""
    hold = asyncio.Event()
    async with house(dsn, webhooks={"filters": []}) as one:
        one.customer.answer = lambda hook: web.json_response({"name": "Ann"})
        one.customer.hold = hold
        studio = Studio(one, await publish(one, calling(f"{one.customer.url}/who")))
        await lead(one, studio.flow)
        phones = [f"+1555123{number:04d}" for number in range(CALLS_MAX + 4)]
        heard = [await studio.text("hello", phone) for phone in phones]
        await one.customer.until(lambda: one.customer.held == CALLS_MAX)
        waiting = "SELECT count(*) FROM lanes WHERE kind = 'flow' AND lease IS NULL AND due > now()"
        await studio.until(waiting, 4)
        assert one.customer.held == CALLS_MAX
        hold.set()
        for ch in heard:
            await studio.hears(ch, "hello", "You are Ann.")
        most = await studio.ask("SELECT max(number) FROM attempts WHERE kind = 'flow'")
        assert most == 1  # to wait for a place is no attempt


async def test_a_template_is_said_as_the_api_says_it(dsn: str) -> None:
    types = {"twilio/text": {"body": "Hi {{1}}."}}
    async with house(dsn) as one:
        content = {"language": "en", "types": types}
        async with one.http.post(f"{one.service.url}/v1/Content", json=content) as answer:
            sid = (await answer.json())["sid"]
        variables = [{"key": "{{1}}", "value": "{{contact.channel.address}}"}]
        said = state(
            "say",
            "send-message",
            content_sid=sid,
            content_variables=variables,
            _sent="done",
            _failed="late",
        )
        studio = Studio(one, await publish(one, flow(said, DONE, LATE)))
        await lead(one, studio.flow)
        ch = await studio.text("hello")
        await studio.hears(ch, "hello", f"Hi {MARIA}.", "done")
        await studio.delivered(2)
        assert one.world.phone(MARIA).received[0].body == f"Hi {MARIA}."


async def test_a_group_text_is_answered_by_our_number_to_all(dsn: str) -> None:
    async with studio(dsn, BOTS) as one:
        others = ["+15551230002"]
        texted = await one.house.world.phone(MARIA).text(SMS, "hello", others=others)
        assert texted.acknowledged
        ch = await one.ask("SELECT sid FROM conversations")
        await one.hears(ch, "hello", HI)
        await one.delivered(2)
        for phone in (MARIA, *others):
            assert [got.body for got in one.house.world.phone(phone).received] == [HI]
