"""Whatever is sent, the answer is one of ours: never a 5xx, never another shape."""

from __future__ import annotations

import asyncio
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yarl import URL

from app.api import routes
from app.api.forms import Form, decode
from app.errors import Refused

JUNK = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "\x00",
            "null",
            "-1",
            "9" * 400,
            "1e9",
            "+15558675310",
            "whatsapp:+1",
            "{}",
            "[" * 10_000,
            '{"a": NaN}',
            "P99999999999W",
            "PT" + "9" * 400 + "S",
            "P1DT",
            "9999-12-31T23:59:59-14:00",
            "0000-00-00",
            "2024-02-30",
            "20240101",
            "true",
            "closed",
            "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
            "a@b",
            "http://[",
            "CH" + "0" * 32,
        ]
    ),
)
PARAMETERS = sorted(
    {parameter.name for route in routes.routes() for parameter in route.verb.parameters}
    | {"PageSize", "Page", "PageToken"}
)
FORMS = st.dictionaries(st.sampled_from(PARAMETERS), JUNK, max_size=6)
VERBS = {(route.method, route.path): route.verb for route in routes.routes()}


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(VERBS)), FORMS)
def test_a_form_is_values_or_a_refusal(key, form) -> None:
    verb = VERBS[key]
    sent = decode(urlencode(form, errors="replace"), 1000)
    try:
        values = Form(sent, verb.parameters)
    except Refused as refused:
        assert 20001 <= refused.code < 100_000
        return
    lower = {name.lower() for name in form}
    assert all((p.name.lower() in lower) == (p in values) for p in verb.parameters)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def _never(world, loop, fill, data) -> None:
    route = data.draw(st.sampled_from(list(routes.routes())), label="route")
    path = "/v1" + route.path.format(
        **{name: data.draw(fill[name], label=name) for name in fill if f"{{{name}}}" in route.path}
    )
    form = data.draw(FORMS, label="form")
    query = urlencode(form, errors="replace")
    if route.method == "POST":
        url, body = URL(world.base + path, encoded=True), query.encode()
    else:  # longer request lines are refused before the API sees them
        url, body = URL(f"{world.base}{path}?{query[:6000]}", encoded=True), None
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    asked = world.call(route.method, url, body, headers=headers)
    status, answer = asyncio.run_coroutine_threadsafe(asked, loop).result(30)
    assert status < 500, (route, form, answer)
    if status >= 400:
        assert {"code", "message", "more_info", "status"} <= set(answer)
        assert answer["status"] == status


async def test_no_request_makes_the_api_stumble(world) -> None:
    _, parent = await world.call("POST", "/v1/Conversations", {"UniqueName": "it"})
    _, member = await world.call("POST", f"{parent['url']}/Participants", {"Identity": "me"})
    _, said = await world.call("POST", f"{parent['url']}/Messages", {"Body": "x"})
    junk = JUNK.map(lambda text: quote(text[:100], safe="", errors="replace")).filter(bool)

    def near(*good: str) -> st.SearchStrategy[str]:
        return st.one_of(st.sampled_from(good), st.sampled_from(good), junk)

    fill = {
        "ChatServiceSid": near(world.service_sid, world.other_service_sid),
        "ConversationSid": near("it", parent["sid"]),
        "MessageSid": near(said["sid"]),
        "UserSid": near("me"),
        "SubscriptionSid": near(f"DF{'0' * 32}"),
        "Type": near("com.twilio.conversations.message.added"),
        "Id": near("Conversations.MessageAdded"),
        "SchemaVersion": near("1", "3"),
        "Sid": near("it", member["sid"], said["sid"], "me", "%FF", "%ED%A0%80", "%00", ".."),
    }
    await asyncio.to_thread(_never, world, asyncio.get_running_loop(), fill)


@pytest.mark.parametrize("host", ["evil.example.com", "a b", 'x"y', "[::1]"])
async def test_a_host_header_breaks_no_answer(world, host: str) -> None:
    status, _ = await world.call("GET", "/v1/Conversations", headers={"Host": host})
    assert status < 500
