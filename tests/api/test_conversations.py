"""Conversations through the official client, in both trees."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from twilio.base.exceptions import TwilioRestException
from yarl import URL

from app import ids
from app.clock import iso_seconds


@pytest.fixture(params=["account", "service"])
def ask(request, world):
    return world.api if request.param == "account" else world.service


async def test_a_conversation_is_created_fetched_changed_and_deleted(ask) -> None:
    made = await ask(
        lambda v1: v1.conversations.create(
            friendly_name="Home Repair Visit",
            unique_name="visit-1",
            attributes='{"topic": "feedback"}',
            timers_inactive="PT5M",
            timers_closed="PT60000S",
            bindings_email_address="shop@example.com",
            bindings_email_name="Shop",
        )
    )
    assert made.sid.startswith("CH")
    assert (made.friendly_name, made.state) == ("Home Repair Visit", "active")
    assert made.bindings == {"email": {"address": "shop@example.com", "name": "Shop"}}
    assert set(made.timers) == {"date_inactive", "date_closed"}
    assert isinstance(made.date_created, datetime)
    named = await ask(lambda v1: v1.conversations("visit-1").fetch())
    assert named.sid == made.sid
    changed = await ask(
        lambda v1: v1.conversations(made.sid).update(
            friendly_name="", state="inactive", timers_closed="PT0S"
        )
    )
    assert (changed.friendly_name, changed.state) == (None, "inactive")
    assert set(changed.timers) == {"date_inactive"}
    assert await ask(lambda v1: v1.conversations("visit-1").delete())
    with pytest.raises(TwilioRestException) as gone:
        await ask(lambda v1: v1.conversations(made.sid).fetch())
    assert (gone.value.status, gone.value.code) == (404, 20404)


async def test_the_json_is_exactly_the_documented_one(world) -> None:
    status, made = await world.call("POST", "/v1/Conversations", {"FriendlyName": "My First"})
    url = f"{world.base}/v1/Conversations/{made['sid']}"
    assert status == 201
    assert made == {
        "sid": made["sid"],
        "account_sid": world.account_sid,
        "chat_service_sid": world.service_sid,
        "messaging_service_sid": None,
        "friendly_name": "My First",
        "unique_name": None,
        "attributes": "{}",
        "date_created": made["date_created"],
        "date_updated": made["date_created"],
        "state": "active",
        "timers": {},
        "bindings": {},
        "url": url,
        "links": {
            "participants": f"{url}/Participants",
            "messages": f"{url}/Messages",
            "webhooks": f"{url}/Webhooks",
            "export": f"{url}/Export",
        },
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", made["date_created"])


async def test_urls_of_the_service_tree_keep_the_service(world) -> None:
    tree = f"/v1/Services/{world.other_service_sid}"
    _, made = await world.call("POST", f"{tree}/Conversations", {})
    assert made["url"] == f"{world.base}{tree}/Conversations/{made['sid']}"
    status, fetched = await world.call("GET", made["url"])
    assert (status, fetched) == (200, made)


async def test_a_conversation_of_one_service_is_not_in_another(world) -> None:
    _, made = await world.call("POST", "/v1/Conversations", {"UniqueName": "mine"})
    for service in (world.other_service_sid, ids.new(ids.SERVICE), "ISnonsense"):
        for key in (made["sid"], "mine"):
            path = f"/v1/Services/{service}/Conversations/{key}"
            for method in ("GET", "POST", "DELETE"):
                status, body = await world.call(method, path, {"State": "closed"})
                assert (status, body["code"]) == (404, 20404)
                assert body["message"] == (
                    f"The requested resource {path.removeprefix('/v1')} was not found"
                )
    tree = f"/v1/Services/{world.service_sid.upper().replace('IS', 'IS', 1)}"
    status, _ = await world.call("GET", f"{tree}/Conversations/mine")
    assert status == 200


async def test_the_same_unique_name_may_be_used_in_another_service(world) -> None:
    for tree in ("/v1", f"/v1/Services/{world.other_service_sid}"):
        status, _ = await world.call("POST", f"{tree}/Conversations", {"UniqueName": "twice"})
        assert status == 201


@pytest.mark.parametrize("name", ["with space", "a/b", "50%", "äöü 日本", "a+b", "x?y#z", "%2F"])
async def test_any_unique_name_stands_in_a_path(world, name: str) -> None:
    _, made = await world.call("POST", "/v1/Conversations", {"UniqueName": name})
    path = f"{world.base}/v1/Conversations/{quote(name, safe='')}"
    status, found = await world.call("GET", URL(path, encoded=True))
    assert (status, found["sid"]) == (200, made["sid"])


@pytest.mark.parametrize("change", ["state", "name", "message"])
async def test_timers_restart_with_a_change_and_with_a_message(world, change: str) -> None:
    _, made = await world.call("POST", "/v1/Conversations", {"Timers.Inactive": "PT1M"})
    async with world.runtime.db.begin() as tx:
        await tx.sql.execute(
            "UPDATE conversations SET active_at = $2, state_at = $2 WHERE sid = $1",
            made["sid"],
            tx.now - timedelta(hours=1),
        )
    _, before = await world.call("GET", made["url"])
    if change == "message":
        await world.call("POST", f"{made['url']}/Messages", {"Body": "x"})
    else:
        form = {"State": "active"} if change == "state" else {"FriendlyName": "x"}
        await world.call("POST", made["url"], form)
    _, after = await world.call("GET", made["url"])
    assert before["timers"]["date_inactive"] < after["timers"]["date_inactive"]


async def test_the_timer_that_is_shown_is_the_one_that_is_armed(world) -> None:
    _, made = await world.call("POST", "/v1/Conversations", {"Timers.Closed": "PT1H"})
    _, made = await world.call("POST", made["url"], {"Timers.Inactive": "PT5M"})
    async with world.runtime.db.begin() as tx:
        armed = await tx.sql.fetchval(
            "SELECT next_timer_at FROM conversations WHERE sid = $1", made["sid"]
        )
    assert made["timers"]["date_inactive"] == iso_seconds(armed)


async def test_the_account_defaults_go_into_a_new_conversation(world) -> None:
    service = ids.new(ids.MESSAGING_SERVICE)
    async with world.runtime.db.begin() as tx:
        await tx.sql.execute(
            "UPDATE accounts SET default_messaging_service_sid = $2,"
            " default_closed_timer_s = 600 WHERE sid = $1",
            world.account_sid,
            service,
        )
    _, made = await world.call("POST", "/v1/Conversations", {})
    assert (made["messaging_service_sid"], set(made["timers"])) == (service, {"date_closed"})
    _, made = await world.call("POST", "/v1/Conversations", {"Timers.Closed": "PT0S"})
    assert made["timers"] == {}


async def test_parameter_names_are_taken_in_any_case_and_unknown_ones_ignored(world) -> None:
    form = {"friendlyname": "a", "UNIQUENAME": "b", "Nonsense": "c"}
    status, made = await world.call("POST", "/v1/Conversations", form)
    assert (status, made["friendly_name"], made["unique_name"]) == (201, "a", "b")


async def test_imported_dates_are_kept(ask) -> None:
    then = datetime(2020, 2, 3, 4, 5, 6, tzinfo=UTC)
    made = await ask(lambda v1: v1.conversations.create(date_created=then, date_updated=then))
    assert (made.date_created, made.date_updated) == (then, then)


async def test_the_configured_public_url_is_the_one_in_links(a_world) -> None:
    server = {"public_url": "https://talk.example.com"}
    async with a_world(server=server) as world:
        _, made = await world.call("POST", "/v1/Conversations", {})
        assert made["url"].startswith("https://talk.example.com/v1/Conversations/CH")
        _, page = await world.call("GET", "/v1/Conversations")
        assert page["meta"]["url"].startswith("https://talk.example.com/v1/Conversations?")
