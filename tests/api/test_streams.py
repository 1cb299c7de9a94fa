"""Sinks, subscriptions, types and schemas, by the official client and by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from jsonschema import Draft7Validator
from twilio.base.exceptions import TwilioRestException

from app.streams.types import TYPES

from .conftest import World

T = TypeVar("T")
ADDED = "com.twilio.conversations.message.added"
REMOVED = "com.twilio.conversations.message.removed"
HERE = {"destination": "https://example.com/stream", "method": "POST", "batch_events": True}
ARN = "arn:aws:kinesis:us-east-1:111122223333:stream/events"
ROLE = "arn:aws:iam::111122223333:role/twilio"


async def ask(world: World, question: Callable[[Any], T]) -> T:
    """Ask the official client of Event Streams (it blocks)."""
    client = world.client
    client.events.base_url = world.base
    return await asyncio.to_thread(question, client.events.v1)


async def a_sink(world: World, kind: str = "webhook", **configuration: Any) -> Any:
    given = configuration or (HERE if kind == "webhook" else {})
    return await ask(world, lambda v1: v1.sinks.create("a sink", given, kind))


async def refused(world: World, question: Callable[[Any], Any]) -> tuple[int, int]:
    with pytest.raises(TwilioRestException) as said:
        await ask(world, question)
    return said.value.status, said.value.code


async def test_a_sink_is_made_read_described_and_deleted(world: World) -> None:
    made = await a_sink(world)
    assert (made.sink_type, made.status, made.sink_configuration) == ("webhook", "active", HERE)
    assert made.date_created is not None
    found = await ask(world, lambda v1: v1.sinks(made.sid).fetch())
    assert (found.description, found.url) == ("a sink", made.url)
    changed = await ask(world, lambda v1: v1.sinks(made.sid).update("other"))
    assert changed.description == "other"
    assert await ask(world, lambda v1: v1.sinks(made.sid).delete())
    assert await refused(world, lambda v1: v1.sinks(made.sid).fetch()) == (404, 91001)


async def test_sinks_are_listed_by_status_and_by_use_page_by_page(world: World) -> None:
    sids = [(await a_sink(world)).sid for _ in range(3)]
    new = await a_sink(world, "kinesis", arn=ARN, role_arn=ROLE, external_id="an-id")
    assert (new.status, new.sink_configuration["role_arn"]) == ("initialized", ROLE)
    await ask(world, lambda v1: v1.subscriptions.create("s", sids[1], [{"type": ADDED}]))
    every = await ask(world, lambda v1: v1.sinks.list(page_size=2))
    assert [one.sid for one in every] == [*sids, new.sid]
    used = await ask(world, lambda v1: v1.sinks.list(in_use=True))
    assert [one.sid for one in used] == [sids[1]]
    unused = await ask(world, lambda v1: v1.sinks.list(in_use=False, status="active"))
    assert [one.sid for one in unused] == [sids[0], sids[2]]


async def test_a_sink_is_tested_and_validated(world: World) -> None:
    made = await a_sink(world, "kinesis", arn=ARN)
    tested = await ask(world, lambda v1: v1.sinks(made.sid).sink_test.create())
    assert tested.result == "submitted"
    found = await ask(world, lambda v1: v1.sinks(made.sid).fetch())
    assert found.status == "validating"
    wrong = lambda v1: v1.sinks(made.sid).sink_validate.create("TE" + "0" * 32)  # noqa: E731
    assert await refused(world, wrong) == (400, 91005)
    subscribe = lambda v1: v1.subscriptions.create("s", made.sid, [{"type": ADDED}])  # noqa: E731
    assert await refused(world, subscribe) == (400, 91100)
    async with world.runtime.db.begin() as tx:
        test_id = await tx.sql.fetchval("SELECT test_id FROM sinks WHERE sid = $1", made.sid)
        waiting = await tx.sql.fetchval(
            "SELECT due <= $2 FROM stream_followers WHERE sid = $1", test_id, tx.now
        )
    assert waiting, "a worker sends it"
    valid = await ask(world, lambda v1: v1.sinks(made.sid).sink_validate.create(test_id))
    assert valid.result == "valid"
    assert (await ask(world, subscribe)).sink_sid == made.sid


async def test_a_subscription_and_what_it_wants(world: World) -> None:
    sink = await a_sink(world)
    wanted = [{"type": ADDED, "schema_version": 1}, {"type": REMOVED}]
    made = await ask(world, lambda v1: v1.subscriptions.create("mine", sink.sid, wanted))
    assert (made.sink_sid, made.account_sid) == (sink.sid, world.account_sid)
    events = lambda v1: v1.subscriptions(made.sid).subscribed_events  # noqa: E731
    listed = await ask(world, lambda v1: events(v1).list(page_size=1))
    assert [(one.type, one.schema_version) for one in listed] == [(ADDED, 1), (REMOVED, 2)]
    user = "com.twilio.conversations.user.added"
    more = await ask(world, lambda v1: events(v1).create(user))
    assert (more.type, more.schema_version, more.subscription_sid) == (user, 2, made.sid)
    changed = await ask(world, lambda v1: events(v1)(user).update(schema_version=1))
    assert changed.schema_version == 1
    assert (await ask(world, lambda v1: events(v1)(user).fetch())).schema_version == 1
    assert await ask(world, lambda v1: events(v1)(user).delete())
    assert await refused(world, lambda v1: events(v1)(user).fetch()) == (404, 91104)
    assert await refused(world, lambda v1: v1.sinks(sink.sid).delete()) == (409, 91007)
    renamed = await ask(world, lambda v1: v1.subscriptions(made.sid).update(description="other"))
    assert renamed.description == "other"
    of_sink = await ask(world, lambda v1: v1.subscriptions.list(sink_sid=sink.sid))
    assert [one.sid for one in of_sink] == [made.sid]
    assert await ask(world, lambda v1: v1.subscriptions(made.sid).delete())
    assert await refused(world, lambda v1: v1.subscriptions(made.sid).fetch()) == (404, 91102)
    assert await ask(world, lambda v1: v1.sinks(sink.sid).delete())


async def test_what_an_account_is_subscribed_to_is_what_its_changes_look_at(world: World) -> None:
    async def streamed() -> list[str]:
        async with world.runtime.db.begin() as tx:
            found: list[str] = await tx.sql.fetchval(
                "SELECT streamed FROM accounts WHERE sid = $1", world.account_sid
            )
        return found

    sink = await a_sink(world)
    assert await streamed() == []
    create = lambda kinds: lambda v1: v1.subscriptions.create("s", sink.sid, kinds)  # noqa: E731
    first = await ask(world, create([{"type": ADDED}]))
    second = await ask(world, create([{"type": ADDED}, {"type": REMOVED}]))
    assert await streamed() == ["onMessageAdded", "onMessageRemoved"]
    await ask(world, lambda v1: v1.subscriptions(second.sid).delete())
    assert await streamed() == ["onMessageAdded"]
    await ask(world, lambda v1: v1.subscriptions(first.sid).subscribed_events(ADDED).delete())
    assert await streamed() == []


async def test_types_and_their_schemas_are_served(world: World) -> None:
    listed = await ask(world, lambda v1: v1.event_types.list(page_size=5))
    assert [one.type for one in listed] == sorted(TYPES)
    one = await ask(world, lambda v1: v1.event_types(ADDED).fetch())
    assert one.schema_id == "Conversations.MessageAdded"
    of_schema = await ask(world, lambda v1: v1.event_types.list(schema_id=one.schema_id))
    assert [found.type for found in of_schema] == [ADDED]
    schema = await ask(world, lambda v1: v1.schemas(one.schema_id).fetch())
    assert (schema.id, schema.latest_version) == (one.schema_id, 2)
    versions = await ask(world, lambda v1: v1.schemas(one.schema_id).versions.list(page_size=1))
    assert [found.schema_version for found in versions] == [1, 2]
    for version in versions:
        status, raw = await world.call("GET", version.raw)
        assert status == 200
        Draft7Validator.check_schema(raw)
        assert raw["$id"].endswith(f"Conversations.MessageAdded/{version.schema_version}")
    none = lambda v1: v1.schemas(one.schema_id).versions(3).fetch()  # noqa: E731
    assert await refused(world, none) == (404, 20404)
    assert await refused(world, lambda v1: v1.event_types("no").fetch()) == (404, 91104)


@pytest.mark.parametrize("backwards", [False, True])
async def test_a_list_that_everybody_has_is_paged_both_ways(world: World, backwards: bool) -> None:
    found, url = [], f"{world.base}/v1/Types?PageSize=5"
    pages = []
    while url:
        _, page = await world.call("GET", url)
        pages.append([one["type"] for one in page["types"]])
        found.append(page["meta"])
        url = page["meta"]["next_page_url"]
    assert [len(page) for page in pages] == [5, 5, 2]
    if backwards:
        _, page = await world.call("GET", found[2]["previous_page_url"])
        assert [one["type"] for one in page["types"]] == pages[1]
        _, page = await world.call("GET", page["meta"]["previous_page_url"])
        assert ([one["type"] for one in page["types"]], page["meta"]["previous_page_url"]) == (
            pages[0],
            None,
        )


@pytest.mark.parametrize(
    ("form", "code", "said"),
    [
        ({"SinkConfiguration": "{}"}, 91000, "destination"),
        ({"SinkConfiguration": "[]"}, 91201, "SinkConfiguration"),
        ({"SinkConfiguration": "{"}, 91201, "SinkConfiguration"),
        ({"SinkConfiguration": '{"destination":"ftp://a"}'}, 91000, "destination"),
        ({"SinkConfiguration": '{"destination":7}'}, 91000, "destination"),
        ({"SinkConfiguration": json.dumps({**HERE, "method": "PUT"})}, 91000, "method"),
        ({"SinkConfiguration": json.dumps({**HERE, "method": "GET"})}, 91000, "batch_events"),
        ({"SinkConfiguration": json.dumps({**HERE, "batch_events": 3})}, 91000, "batch_events"),
        ({"SinkType": "segment"}, 91000, "SinkType"),
        ({"SinkType": "kinesis"}, 91000, "arn"),
        (
            {"SinkType": "kinesis", "SinkConfiguration": '{"arn":"arn:aws:kinesis:evil.com"}'},
            91000,
            "arn",
        ),
        (
            {"SinkType": "kinesis", "SinkConfiguration": json.dumps({"arn": ARN, "role_arn": "x"})},
            91000,
            "role_arn",
        ),
        ({"Description": "x" * 2000}, 91201, "Description"),
        ({"Description": None}, 20001, "Description"),
    ],
)
async def test_a_sink_that_cannot_be_is_refused_by_name(
    world: World, form: dict[str, str | None], code: int, said: str
) -> None:
    usual = {"Description": "d", "SinkType": "webhook", "SinkConfiguration": json.dumps(HERE)}
    given = {name: text for name, text in {**usual, **form}.items() if text is not None}
    status, body = await world.call("POST", "/v1/Sinks", given)
    assert (status, body["code"]) == (400, code)
    assert said in body["message"]


@pytest.mark.parametrize(
    ("types", "status", "code"),
    [
        ([""], 400, 91103),
        (["[]"], 400, 91103),
        (["x"], 400, 91201),
        (["7"], 400, 91201),
        (['{"type":"no.such"}'], 404, 91104),
        (["{}"], 404, 91104),
        ([f'{{"type":"{ADDED}","schema_version":3}}'], 400, 91201),
        ([f'{{"type":"{ADDED}","schema_version":true}}'], 400, 91201),
        ([f'[{{"type":"{ADDED}"}},{{"type":"{REMOVED}"}}]'], 201, None),
    ],
)
async def test_types_that_cannot_be_wanted_are_refused(
    world: World, types: list[str], status: int, code: int | None
) -> None:
    sink = await a_sink(world)
    form = [("Description", "d"), ("SinkSid", sink.sid), *(("Types", one) for one in types)]
    got, body = await world.call("POST", "/v1/Subscriptions", form)
    assert (got, body.get("code")) == (status, code)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/Sinks/DG1", 400, 91006),
        ("GET", "/v1/Subscriptions/x", 400, 91006),
        ("GET", f"/v1/Subscriptions/DF{'0' * 32}", 404, 91102),
        ("GET", f"/v1/Subscriptions/DF{'0' * 32}/SubscribedEvents", 404, 91102),
        ("POST", f"/v1/Sinks/DG{'0' * 32}/Test", 404, 91001),
        ("GET", "/v1/Sinks?PageSize=0", 400, 91002),
        ("GET", "/v1/Sinks?PageSize=1001", 400, 91002),
        ("GET", "/v1/Sinks?PageToken=PAx", 400, 91002),
        ("GET", "/v1/Types?PageToken=x", 400, 91002),
        ("GET", "/v1/Sinks?Status=x", 400, 91201),
        ("GET", "/v1/Schemas/x", 404, 20404),
        ("GET", "/v1/Schemas/Conversations.MessageAdded/Versions/x", 404, 20404),
        ("GET", "/v1/Events", 404, 91001),
    ],
)
async def test_paths_and_questions_that_lead_nowhere(
    world: World, method: str, path: str, status: int, code: int
) -> None:
    got, body = await world.call(method, path)
    assert (got, body["code"]) == (status, code)


async def test_an_account_has_so_many_sinks_and_subscriptions(a_world: Any) -> None:
    async with a_world(streams={"sinks_max": 1, "subscriptions_max": 1}) as world:
        sink = await a_sink(world)
        more = lambda v1: v1.sinks.create("d", HERE, "webhook")  # noqa: E731
        assert await refused(world, more) == (400, 91003)
        again = lambda v1: v1.subscriptions.create("s", sink.sid, [{"type": ADDED}])  # noqa: E731
        await ask(world, again)
        assert await refused(world, again) == (400, 91100)


async def test_another_account_sees_nothing_of_it(world: World, a_world: Any) -> None:
    sink = await a_sink(world)
    async with a_world() as other:
        assert await refused(other, lambda v1: v1.sinks(sink.sid).fetch()) == (404, 91001)
        create = lambda v1: v1.subscriptions.create("s", sink.sid, [{"type": ADDED}])  # noqa: E731
        assert await refused(other, create) == (404, 91001)
        assert await ask(other, lambda v1: v1.sinks.list()) == []
