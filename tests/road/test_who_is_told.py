"""Who is told: scopes and what overrides them, filters, echoes, enriched payloads, flows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any, get_args

import pytest

from app.observe import DeadLettered, FlowWalked, Observe
from app.settings.types import PostEvent
from app.store.webhooks import ROSTER_MAX
from tests.support.customer import Hook
from tests.support.house import House, house
from tests.support.settings import SMS, WHATSAPP

MARIA, TOM = "+15551230001", "+15551230003"
EVERY = list(get_args(PostEvent))
FLOW, LOST = "FW" + "a" * 32, "FW" + "b" * 32
CREATED = ["onConversationAdded", "onParticipantAdded", "onMessageAdded"]
NOBODY: dict[str, Any] = {"post_url": None, "filters": []}
PRE = ["onMessageAdd", "onConversationAdd", "onParticipantAdd", "onUserUpdate"]


def at(one: House, path: str) -> list[Hook]:
    """What came to this path, in order."""
    return [hook for hook in one.customer.hooks if hook.path == path]


def names(hooks: Sequence[Hook]) -> list[str]:
    return [hook.event for hook in hooks]


async def configured(one: House, where: str, filters: Sequence[str], **more: Any) -> None:
    """The webhooks of the default service, at this path of the customer's."""
    [service] = (await one.get("/v1/Services"))["services"]
    form = {"PostWebhookUrl": f"{one.customer.url}/{where}", "Filters": list(filters), **more}
    await one.post(f"{service['url']}/Configuration/Webhooks", 200, **form)


async def attached(one: House, conversation: str, **form: Any) -> dict[str, Any]:
    """A webhook of a conversation's own."""
    named = {f"Configuration_{key}": value for key, value in form.items() if key != "Target"}
    target = form.get("Target", "webhook")
    path = f"/v1/Conversations/{conversation}/Webhooks"
    made: dict[str, Any] = await one.post(path, Target=target, **named)
    return made


async def until_waits_no_more(one: House) -> None:
    """Everything that is to be told has been told."""
    async with one.service.runtime.db.begin() as tx:
        while await tx.sql.fetchval("SELECT count(*) FROM outbox"):
            await one.service.runtime.clock.sleep(0.01)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_service_overrides_the_account_in_everything(dsn: str, method: str) -> None:
    async with house(dsn, webhooks={"filters": EVERY}) as one:
        await one.told("POST", "/v1/Users", 201, Identity="before")
        await configured(one, "service", ["onMessageAdded", "onUserAdded"], Method=method)
        await one.told("POST", "/v1/Users", 201, Identity="ann")
        await one.conversation(MARIA)
        await until_waits_no_more(one)
        assert names(at(one, "/events")) == ["onUserAdded"]
        assert sorted(names(at(one, "/service"))) == ["onMessageAdded", "onUserAdded"]
        assert {hook.method for hook in at(one, "/service")} == {method}


async def test_the_operator_may_have_both_told(dsn: str) -> None:
    async with house(dsn, webhooks={"filters": EVERY, "service_webhooks": "both"}) as one:
        await configured(one, "service", ["onMessageAdded", "onUserAdded"])
        await one.told("POST", "/v1/Users", 201, Identity="ann")
        await one.conversation(MARIA)
        await until_waits_no_more(one)
        assert sorted(names(at(one, "/service"))) == ["onMessageAdded", "onUserAdded"]
        assert sorted(names(at(one, "/events"))) == sorted([*CREATED, "onUserAdded"])


async def test_to_say_only_who_else_is_told_leaves_the_webhooks_to_the_api(dsn: str) -> None:
    async with house(dsn, webhooks=NOBODY) as one:
        form = {"PostWebhookUrl": f"{one.customer.url}/all", "Filters": ["onMessageAdded"]}
        await one.post("/v1/Configuration/Webhooks", 200, **form)
        await one.conversation(MARIA)
        await one.customer.until(lambda: names(at(one, "/all")) == ["onMessageAdded"])


@pytest.mark.parametrize("filters", [[], PRE])
async def test_without_post_events_in_its_filters_nothing_is_told(
    dsn: str, filters: list[str]
) -> None:
    """An empty list wants nothing, and a pre-event is not its post-event."""
    async with house(dsn, webhooks=NOBODY) as one:
        form = {"PostWebhookUrl": f"{one.customer.url}/all", "Filters": filters}
        shown = await one.post("/v1/Configuration/Webhooks", 200, **form)
        assert shown["filters"] == filters
        await configured(one, "service", filters)
        await one.conversation(MARIA)
        await until_waits_no_more(one)
        assert one.customer.hooks == []


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_conversations_own_webhooks_are_told_besides(dsn: str, method: str) -> None:
    async with house(dsn, webhooks={"filters": ["onMessageAdded"]}) as one:
        ch = await one.conversation(MARIA)
        url = one.customer.url
        wanted = ["onMessageAdded", "onParticipantAdded"]
        await attached(one, ch, Url=f"{url}/own", Filters=wanted, Method=method)
        await attached(
            one, ch, Target="trigger", Url=f"{url}/word", Triggers=["stop"], Method=method
        )
        await one.conversation(MARIA, body="please go on")
        await one.conversation(MARIA, body="Stop!")
        await one.told("POST", f"/v1/Conversations/{ch}/Participants", 201, Identity="ann")
        await until_waits_no_more(one)
        assert names(at(one, "/own")) == [*["onMessageAdded"] * 2, "onParticipantAdded"]
        assert [hook.form["Body"] for hook in at(one, "/word")] == ["Stop!"]
        assert len(at(one, "/events")) == 3
        own = at(one, "/own") + at(one, "/word")
        assert {hook.method for hook in own} == {method}
        assert all(hook.signed for hook in own)


async def live(one: House) -> str:
    """Changes by REST for which nobody asked that they be told; gives the conversation."""
    url = (await one.post("/v1/Conversations"))["url"]
    ann = await one.post(f"{url}/Participants", Identity="ann")
    said = await one.post(f"{url}/Messages", Author="ann", Body="a")
    await one.post(said["url"], 200, Body="b")
    await one.delete(said["url"])
    await one.post(ann["url"], 200, LastReadMessageIndex="0")
    await one.delete(ann["url"])
    await one.post("/v1/Users/ann", 200, FriendlyName="Ann")
    await one.post(url, 200, State="closed")
    await one.delete(url)
    return str(url)


LIFE = [
    "onConversationAdded",
    "onUserAdded",
    "onParticipantAdded",
    "onMessageAdded",
    "onMessageUpdated",
    "onMessageRemoved",
    "onParticipantUpdated",
    "onParticipantRemoved",
    "onUserUpdated",
    "onConversationUpdated",
    "onConversationStateUpdated",
    "onConversationRemoved",
]


async def test_with_echo_everything_is_told_that_rest_does(dsn: str) -> None:
    async with house(dsn, webhooks={"filters": EVERY, "echo": True}) as one:
        await live(one)
        await until_waits_no_more(one)
        # People have lanes of their own: only within a conversation is there an order.
        users = ["onUserAdded", "onUserUpdated"]
        assert sorted(names(one.customer.hooks)) == sorted(LIFE)
        told = [name for name in names(one.customer.hooks) if name not in users]
        assert told == [name for name in LIFE if name not in users]
        assert {hook.form["Source"] for hook in one.customer.hooks} == {"API"}
        assert not any("Origin" in hook.form for hook in one.customer.hooks)


async def test_only_those_with_echo_hear_what_nobody_asked_to_be_told(dsn: str) -> None:
    async with house(dsn, webhooks={"filters": EVERY}) as one:
        await live(one)
        ch = (await one.post("/v1/Conversations"))["sid"]
        url, wanted = one.customer.url, ["onMessageAdded", "onConversationUpdated"]
        await attached(one, ch, Url=f"{url}/echo", Filters=wanted, Echo="true")
        await attached(one, ch, Url=f"{url}/quiet", Filters=wanted)
        await one.say(ch, "a")
        await one.told("POST", f"/v1/Conversations/{ch}/Messages", 201, Body="b")
        await one.post(f"/v1/Conversations/{ch}", 200, FriendlyName="x")
        await until_waits_no_more(one)
        assert [hook.form.get("Body") for hook in at(one, "/echo")] == ["a", "b", None]
        assert [hook.form.get("Body") for hook in at(one, "/quiet")] == ["b"]
        assert [hook.form.get("Body") for hook in at(one, "/events")] == ["b"]


async def test_echo_is_switched_by_the_api_for_a_service(dsn: str) -> None:
    async with house(dsn, webhooks={"filters": EVERY}) as one:
        await configured(one, "service", ["onConversationAdded"], Echo="true")
        await one.post("/v1/Conversations")
        await configured(one, "service", ["onConversationAdded"])
        await one.post("/v1/Conversations")
        await configured(one, "service", ["onConversationAdded"], Echo="false")
        await one.post("/v1/Conversations")
        await until_waits_no_more(one)
        assert names(one.customer.hooks) == ["onConversationAdded"] * 2


async def test_an_enriched_payload_names_origin_roster_and_the_inbounds_pair(dsn: str) -> None:
    enriched = {"filters": EVERY, "payload": "enriched"}
    async with house(dsn, webhooks=enriched) as one:
        ch = await one.conversation(MARIA)
        people = f"/v1/Conversations/{ch}/Participants"
        [maria] = (await one.get(people))["participants"]
        ann = await one.post(people, Identity="ann")
        await one.world.phone(MARIA).text(SMS, media=["https://media.example.com/a"])
        await one.told("POST", f"/v1/Conversations/{ch}/Messages", 201, Author="ann", Body="x")
        await one.customer.until(lambda: len(one.customer.events("onDeliveryUpdated")) == 2)
        by_text, picture, by_rest = one.customer.events("onMessageAdded")
        sms = {
            "Sid": maria["sid"],
            "Address": MARIA,
            "ProxyAddress": SMS,
        }
        assert json.loads(by_text.form["Roster"]) == [sms]
        both = [sms, {"Sid": ann["sid"], "Identity": "ann"}]
        assert json.loads(by_rest.form["Roster"]) == json.loads(picture.form["Roster"]) == both
        assert (by_text.form["From"], by_text.form["To"]) == (MARIA, SMS)
        sent = [texted.external_id for texted in one.world.phone(MARIA).sent]
        assert [by_text.form["ChannelMessageSid"], picture.form["ChannelMessageSid"]] == sent
        assert not {"From", "To", "ChannelMessageSid"} & set(by_rest.form)
        assert (by_text.form["Origin"], by_rest.form["Origin"]) == ("carrier", "rest")
        others = [hook for hook in one.customer.hooks if hook.event != "onMessageAdded"]
        assert {hook.form["Origin"] for hook in others} == {"carrier"}
        assert not any("Roster" in hook.form for hook in others)
        assert all(hook.signed for hook in one.customer.hooks)


async def test_one_event_has_as_many_words_as_each_target_wants(dsn: str) -> None:
    async with house(dsn, webhooks={"filters": ["onMessageAdded"]}) as one:
        ch = await one.conversation(MARIA)
        own = {"Url": f"{one.customer.url}/own", "Filters": ["onMessageAdded"]}
        await attached(one, ch, **own, Payload="enriched")
        await one.conversation(MARIA, body="again")
        await until_waits_no_more(one)
        [rich], plain = at(one, "/own"), at(one, "/events")[1]
        ours = {"Origin", "Roster", "From", "To", "ChannelMessageSid"}
        assert set(rich.form) - set(plain.form) == ours
        assert {name: rich.form[name] for name in plain.form} == plain.form


async def test_an_enriched_replay_is_as_rich_as_what_is_live(dsn: str) -> None:
    async with house(dsn, webhooks={"filters": ["onMessageAdded"], "payload": "enriched"}) as one:
        await one.world.phone(f"whatsapp:{TOM}").text(WHATSAPP, "a")
        await one.customer.until(lambda: len(at(one, "/events")) == 1)
        ch = at(one, "/events")[0].form["ConversationSid"]
        own = {"Url": f"{one.customer.url}/own", "Filters": ["onMessageAdded"]}
        await attached(one, ch, **own, Payload="enriched", ReplayAfter=0)
        await one.customer.until(lambda: len(at(one, "/own")) == 1)
        assert at(one, "/own")[0].form == at(one, "/events")[0].form


async def test_the_roster_is_cut_and_says_so(dsn: str) -> None:
    enriched = {"filters": ["onMessageAdded"], "payload": "enriched"}
    async with house(dsn, webhooks=enriched, limits={"actions_per_s": 0}) as one:
        ch = (await one.post("/v1/Conversations"))["sid"]
        for n in range(ROSTER_MAX + 1):
            if n == ROSTER_MAX:
                await one.told("POST", f"/v1/Conversations/{ch}/Messages", 201, Body="full")
            await one.post(f"/v1/Conversations/{ch}/Participants", Identity=f"p{n}")
        await one.told("POST", f"/v1/Conversations/{ch}/Messages", 201, Body="more")
        await until_waits_no_more(one)
        full, more = (hook.form for hook in at(one, "/events"))
        assert "RosterTruncated" not in full
        assert full["Roster"] == more["Roster"]
        assert [one["Identity"] for one in json.loads(more["Roster"])] == [
            f"p{n}" for n in range(ROSTER_MAX)
        ]
        assert more["RosterTruncated"] == "true"


def flow(url: str) -> dict[str, Any]:
    """The flow that is in the file, at the customer's."""
    return {FLOW: {"url": f"{url}/flow"}}


def studio(flow: str, retries: int) -> dict[str, Any]:
    """Sections: a rule for our number that hands its conversations to a flow."""
    rule = {"type": "studio", "studio_flow_sid": flow, "studio_retry_count": retries}
    return {
        "addresses": [{"address": SMS, "auto_creation": rule}],
        "hooks": {"waits_s": [0.01] * 11, "timeout_s": 10},
    }


@pytest.mark.parametrize("retries", [0, 1, 3])
async def test_a_flow_gets_each_message_as_often_as_its_retry_count_allows(
    dsn: str, retries: int
) -> None:
    """Once, and again StudioRetryCount times; then its lane goes on with the next message."""
    async with house(dsn, **studio(FLOW, retries), webhooks=NOBODY, flows=flow) as one:
        one.customer.answer = lambda hook: 503 if hook.form["Index"] == "0" else 200
        await one.conversation(MARIA, body="first")
        await one.conversation(MARIA, body="second")
        await until_waits_no_more(one)
        hooks = at(one, "/flow")
        tried = [(hook.form["Body"], hook.form["RetryCount"]) for hook in hooks]
        assert tried == [*(("first", str(n)) for n in range(retries + 1)), ("second", "0")]
        assert {(hook.event, hook.method, hook.signed) for hook in hooks} == {
            ("onMessageAdded", "POST", True)
        }


async def test_a_flow_may_be_told_of_other_events(dsn: str) -> None:
    async with house(dsn, webhooks=NOBODY, flows=flow) as one:
        ch = await one.conversation(MARIA)
        await attached(one, ch, Target="studio", FlowSid=FLOW, Filters=["onParticipantAdded"])
        await one.told("POST", f"/v1/Conversations/{ch}/Participants", 201, Identity="ann")
        await one.conversation(MARIA)
        await until_waits_no_more(one)
        assert names(at(one, "/flow")) == ["onParticipantAdded"]


async def test_what_is_told_to_a_flow_that_is_not_there_is_a_dead_letter_at_once(dsn: str) -> None:
    """Operators see it: in the log, the metrics, and the trace of the message."""
    observed: list[Any] = []
    observe = Observe()
    observe.to(observed.append)
    async with house(dsn, observe, webhooks=NOBODY) as one:
        ch = await one.conversation(MARIA)
        await attached(one, ch, Target="studio", FlowSid=LOST)
        await one.conversation(MARIA, body="is anybody there?")
        async with asyncio.timeout(20):
            while not any(isinstance(one, DeadLettered) for one in observed):
                await asyncio.sleep(0.01)
        async with one.service.runtime.db.begin() as tx:
            [dead] = await tx.sql.fetch("SELECT scope, url, attempts FROM dead_letters")
            [tried] = await tx.sql.fetch("SELECT detail FROM attempts WHERE kind = 'flow'")
        assert tuple(dead) == ("studio", f"flow:{LOST}", 1)
        assert LOST in tried["detail"]
        [gone] = [one for one in observed if isinstance(one, DeadLettered)]
        assert (gone.kind, gone.flow_sid) == ("flow", LOST)
        assert gone.detail == f"there is no flow {LOST}"
        tries = [one for one in observed if isinstance(one, FlowWalked)]
        assert [(one.event, one.outcome) for one in tries] == [("message", "dead")]


async def test_explain_says_where_a_rules_flow_is(dsn: str) -> None:
    rule = {"type": "studio", "studio_flow_sid": FLOW}
    asked = f"/ops/explain?To={SMS}&From={MARIA}".replace("+", "%2B")
    for flows, said in (
        (
            {FLOW: {"url": "https://user:pass@flows.example.com/x?key=y"}},
            "https://flows.example.com/x",
        ),
        ({}, "not in `flows`: it runs here, if the API has it"),
    ):
        addresses = [{"address": SMS, "auto_creation": rule}]
        async with house(dsn, addresses=addresses, flows=flows) as one:
            creates = (await one.get(asked))["creates"]
            assert (creates["flow_sid"], creates["flow"]) == (FLOW, said)


async def test_a_rules_webhook_has_the_echo_and_payload_of_the_rule(dsn: str) -> None:
    def addresses(url: str) -> list[dict[str, Any]]:
        rule = {"type": "webhook", "webhook_url": f"{url}/own", "webhook_payload": "enriched"}
        rule |= {"webhook_filters": ["onMessageAdded"], "webhook_echo": True}
        return [{"address": SMS, "auto_creation": rule}]

    async with house(dsn, addresses=addresses, webhooks=NOBODY) as one:
        ch = await one.conversation(MARIA)
        await one.say(ch, "an answer")
        await until_waits_no_more(one)
        assert [hook.form["Origin"] for hook in at(one, "/own")] == ["carrier", "rest"]


async def test_users_whom_a_rule_brings_are_told_of_once(dsn: str) -> None:
    rule = {"default_identities": ["ann", "bob"]}
    addresses = [{"address": SMS, "auto_creation": rule}]
    async with house(dsn, addresses=addresses, webhooks={"filters": EVERY}) as one:
        await one.conversation(MARIA)
        await one.conversation(TOM)
        await until_waits_no_more(one)
        added = one.customer.events("onUserAdded")
        assert sorted(hook.form["Identity"] for hook in added) == ["ann", "bob"]
        shown = [await one.get(f"/v1/Users/{hook.form['UserSid']}") for hook in added]
        assert [user["identity"] for user in shown] == [hook.form["Identity"] for hook in added]
        assert [user["role_sid"] for user in shown] == [hook.form["RoleSid"] for hook in added]
        assert {hook.form["Source"] for hook in added} == {"SMS"}
