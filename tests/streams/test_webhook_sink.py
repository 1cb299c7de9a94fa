"""The webhook sink with a real customer: what arrives, in which order, and what is sent again."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from jsonschema import Draft7Validator

from app.store.stream_log import TURN
from app.streams import schemas
from tests.streams.conftest import EVERYTHING, MARIA, QUICK, arrived, names, only, sink, subscribe
from tests.support.house import House, house
from tests.support.settings import ACCOUNT, SMS


async def texts(one: House, count: int) -> str:
    """The phone says 0, 1, 2, ...; gives the conversation."""
    conversation = ""
    for n in range(count):
        conversation = await one.conversation(MARIA, body=f"{n}")
    return conversation


async def test_events_arrive_signed_in_arrays_and_are_cloudevents(dsn: str) -> None:
    async with house(dsn) as one:
        await subscribe(one, await sink(one))
        conversation = await texts(one, 2)
        await one.customer.until(lambda: len(arrived(one)) == 4)
        events = arrived(one)
        assert names(events) == [
            "conversation.added",
            "participant.added",
            "message.added",
            "message.added",
        ]
        calls = [hook for hook in one.customer.hooks if hook.path == "/stream"]
        assert all(hook.signed for hook in calls)
        assert {hook.headers["Content-Type"] for hook in calls} == {"application/json"}
        assert all("bodySHA256" in hook.form for hook in calls)
        assert len({event["id"] for event in events}) == 4
        for event in events:
            assert event["specversion"] == "1.0"
            assert event["source"] == conversation
            assert event["datacontenttype"] == "application/json"
            assert event["time"].endswith("Z")
            schema, version = event["dataschema"].split("/")[-2:]
            Draft7Validator(schemas.document(schema, int(version))).validate(event["data"])
        created, joined, first, second = (event["data"] for event in events)
        assert (created["MessageBody"], created["AccountSid"]) == ("0", ACCOUNT)
        assert created["MessagingBinding"] == {"ProxyAddress": SMS, "Address": MARIA}
        assert joined["MessagingBinding"]["Type"] == "SMS"
        assert [(one["MessageBody"], one["Index"]) for one in (first, second)] == [
            ("0", 0),
            ("1", 1),
        ]


async def test_changes_by_rest_arrive_whatever_the_webhook_header_says(dsn: str) -> None:
    async with house(dsn) as one:
        await subscribe(one, await sink(one), EVERYTHING)
        await one.post("/v1/Users", Identity="ann")
        made = await one.post("/v1/Conversations", FriendlyName="quiet", Attributes='{"a": 1.0}')
        said = await one.say(made["sid"], "hello", Subject="a subject")
        await one.post(said["url"], 200, Body="edited")
        await one.delete(said["url"])
        await one.post(made["url"], 200, State="closed")
        await one.delete(made["url"])
        await one.customer.until(lambda: len(arrived(one)) == 8)
        assert names(arrived(one)) == [
            "user.added",
            "conversation.added",
            "message.added",
            "message.updated",
            "message.removed",
            "conversation.updated",
            "conversation-state.updated",
            "conversation.removed",
        ]
        by_name = dict(zip(names(arrived(one)), arrived(one), strict=True))
        assert by_name["message.added"]["data"]["MessageSubject"] == "a subject"
        assert by_name["conversation.added"]["data"]["Attributes"] == {"a": 1.0}
        assert by_name["user.added"]["source"] == by_name["user.added"]["data"]["UserSid"]
        assert one.customer.events(accepted=False) == [
            hook for hook in one.customer.hooks if hook.path == "/stream"
        ], "webhooks were not asked for"


async def test_a_failing_sink_gets_the_same_batch_again_in_order(dsn: str) -> None:
    async with house(dsn, streams=QUICK) as one:
        answers = iter([500, 429])

        def answer(hook: Any) -> int:
            return next(answers, 200) if hook.path == "/stream" else 200

        one.customer.answer = answer
        await subscribe(one, await sink(one), only("message.added"))
        await texts(one, 5)
        await one.customer.until(lambda: len(arrived(one)) == 5)
        assert [event["data"]["Index"] for event in arrived(one)] == list(range(5))
        tried = [hook.json for hook in one.customer.hooks if hook.path == "/stream"]
        first = [event["id"] for event in tried[0]]
        assert [[event["id"] for event in batch] for batch in tried[:3]] == [first] * 3


async def test_a_batch_that_nobody_takes_is_given_up_and_the_next_one_goes(dsn: str) -> None:
    async with house(dsn, streams={**QUICK, "batch_max": 2}) as one:

        def answer(hook: Any) -> int:
            bad = hook.path == "/stream" and hook.json[0]["data"]["Index"] == 0
            return 500 if bad else 200

        one.customer.answer = answer
        subscription = await subscribe(one, await sink(one), only("message.added"))
        conversation = await one.post("/v1/Conversations")
        async with one.service.runtime.db.begin() as tx:
            for _ in range(4):  # all of them in one turn of the sequencer
                await tx.sql.execute("SELECT pg_advisory_xact_lock_shared($1)", TURN)
                await one.say(conversation["sid"], "x")
        await one.customer.until(lambda: len(arrived(one)) == 2)
        assert [event["data"]["Index"] for event in arrived(one)] == [2, 3]
        async with one.service.runtime.db.begin() as tx:
            lost = dict(await tx.sql.fetchrow("SELECT * FROM stream_losses"))
        assert (lost["first"], lost["last"], lost["events"]) == (1, 2, 2)
        assert (lost["subscription_sid"], lost["reason"].split(":")[0]) == (
            subscription,
            "given up after 4 attempts",
        )


async def test_a_hanging_sink_delays_no_other(dsn: str) -> None:
    slow = {"waits_s": [60], "timeout_s": 1}
    async with house(dsn, streams=slow) as one:
        dead = await sink(one, destination="http://127.0.0.1:9/refused")
        await subscribe(one, dead, only("message.added"))
        await subscribe(one, await sink(one), only("message.added"))
        await texts(one, 3)
        await one.customer.until(lambda: len(arrived(one)) == 3)


async def test_without_batches_each_event_goes_alone(dsn: str) -> None:
    async with house(dsn, streams=QUICK) as one:
        answers = iter([200, 500])
        one.customer.answer = lambda hook: next(answers, 200) if hook.path == "/stream" else 200
        await subscribe(one, await sink(one, batch_events=False), only("message.added"))
        await texts(one, 4)
        await one.customer.until(lambda: len(arrived(one)) == 4)
        bodies = [hook.json for hook in one.customer.hooks if hook.path == "/stream"]
        assert [body["data"]["Index"] for body in bodies] == [0, 1, 1, 2, 3]


async def test_a_get_carries_one_event_in_its_signed_query(dsn: str) -> None:
    async with house(dsn) as one:
        here = f"{one.customer.url}/get?a=b"
        await subscribe(one, await sink(one, destination=here, method="get"), only("message.added"))
        await one.conversation(MARIA, body="a & b = ü")
        gets = lambda: [hook for hook in one.customer.hooks if hook.path == "/get"]  # noqa: E731
        await one.customer.until(lambda: len(gets()) == 1)
        hook = gets()[0]
        assert (hook.method, hook.signed, hook.form["a"]) == ("GET", True, "b")
        assert '"MessageBody":"a & b = ü"' in hook.form["event"]


async def test_user_and_password_go_with_the_first_request_and_are_not_shown(dsn: str) -> None:
    async with house(dsn) as one:
        there = one.customer.url.replace("http://", "http://ann:p%40ss@") + "/stream#rc=2"
        sid = await sink(one, destination=there)
        shown = (await one.get(f"/v1/Sinks/{sid}"))["sink_configuration"]["destination"]
        assert "p%40ss" not in shown
        assert "ann:***@" in shown
        await subscribe(one, sid, only("message.added"))
        await texts(one, 1)
        await one.customer.until(lambda: len(arrived(one)) == 1)
        hook = next(hook for hook in one.customer.hooks if hook.path == "/stream")
        assert hook.headers["Authorization"] == "Basic " + b64encode(b"ann:p@ss").decode()
        assert hook.signed


async def test_loopback_is_closed_unless_the_configuration_opens_it(dsn: str) -> None:
    quick = {"waits_s": [0.01], "timeout_s": 1}
    async with house(dsn, egress={"open": []}, streams=quick) as one:
        await subscribe(one, await sink(one), only("message.added"))
        await texts(one, 1)
        async with one.service.runtime.db.begin() as tx:
            sql = "SELECT reason FROM stream_losses"
            while (reason := await tx.sql.fetchval(sql)) is None:
                await one.service.runtime.clock.sleep(0.01)
        assert "egress.open" in reason
        assert arrived(one) == []


async def test_a_subscription_gets_what_happens_after_it_and_only_its_types(dsn: str) -> None:
    async with house(dsn) as one:
        await subscribe(one, await sink(one), only("message.added"))
        await texts(one, 1)
        late = await sink(one, destination=f"{one.customer.url}/late")
        await subscribe(one, late, only("message.added", "participant.added", version=1))
        await one.conversation("+15551230002", body="new")
        await one.customer.until(lambda: len(arrived(one, "/late")) == 2)
        await one.customer.until(lambda: len(arrived(one)) == 2)
        assert names(arrived(one, "/late")) == ["participant.added", "message.added"]
        assert names(arrived(one)) == ["message.added"] * 2
        schemas_ = {event["dataschema"].rpartition("/")[2] for event in arrived(one, "/late")}
        assert schemas_ == {"1"}


async def test_an_account_without_subscriptions_leaves_nothing(dsn: str) -> None:
    async with house(dsn) as one:
        sid = await sink(one)
        subscription = await subscribe(one, sid)
        await one.delete(f"/v1/Subscriptions/{subscription}")
        await texts(one, 2)
        await one.customer.until(lambda: len(one.customer.events("onMessageAdded")) == 2)
        async with one.service.runtime.db.begin() as tx:
            assert await tx.sql.fetchval("SELECT last_value FROM stream_intake_serial_seq") == 1
            assert await tx.sql.fetchval("SELECT count(*) FROM stream_events") == 0
        await one.delete(f"/v1/Sinks/{sid}")
