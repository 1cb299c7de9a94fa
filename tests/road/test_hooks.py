"""Post-event webhooks with a real customer: signatures, order, retries, dead letters."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from tests.support.house import House, house
from tests.support.settings import SMS

MARIA = "+15551230001"
QUICK = {"waits_s": [0.02, 0.02, 0.02], "timeout_s": 10}


async def texts(one: House, count: int, phone: str = MARIA) -> None:
    for n in range(count):
        await one.conversation(phone, body=f"{n}")


async def test_events_are_signed_numbered_and_in_order(dsn: str) -> None:
    async with house(dsn) as one:
        await texts(one, 5)
        await one.customer.until(lambda: len(one.customer.events("onMessageAdded")) == 5)
        hooks = one.customer.hooks
        assert all(hook.signed for hook in hooks)
        assert [hook.event for hook in hooks[:3]] == [
            "onConversationAdded",
            "onParticipantAdded",
            "onMessageAdded",
        ]
        messages = one.customer.events("onMessageAdded")
        assert [hook.form["Index"] for hook in messages] == ["0", "1", "2", "3", "4"]
        assert {hook.form["RetryCount"] for hook in hooks} == {"0"}
        assert len({hook.token for hook in hooks}) == len(hooks)
        assert messages[0].form["Source"] == "SMS"


async def test_a_failing_customer_is_told_again_with_the_same_token_in_order(dsn: str) -> None:
    async with house(dsn, hooks=QUICK) as one:
        answers = iter([500, 429, 200, 503])
        one.customer.answer = lambda hook: next(answers, 200)
        await texts(one, 3)
        await one.customer.until(lambda: len(one.customer.events("onMessageAdded")) == 3)
        first = one.customer.hooks[:3]
        assert [hook.status for hook in first] == [500, 429, 200]
        assert {hook.token for hook in first} == {first[0].token}
        assert [hook.form["RetryCount"] for hook in first] == ["0", "1", "2"]
        order = [hook.event + hook.form.get("Index", "") for hook in one.customer.events()]
        assert order == [
            "onConversationAdded",
            "onParticipantAdded",
            "onMessageAdded0",
            "onMessageAdded1",
            "onMessageAdded2",
        ]


async def test_after_the_schedule_the_lane_goes_on(dsn: str) -> None:
    async with house(dsn, hooks=QUICK) as one:
        one.customer.answer = lambda hook: 500 if hook.form.get("Index") == "0" else 200
        await texts(one, 2)
        await one.customer.until(lambda: len(one.customer.events("onMessageAdded")) == 1)
        assert one.customer.events("onMessageAdded")[0].form["Index"] == "1"
        async with one.service.runtime.db.begin() as tx:
            dead = await tx.sql.fetchrow("SELECT event, attempts, reason FROM dead_letters")
        assert (dead["event"], dead["attempts"]) == ("onMessageAdded", 4)


async def test_gone_ends_it_at_once_and_redirects_are_not_followed(dsn: str) -> None:
    async with house(dsn, hooks=QUICK) as one:

        def answer(hook: Any) -> int | web.Response:
            if hook.event == "onConversationAdded":
                return 410
            if hook.event == "onParticipantAdded":
                return web.Response(status=302, headers={"Location": one.customer.url + "/other"})
            return 200

        one.customer.answer = answer
        await texts(one, 1)
        await one.customer.until(lambda: len(one.customer.events("onMessageAdded")) == 1)
        tried = [hook.event for hook in one.customer.hooks]
        assert tried == ["onConversationAdded", *["onParticipantAdded"] * 4, "onMessageAdded"]
        assert {hook.path for hook in one.customer.hooks} == {"/events"}


async def test_a_hanging_target_delays_no_other(dsn: str) -> None:
    rule = {
        "type": "webhook",
        "webhook_url": "http://127.0.0.1:9/refused",
        "webhook_filters": ["onMessageAdded"],
    }
    addresses = [{"address": SMS, "auto_creation": rule}]
    async with house(dsn, addresses=addresses, hooks={"waits_s": [60], "timeout_s": 1}) as one:
        await texts(one, 3)
        await one.customer.until(lambda: len(one.customer.events("onMessageAdded")) == 3)


async def test_loopback_is_closed_unless_the_configuration_opens_it(dsn: str) -> None:
    quick = {"waits_s": [0.01], "timeout_s": 1}
    async with house(dsn, egress={"open": []}, hooks=quick) as one:
        await one.conversation(MARIA)
        async with one.service.runtime.db.begin() as tx:
            sql = "SELECT count(*) FROM dead_letters"
            while await tx.sql.fetchval(sql) < 3:
                await one.service.runtime.clock.sleep(0.01)
            detail = await tx.sql.fetchval("SELECT detail FROM attempts LIMIT 1")
        assert "egress.open" in detail
        assert one.customer.hooks == []


async def test_a_get_webhook_carries_everything_in_its_signed_query(dsn: str) -> None:
    async with house(dsn) as one:
        ch = await one.conversation(MARIA)
        await one.customer.until(lambda: len(one.customer.events("onMessageAdded")) == 1)
        async with one.service.runtime.db.begin() as tx:
            await tx.sql.execute(
                "INSERT INTO scoped_webhooks (sid, account_sid, chat_service_sid,"
                " conversation_sid, target, url, method, filters, date_created, date_updated)"
                " SELECT 'WH1', account_sid, chat_service_sid, sid, 'webhook', $2, 'GET',"
                " '{onMessageAdded}', now(), now() FROM conversations WHERE sid = $1",
                ch,
                f"{one.customer.url}/get?a=b%20c#rc=1",
            )
        await one.conversation(MARIA, body="a & b = ü")
        gets = lambda: [hook for hook in one.customer.hooks if hook.method == "GET"]  # noqa: E731
        await one.customer.until(lambda: len(gets()) == 1)
        hook = gets()[0]
        assert (hook.signed, hook.path, hook.form["Body"]) == (True, "/get", "a & b = ü")
        assert hook.form["a"] == "b c"


async def test_whatever_a_customer_answers_its_lane_goes_on(dsn: str) -> None:
    """PostgreSQL holds no NUL: what the customer said must not keep its own outcome out."""
    async with house(dsn, hooks={"waits_s": [0.02], "timeout_s": 10}) as one:

        def answer(hook: Any) -> int | web.Response:
            if hook.event == "onConversationAdded":
                return web.Response(status=500, body=b"bad\x00body \xff\xfe" + b"x" * 5000)
            return 200

        one.customer.answer = answer
        await texts(one, 1)
        await one.customer.until(lambda: len(one.customer.events("onMessageAdded")) == 1)
        tried = [hook.event for hook in one.customer.hooks]
        assert tried == [*["onConversationAdded"] * 2, "onParticipantAdded", "onMessageAdded"]
