"""Webhooks of one conversation: the resource, its limits, keywords, flows and replay."""

from __future__ import annotations

import asyncio

import orjson
import pytest
from twilio.base.exceptions import TwilioRestException

from app import ids
from app.webhooks import replay

URL, METHOD = "Configuration.Url", "Configuration.Method"
FILTERS, TRIGGERS = "Configuration.Filters", "Configuration.Triggers"
FLOW_SID, REPLAY = "Configuration.FlowSid", "Configuration.ReplayAfter"
ECHO, PAYLOAD = "Configuration.Echo", "Configuration.Payload"
FLOW = "FW" + "a" * 32
HOOK = {"Target": "webhook", URL: "https://example.com/h", FILTERS: "onMessageAdded"}
TRIGGER = {"Target": "trigger", URL: "https://example.com/t", TRIGGERS: "help"}
STUDIO = {"Target": "studio", FLOW_SID: FLOW}
TOLD = {"X-Twilio-Webhook-Enabled": "true"}


@pytest.fixture(params=["account", "service"])
def tree(request, world) -> str:
    return "/v1" if request.param == "account" else f"/v1/Services/{world.other_service_sid}"


async def conversation(world, tree: str = "/v1") -> dict:
    _, made = await world.call("POST", f"{tree}/Conversations", {"UniqueName": "it"})
    return made


async def say(world, parent: dict, *bodies: str) -> None:
    for body in bodies:
        form = {"Body": body}
        status, said = await world.call("POST", f"{parent['url']}/Messages", form, headers=TOLD)
        assert status == 201, said


async def told(world, webhook_sid: str) -> list[dict]:
    """What waits for one webhook, in order."""
    async with world.runtime.db.begin() as tx:
        rows = await tx.sql.fetch(
            "SELECT params::text FROM outbox WHERE lane LIKE $1 ORDER BY seq", f"h:{webhook_sid}:%"
        )
    return [orjson.loads(row["params"]) for row in rows]


@pytest.mark.parametrize("kind", ["account", "service"])
async def test_a_webhook_lives_through_the_official_client(world, kind: str) -> None:
    ask = world.api if kind == "account" else world.service
    parent = await ask(lambda tree: tree.conversations.create())
    sid = parent.sid
    made = await ask(
        lambda tree: tree.conversations(sid).webhooks.create(
            target="webhook",
            configuration_url="https://example.com",
            configuration_method="GET",
            configuration_filters=["onMessageAdded", "onConversationRemoved"],
            configuration_replay_after=0,
        )
    )
    assert made.configuration == {
        "url": "https://example.com",
        "method": "get",
        "filters": ["onMessageAdded", "onConversationRemoved"],
        "replay_after": 0,
    }
    changed = await ask(
        lambda tree: (
            tree.conversations(sid)
            .webhooks(made.sid)
            .update(configuration_filters=["onParticipantAdded"], configuration_method="post")
        )
    )
    assert changed.configuration["filters"] == ["onParticipantAdded"]
    fetched = await ask(lambda tree: tree.conversations(sid).webhooks(made.sid).fetch())
    assert (fetched.configuration, fetched.target) == (changed.configuration, "webhook")
    listed = await ask(lambda tree: tree.conversations(sid).webhooks.list())
    assert [one.sid for one in listed] == [made.sid]
    assert await ask(lambda tree: tree.conversations(sid).webhooks(made.sid).delete())
    with pytest.raises(TwilioRestException) as gone:
        await ask(lambda tree: tree.conversations(sid).webhooks(made.sid).fetch())
    assert (gone.value.status, gone.value.code) == (404, 20404)


@pytest.mark.parametrize(
    ("form", "configuration"),
    [
        (
            HOOK,
            {"url": "https://example.com/h", "method": "post", "filters": ["onMessageAdded"]},
        ),
        (
            TRIGGER | {METHOD: "GET"},
            {
                "url": "https://example.com/t",
                "method": "get",
                "filters": ["help"],
                "triggers": ["help"],
            },
        ),
        (STUDIO, {"flow_sid": FLOW}),
        (
            STUDIO | {FILTERS: "onParticipantAdded", URL: "https://x.example"},
            {"flow_sid": FLOW, "filters": ["onParticipantAdded"]},
        ),
    ],
)
async def test_the_json_is_exactly_the_documented_one(world, tree, form, configuration) -> None:
    parent = await conversation(world, tree)
    status, made = await world.call("POST", f"{tree}/Conversations/it/Webhooks", form)
    expected = {
        "sid": made["sid"],
        "account_sid": world.account_sid,
        "conversation_sid": parent["sid"],
        "target": form["Target"],
        "url": f"{parent['url']}/Webhooks/{made['sid']}",
        "configuration": configuration,
        "date_created": made["date_created"],
        "date_updated": made["date_created"],
    }
    if tree != "/v1":
        expected["chat_service_sid"] = world.other_service_sid
    assert (status, made) == (201, expected)
    assert await world.call("GET", made["url"]) == (200, made)


LIMITS = [
    ({}, 20001, "Missing required parameter Target in the post body"),
    (HOOK | {"Target": ""}, 50368, "Conversation webhook type not provided"),
    (HOOK | {"Target": "pigeon"}, 50364, "Invalid conversation webhook type"),
    ({"Target": "webhook"}, 50369, "Conversation webhook URL not provided"),
    ({"Target": "trigger", TRIGGERS: "a"}, 50369, "Conversation webhook URL not provided"),
    (HOOK | {URL: ""}, 50369, "Conversation webhook URL not provided"),
    (HOOK | {URL: "ftp://a"}, 20001, "Invalid Configuration.Url"),
    (HOOK | {URL: "http://a/" + "x" * 504}, 50372, "Conversation webhook URL is too long"),
    (HOOK | {FILTERS: ""}, 50370, "Conversation webhook filter not provided"),
    (HOOK | {FILTERS: "onMessageAdd"}, 50365, "Invalid conversation webhook filter"),
    (HOOK | {FILTERS: "onMessageSent"}, 50365, "Invalid conversation webhook filter"),
    (HOOK | {METHOD: "PUT"}, 50055, "Invalid webhook method"),
    (
        {"Target": "trigger", URL: "http://a"},
        50371,
        "Conversation webhook trigger not provided",
    ),
    (TRIGGER | {TRIGGERS: ""}, 50366, "Invalid conversation webhook trigger"),
    (TRIGGER | {TRIGGERS: " "}, 50366, "Invalid conversation webhook trigger"),
    (TRIGGER | {TRIGGERS: "x" * 249}, 50366, "Invalid conversation webhook trigger"),
    (
        [("Target", "trigger"), (URL, "http://a"), *((TRIGGERS, str(n)) for n in range(6))],
        50362,
        "Too many conversation webhook triggers",
    ),
    ({"Target": "studio"}, 50367, "Invalid conversation webhook flow SID"),
    (STUDIO | {FLOW_SID: "x"}, 50367, "Invalid conversation webhook flow SID"),
    (HOOK | {REPLAY: "-1"}, 20001, "Invalid Configuration.ReplayAfter"),
    (HOOK | {REPLAY: "x"}, 20001, "Invalid Configuration.ReplayAfter"),
    (HOOK | {ECHO: "perhaps"}, 20001, "Invalid Configuration.Echo"),
    (HOOK | {PAYLOAD: "rich"}, 20001, "Invalid Configuration.Payload"),
]


async def test_echo_and_payload_are_set_and_kept_and_not_shown(world) -> None:
    parent = await conversation(world)
    form = HOOK | {ECHO: "true", PAYLOAD: "Enriched"}
    _, made = await world.call("POST", f"{parent['url']}/Webhooks", form)
    assert set(made["configuration"]) == {"url", "method", "filters"}
    for sent, kept in (
        ({METHOD: "GET"}, (True, "enriched")),
        ({ECHO: "false"}, (False, "enriched")),
        ({PAYLOAD: "twilio"}, (False, "twilio")),
    ):
        assert (await world.call("POST", made["url"], sent))[0] == 200
        async with world.runtime.db.begin() as tx:
            row = await tx.sql.fetchrow(
                "SELECT echo, payload FROM scoped_webhooks WHERE sid = $1", made["sid"]
            )
        assert tuple(row) == kept


async def test_every_refusal_has_its_code_and_text(world) -> None:
    parent = await conversation(world)
    for form, code, said in LIMITS:
        status, body = await world.call("POST", f"{parent['url']}/Webhooks", form)
        assert (status, body["code"], body["message"]) == (400, code, said), form
    assert (await world.call("GET", f"{parent['url']}/Webhooks"))[1]["webhooks"] == []


async def test_the_longest_that_is_allowed_is_taken(world) -> None:
    parent = await conversation(world)
    url = "http://a/" + "x" * 503
    for form in (HOOK | {URL: url}, TRIGGER | {TRIGGERS: "x" * 248}):
        assert (await world.call("POST", f"{parent['url']}/Webhooks", form))[0] == 201


async def test_a_conversation_has_five_at_most_whoever_comes_together(world) -> None:
    parent = await conversation(world)
    path = f"{parent['url']}/Webhooks"
    made = await asyncio.gather(*(world.call("POST", path, HOOK) for _ in range(8)))
    refused = [body for status, body in made if status == 400]
    assert [body["code"] for body in refused] == [50361] * 3
    _, listed = await world.call("GET", f"{path}?PageSize=50")
    assert listed["meta"]["page_size"] == 5
    assert listed["meta"]["key"] == "webhooks"
    assert len(listed["webhooks"]) == 5
    first, url = [], f"{path}?PageSize=2"
    while url:
        _, page = await world.call("GET", url)
        first += [one["sid"] for one in page["webhooks"]]
        url = page["meta"]["next_page_url"]
    assert first == [one["sid"] for one in listed["webhooks"]]
    await world.call("DELETE", listed["webhooks"][0]["url"])
    assert (await world.call("POST", path, HOOK))[0] == 201


async def test_the_limit_is_a_setting(a_world) -> None:
    async with a_world(limits={"scoped_webhooks_max": 1, "actions_per_s": 0}) as world:
        parent = await conversation(world)
        for status in (201, 400):
            assert (await world.call("POST", f"{parent['url']}/Webhooks", HOOK))[0] == status


async def test_a_change_keeps_the_target_and_what_was_not_sent(world) -> None:
    parent = await conversation(world)
    _, made = await world.call("POST", f"{parent['url']}/Webhooks", TRIGGER)
    sent = [(FILTERS, "keyword1"), (FILTERS, "keyword2"), ("Target", "studio"), (REPLAY, "0")]
    status, changed = await world.call("POST", made["url"], sent)
    assert (status, changed["target"]) == (200, "trigger")
    assert changed["configuration"] == made["configuration"] | {
        "filters": ["keyword1", "keyword2"],
        "triggers": ["keyword1", "keyword2"],
    }
    status, body = await world.call("POST", made["url"], {URL: ""})
    assert (status, body["code"]) == (400, 50369)
    assert (await world.call("POST", made["url"], {}))[0] == 200


async def test_every_change_moves_the_conversations_revision(world) -> None:
    parent = await conversation(world)

    async def revision() -> int:
        async with world.runtime.db.begin() as tx:
            return await tx.sql.fetchval(
                "SELECT revision FROM conversations WHERE sid = $1", parent["sid"]
            )

    seen = [await revision()]
    _, made = await world.call("POST", f"{parent['url']}/Webhooks", HOOK)
    seen.append(await revision())
    await world.call("POST", made["url"], {METHOD: "GET"})
    seen.append(await revision())
    await world.call("DELETE", made["url"])
    seen.append(await revision())
    assert seen == list(range(seen[0], seen[0] + 4))


async def test_a_closed_conversation_refuses_changes(world) -> None:
    parent = await conversation(world)
    _, made = await world.call("POST", f"{parent['url']}/Webhooks", HOOK)
    await world.call("POST", parent["url"], {"State": "closed"})
    for method, url in (
        ("POST", f"{parent['url']}/Webhooks"),
        ("POST", made["url"]),
        ("DELETE", made["url"]),
    ):
        status, body = await world.call(method, url, HOOK)
        assert (status, body["code"]) == (400, 50377)
    assert (await world.call("GET", made["url"]))[0] == 200


async def test_a_webhook_of_another_conversation_is_not_found(world) -> None:
    parent = await conversation(world)
    _, other = await world.call("POST", "/v1/Conversations", {})
    _, made = await world.call("POST", f"{other['url']}/Webhooks", HOOK)
    for sid in (made["sid"], ids.new(ids.WEBHOOK), "x"):
        for method in ("GET", "POST", "DELETE"):
            status, body = await world.call(method, f"{parent['url']}/Webhooks/{sid}", {})
            assert (status, body["code"]) == (404, 20404)


async def test_a_trigger_is_told_of_messages_that_say_its_keyword(world) -> None:
    parent = await conversation(world)
    form = [*TRIGGER.items(), (TRIGGERS, "stop it")]
    _, made = await world.call("POST", f"{parent['url']}/Webhooks", form)
    await say(world, parent, "I need HELP!", "helpful", "Stop it.", "stop")
    said = await told(world, made["sid"])
    assert [one["Body"] for one in said] == ["I need HELP!", "Stop it."]
    assert {one["EventType"] for one in said} == {"onMessageAdded"}


async def test_replay_tells_of_earlier_messages_in_order_and_of_none_twice(
    world, monkeypatch
) -> None:
    monkeypatch.setattr(replay, "BATCH_MAX", 2)
    parent = await conversation(world)
    await say(world, parent, *(f"before {n}" for n in range(7)))
    path = f"{parent['url']}/Webhooks"
    later = say(world, parent, *(f"meanwhile {n}" for n in range(10)))
    (_, made), _ = await asyncio.gather(world.call("POST", path, HOOK | {REPLAY: "2"}), later)
    await say(world, parent, "after")
    said = await told(world, made["sid"])
    assert [int(one["Index"]) for one in said] == list(range(2, 18))
    assert said[0]["Body"] == "before 2"
    _, keyed = await world.call("POST", path, TRIGGER | {TRIGGERS: "3", REPLAY: "0"})
    assert [one["Body"] for one in await told(world, keyed["sid"])] == ["before 3", "meanwhile 3"]
    _, beyond = await world.call("POST", path, HOOK | {REPLAY: "1000"})
    _, other = await world.call("POST", path, HOOK | {FILTERS: "onMessageRemoved", REPLAY: "0"})
    for one in (beyond, other):
        assert await told(world, one["sid"]) == []


async def test_a_replay_to_a_flow_goes_to_the_flows_url(a_world) -> None:
    flows = {FLOW: {"url": "https://flows.example.com/a"}}
    async with a_world(flows=flows) as world:
        parent = await conversation(world)
        await say(world, parent, "first")
        _, made = await world.call("POST", f"{parent['url']}/Webhooks", STUDIO | {REPLAY: "0"})
        assert made["configuration"] == {"flow_sid": FLOW, "replay_after": 0}
        async with world.runtime.db.begin() as tx:
            urls = await tx.sql.fetch(
                "SELECT url FROM outbox WHERE conversation_sid = $1", parent["sid"]
            )
    assert [row["url"] for row in urls] == ["https://flows.example.com/a"]
