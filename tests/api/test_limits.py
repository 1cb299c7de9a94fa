"""Actions per second: who is counted, by what, and what is said then."""

from __future__ import annotations

from typing import Any

import pytest

from app.api.limits import Buckets, counted_by
from app.api.routes import routes
from app.errors import TooMany
from app.settings.models import LimitSettings
from tests.support.clock import TurnedClock

from .conftest import OURS

SERVICE, CONVERSATION = "service", "conversation"


def spend(buckets: Buckets, sid: str, times: int) -> int:
    """How many of so many actions pass."""
    passed = 0
    for _ in range(times):
        try:
            buckets.take(sid)
        except TooMany:
            continue
        passed += 1
    return passed


def test_a_bucket_holds_a_second_and_fills_as_time_goes() -> None:
    clock = TurnedClock()
    buckets = Buckets(30, clock)
    assert spend(buckets, "CH1", 40) == 30
    assert spend(buckets, "CH2", 40) == 30
    clock.turn(0.5)
    assert spend(buckets, "CH1", 40) == 15
    clock.turn(60)
    assert spend(buckets, "CH1", 40) == 30


def test_what_is_refused_says_when_to_come_again() -> None:
    buckets = Buckets(0.25, TurnedClock())
    buckets.take("CH1")
    with pytest.raises(TooMany) as refused:
        buckets.take("CH1")
    assert (refused.value.code, refused.value.retry_after_s) == (20429, 4.0)


def test_what_did_not_come_about_is_given_back() -> None:
    buckets = Buckets(2, TurnedClock())
    assert spend(buckets, "CH1", 3) == 2
    buckets.give("CH1")
    assert spend(buckets, "CH1", 3) == 1
    for _ in range(9):
        buckets.give("CH1")
    assert spend(buckets, "CH1", 9) == 2, "no more than one second's worth"
    buckets.give("CH2")
    assert spend(buckets, "CH2", 9) == 2


def test_a_rate_of_0_limits_nothing_and_remembers_nothing() -> None:
    buckets = Buckets(0, TurnedClock())
    assert spend(buckets, "CH1", 1000) == 1000
    buckets.give("CH1")
    assert not buckets._buckets


def test_memory_is_bounded_and_the_least_used_go_first() -> None:
    buckets = Buckets(1, TurnedClock(), buckets_max=3)
    for sid in ("CH1", "CH2", "CH3", "CH1", "CH4"):
        spend(buckets, sid, 1)
    assert list(buckets._buckets) == ["CH3", "CH1", "CH4"]


@pytest.mark.parametrize(
    ("method", "path", "by"),
    [
        ("GET", "/Conversations", None),
        ("POST", "/Conversations", SERVICE),
        ("POST", "/Services/{ChatServiceSid}/Conversations/{Sid}", CONVERSATION),
        ("DELETE", "/Conversations/{Sid}", SERVICE),
        ("POST", "/Conversations/{ConversationSid}/Messages", CONVERSATION),
        ("DELETE", "/Conversations/{ConversationSid}/Participants/{Sid}", CONVERSATION),
        ("POST", "/Users/{Sid}", SERVICE),
        ("POST", "/Users/{UserSid}/Conversations/{ConversationSid}", SERVICE),
        ("DELETE", "/Roles/{Sid}", SERVICE),
    ],
)
def test_who_is_counted_by_what(method: str, path: str, by: str | None) -> None:
    assert counted_by(method, path) == by


def test_the_relaxed_profile_has_no_rate_of_its_own() -> None:
    assert LimitSettings().effective_actions_per_s == 30
    assert LimitSettings(profile="relaxed").effective_actions_per_s == 0
    assert LimitSettings(profile="relaxed", actions_per_s=5).effective_actions_per_s == 5
    assert LimitSettings(actions_per_s=0).effective_actions_per_s == 0


SLOW = {"limits": {"actions_per_s": 0.01}}
"""One action, and the next one after 100 s."""


async def test_over_the_rate_is_429_with_retry_after(a_world) -> None:
    async with a_world(**SLOW) as world:
        assert (await world.call("POST", "/v1/Conversations", {"UniqueName": "it"}))[0] == 201
        url = f"{world.base}/v1/Conversations"
        async with world.http.post(url, headers=world.login) as answer:
            body = await answer.json()
        assert answer.status == 429
        assert 90 <= int(answer.headers["Retry-After"]) <= 100
        assert (body["code"], body["message"]) == (20429, "Too Many Requests")
        # another service, a conversation, and reading are none the worse for it
        there = f"/v1/Services/{world.other_service_sid}/Conversations"
        assert (await world.call("POST", there))[0] == 201
        assert (await world.call("POST", "/v1/Conversations/it", {"FriendlyName": "x"}))[0] == 200
        assert (await world.call("POST", "/v1/Conversations/it", {"FriendlyName": "x"}))[0] == 429
        assert (await world.call("GET", "/v1/Conversations"))[0] == 200


async def test_a_conversation_is_one_by_all_its_names_and_in_both_trees(a_world) -> None:
    async with a_world(**SLOW) as world:
        _, made = await world.call("POST", "/v1/Conversations", {"UniqueName": "it"})
        tree = f"/v1/Services/{world.service_sid}/Conversations"
        first = await world.call("POST", f"/v1/Conversations/{made['sid']}/Messages", {"Body": "x"})
        assert first[0] == 201
        for path in (f"{tree}/it/Messages", "/v1/Conversations/it/Messages"):
            assert (await world.call("POST", path, {"Body": "x"}))[0] == 429


async def test_every_change_below_a_conversation_is_counted(a_world) -> None:
    below = [
        route
        for route in routes()
        if counted_by(route.method, route.path) == CONVERSATION and "/Services/" not in route.path
    ]
    assert len(below) >= 7
    async with a_world(**SLOW) as world:
        _, made = await world.call("POST", "/v1/Conversations", {"UniqueName": "it"})
        spent = await world.call("POST", f"{made['url']}/Messages", {"Body": "x"})
        assert spent[0] == 201
        names = {"ConversationSid": "it", "MessageSid": "IM" + "0" * 32}
        for route in below:
            sid = "it" if route.path.endswith("/Conversations/{Sid}") else "XX" + "0" * 32
            path = "/v1" + route.path.format(Sid=sid, **names)
            form: dict[str, Any] = {"Body": "x", "Identity": "bob", "Target": "webhook"}
            status, body = await world.call(
                route.method, path, form if route.method == "POST" else None
            )
            assert status == 429, (route, body)


LENGTHS = [
    ("friendly_name_chars_max", "/v1/Conversations", {"FriendlyName": "{}"}, 50003),
    ("friendly_name_chars_max", "/v1/Users", {"FriendlyName": "{}", "Identity": "a"}, 50003),
    ("unique_name_chars_max", "/v1/Conversations", {"UniqueName": "{}"}, 50004),
    ("identity_chars_max", "/v1/Users", {"Identity": "{}"}, 50207),
    ("identity_chars_max", "/v1/Conversations/it/Participants", {"Identity": "{}"}, 50207),
    ("body_bytes_max", "/v1/Conversations/it/Messages", {"Body": "{}"}, 50504),
    ("conversation_attributes_bytes_max", "/v1/Conversations", {"Attributes": '"{}"'}, 50303),
    ("attributes_bytes_max", "/v1/Users", {"Identity": "a", "Attributes": '"{}"'}, 50303),
    (
        "attributes_bytes_max",
        "/v1/Conversations/it/Messages",
        {"Body": "x", "Attributes": '"{}"'},
        50303,
    ),
    (
        "attributes_bytes_max",
        "/v1/Conversations/it/Participants",
        {"Identity": "a", "Attributes": '"{}"'},
        50303,
    ),
]


@pytest.mark.parametrize(("limit", "path", "form", "code"), LENGTHS)
async def test_each_length_can_be_set(a_world, limit, path, form, code) -> None:
    async with a_world(limits={limit: 10}) as world:
        assert (await world.call("POST", "/v1/Conversations", {"UniqueName": "it"}))[0] == 201
        fits = 8 if "attributes" in limit else 10
        for length, status in ((fits + 1, 400), (fits, 201)):
            sent = {name: text.replace("{}", "y" * length) for name, text in form.items()}
            got, body = await world.call("POST", path, sent)
            assert got == status, body
            if status == 400:
                assert body["code"] == code


async def test_the_length_of_an_address_can_be_set(a_world) -> None:
    form = {"MessagingBinding.Address": "+15558675310", "MessagingBinding.ProxyAddress": OURS}
    for most, status, code in ((12, 201, None), (11, 400, 50407)):
        async with a_world(limits={"address_chars_max": most}) as world:
            await world.call("POST", "/v1/Conversations", {"UniqueName": "it"})
            path = "/v1/Conversations/it/Participants"
            got, body = await world.call("POST", path, form)
            assert (got, body.get("code")) == (status, code)
            assert got == 201 or body["details"]["reason"].endswith("at most 11 characters")
