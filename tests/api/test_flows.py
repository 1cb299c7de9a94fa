"""Flows, their revisions and executions, by the official client and by hand."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from twilio.base.exceptions import TwilioRestException

from app.api.studio_routes import studio_routes
from app.store import flows

from .conftest import OURS, World

T = TypeVar("T")
BOTS = json.loads((Path(__file__).parents[2] / "config" / "flows" / "bots.json").read_text())
BROKEN = {**BOTS, "initial_state": "Nowhere"}
MARIA = "+15551230001"
WAITS = """
SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'
  AND datname = current_database()
"""


FLOW, EXECUTION = "/Flows/{}", "/Flows/{}/Executions/{}"
OPERATIONS = (
    ("GET", "/Flows", "", 200),
    ("POST", "/Flows", "FriendlyName! Status! Definition! CommitMessage", 201),
    ("POST", "/Flows/Validate", "FriendlyName! Status! Definition! CommitMessage", 200),
    ("GET", FLOW, "", 200),
    ("POST", FLOW, "Status! FriendlyName Definition CommitMessage", 200),
    ("DELETE", FLOW, "", 204),
    ("GET", f"{FLOW}/Revisions", "", 200),
    ("GET", f"{FLOW}/Revisions/{{}}", "", 200),
    ("GET", f"{FLOW}/TestUsers", "", 200),
    ("POST", f"{FLOW}/TestUsers", "TestUsers!", 200),
    ("GET", f"{FLOW}/Executions", "Status DateCreatedFrom DateCreatedTo", 200),
    ("POST", f"{FLOW}/Executions", "To! From! Parameters", 201),
    ("GET", EXECUTION, "", 200),
    ("POST", EXECUTION, "Status!", 200),
    ("DELETE", EXECUTION, "", 204),
    ("GET", f"{EXECUTION}/Context", "", 200),
    ("GET", f"{EXECUTION}/Steps", "", 200),
    ("GET", f"{EXECUTION}/Steps/{{}}", "", 200),
    ("GET", f"{EXECUTION}/Steps/{{}}/Context", "", 200),
)
"""The contract: method, path, parameters (`!`: must be sent), what is answered."""


def test_the_operations_are_those_of_the_contract() -> None:
    here = {
        (
            route.method,
            re.sub(r"{\w+}", "{}", route.path),
            frozenset(one.name + "!" * one.required for one in route.verb.parameters),
            route.status,
        )
        for route in studio_routes()
    }
    assert here == {
        (method, path, frozenset(names.split()), status)
        for method, path, names, status in OPERATIONS
    }


async def ask(world: World, question: Callable[[Any], T]) -> T:
    """Ask the official client of Studio (it blocks)."""
    client = world.client
    client.studio.base_url = world.base
    return await asyncio.to_thread(question, client.studio.v2)


async def a_flow(world: World, definition: Any = None, status: str = "published") -> Any:
    given = definition or BOTS
    return await ask(world, lambda v2: v2.flows.create("a flow", status, given))


async def refused(world: World, question: Callable[[Any], Any]) -> TwilioRestException:
    with pytest.raises(TwilioRestException) as said:
        await ask(world, question)
    return said.value


def requested() -> Any:
    """The documented flow, begun by REST."""
    definition = json.loads(json.dumps(BOTS))
    for one in definition["states"][0]["transitions"]:
        if one["event"] == "incomingRequest":
            one["next"] = "send_and_reply_1"
    return definition


async def test_a_flow_is_made_read_revised_and_deleted(world: World) -> None:
    made = await a_flow(world)
    assert (made.status, made.revision, made.valid, made.errors) == ("published", 1, True, [])
    assert made.definition == BOTS
    found = await ask(world, lambda v2: v2.flows(made.sid).fetch())
    assert (found.friendly_name, found.url, found.date_created) == (
        "a flow",
        made.url,
        made.date_created,
    )
    draft = await ask(
        world, lambda v2: v2.flows(made.sid).update("draft", commit_message="a thought")
    )
    assert (draft.revision, draft.status, draft.commit_message) == (2, "draft", "a thought")
    assert draft.definition == BOTS
    assert await ask(world, lambda v2: v2.flows(made.sid).delete())
    assert (await refused(world, lambda v2: v2.flows(made.sid).fetch())).status == 404


async def test_flows_and_revisions_are_listed_page_by_page(world: World) -> None:
    sids = [(await a_flow(world)).sid for _ in range(3)]
    listed = await ask(world, lambda v2: v2.flows.list(page_size=2))
    assert [one.sid for one in listed] == sids
    assert {(one.definition, one.valid) for one in listed} == {(None, None)}
    for name in ("one", "two"):
        await ask(world, lambda v2, name=name: v2.flows(sids[0]).update("draft", name))
    revisions = await ask(world, lambda v2: v2.flows(sids[0]).revisions.list(page_size=2))
    assert [(one.revision, one.friendly_name) for one in revisions] == [
        (3, "two"),
        (2, "one"),
        (1, "a flow"),
    ]
    for named, number in (("1", 1), ("LatestRevision", 3), ("LatestPublished", 1)):
        found = await ask(world, lambda v2, named=named: v2.flows(sids[0]).revisions(named).fetch())
        assert (found.revision, found.definition) == (number, BOTS)
    gone = await refused(world, lambda v2: v2.flows(sids[0]).revisions("9").fetch())
    assert (gone.status, gone.code) == (404, 20404)


async def test_what_is_wrong_is_kept_as_a_draft_and_never_published(world: World) -> None:
    draft = await a_flow(world, BROKEN, "draft")
    assert (draft.valid, bool(draft.errors)) == (False, True)
    said = await refused(world, lambda v2: v2.flows(draft.sid).update("published"))
    assert (said.status, said.code) == (400, 20422)
    [wrong] = said.details["errors"]
    assert wrong["line"] >= 1
    assert wrong["property_path"].startswith("#/")
    said = await refused(world, lambda v2: v2.flows.create("x", "published", BROKEN))
    assert said.code == 20422
    said = await refused(world, lambda v2: v2.flow_validate.update("x", "draft", BROKEN))
    assert said.details["errors"]
    fine = await ask(world, lambda v2: v2.flow_validate.update("x", "draft", BOTS))
    assert fine.valid


@pytest.mark.parametrize("sent", [{}, {"Definition": "{}"}])
async def test_a_definition_is_checked_while_nothing_is_locked(
    world: World, sent: dict[str, str]
) -> None:
    """It takes seconds where it is long: whoever has the flow's row is not waited for."""
    draft = await a_flow(world, BROKEN, "draft")
    path = f"/v2/Flows/{draft.sid}"
    async with world.runtime.db.begin() as tx, asyncio.timeout(20):
        assert await flows.find(tx, world.account_sid, draft.sid, lock=True) is not None
        status, said = await world.call("POST", path, {"Status": "published", **sent})
    assert (status, said["code"]) == (400, 20422)
    status, said = await world.call("POST", path[:-4] + "0000", {"Status": "published", **sent})
    assert (status, said["code"]) == (404, 20404)


async def waits(world: World) -> bool:
    """Whether somebody waits for a lock; a transaction would see that as it was at first."""
    async with world.runtime.db.read() as tx:
        return bool(await tx.sql.fetchval(WAITS))


async def test_what_was_revised_while_the_latest_was_checked_is_checked_again(
    world: World,
) -> None:
    made = await a_flow(world)
    path = f"/v2/Flows/{made.sid}"
    async with asyncio.timeout(20), asyncio.TaskGroup() as group, world.runtime.db.begin() as tx:
        flow = await flows.find(tx, world.account_sid, made.sid, lock=True)
        assert flow is not None
        flows.advanced(flow, "draft")
        await flows.revise(tx, flow, json.dumps(BROKEN))
        publishing = group.create_task(world.call("POST", path, {"Status": "published"}))
        while not await waits(world):
            await asyncio.sleep(0.02)
    status, said = publishing.result()
    assert (status, said["code"]) == (400, 20422)


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"Status": "published", "Definition": "{}"}, 20001),
        ({"FriendlyName": "x", "Definition": "{}"}, 20001),
        ({"FriendlyName": "x", "Status": "published"}, 20001),
        ({"FriendlyName": "x", "Status": "other", "Definition": "{}"}, 20001),
        ({"FriendlyName": "x", "Status": "draft", "Definition": "[]"}, 20001),
        ({"FriendlyName": "x", "Status": "draft", "Definition": "{"}, 20001),
        ({"FriendlyName": "x" * 256, "Status": "draft", "Definition": "{}"}, 20001),
        ({"FriendlyName": "x", "Status": "published", "Definition": "{}"}, 20422),
    ],
)
async def test_what_a_flow_is_refused_for(world: World, form: dict[str, str], code: int) -> None:
    status, said = await world.call("POST", "/v2/Flows", form)
    assert (status, said["code"]) == (400, code)


async def test_flows_are_the_accounts(world: World, a_world: Any) -> None:
    made = await a_flow(world)
    async with a_world() as other:
        for method, path in (
            ("GET", ""),
            ("POST", ""),
            ("DELETE", ""),
            ("GET", "/Revisions"),
            ("GET", "/Executions"),
            ("GET", "/TestUsers"),
        ):
            form = {"Status": "draft"} if method == "POST" else None
            status, said = await other.call(method, f"/v2/Flows/{made.sid}{path}", form)
            assert (status, said["code"]) == (404, 20404)
    for sid in ("FW", "x", "FW" + "0" * 32, made.sid + "0"):
        assert (await world.call("GET", f"/v2/Flows/{sid}"))[0] == 404


async def test_test_users_are_named(world: World) -> None:
    made = await a_flow(world)
    said = await ask(world, lambda v2: v2.flows(made.sid).test_users().update([MARIA, "ann"]))
    assert said.test_users == [MARIA, "ann"]
    said = await ask(world, lambda v2: v2.flows(made.sid).test_users().fetch())
    assert said.test_users == [MARIA, "ann"]


async def test_an_execution_is_started_read_ended_and_deleted(world: World) -> None:
    flow = await a_flow(world, requested())
    runs = lambda v2: v2.flows(flow.sid).executions  # noqa: E731
    made = await ask(world, lambda v2: runs(v2).create(MARIA, OURS, parameters={"name": "Ann"}))
    assert (made.status, made.contact_channel_address, made.flow_version) == ("active", MARIA, 1)
    assert made.context["flow"]["data"] == {"name": "Ann"}
    assert made.contact_sid.startswith("FC")
    found = await ask(world, lambda v2: runs(v2)(made.sid).fetch())
    assert (found.url, found.context) == (made.url, made.context)
    context = await ask(world, lambda v2: runs(v2)(made.sid).execution_context().fetch())
    assert context.context == made.context
    [step] = await ask(world, lambda v2: runs(v2)(made.sid).steps.list())
    assert (step.transitioned_from, step.name, step.transitioned_to, step.type) == (
        "Trigger",
        "incomingRequest",
        "send_and_reply_1",
        "trigger",
    )
    steps = lambda v2: runs(v2)(made.sid).steps  # noqa: E731
    assert (await ask(world, lambda v2: steps(v2)(step.sid).fetch())).url == step.url
    of_step = await ask(world, lambda v2: steps(v2)(step.sid).step_context().fetch())
    assert of_step.context == step.context
    ended = await ask(world, lambda v2: runs(v2)(made.sid).update("ended"))
    assert ended.status == "ended"
    assert await ask(world, lambda v2: runs(v2)(made.sid).delete())
    assert (await refused(world, lambda v2: runs(v2)(made.sid).fetch())).status == 404


async def test_it_runs_where_the_pair_is_and_once(world: World) -> None:
    flow = await a_flow(world, requested())
    runs = lambda v2: v2.flows(flow.sid).executions  # noqa: E731
    made = await ask(world, lambda v2: runs(v2).create(MARIA, OURS))
    listed = await world.api(lambda v1: v1.conversations.list())
    [conversation] = listed
    [person] = await world.api(lambda v1: v1.conversations(conversation.sid).participants.list())
    assert person.messaging_binding["address"] == MARIA
    [hook] = await world.api(lambda v1: v1.conversations(conversation.sid).webhooks.list())
    assert (hook.target, hook.configuration["flow_sid"]) == ("studio", flow.sid)
    said = await refused(world, lambda v2: runs(v2).create(MARIA, OURS))
    assert (said.status, said.code, said.details["execution_sid"]) == (409, 20409, made.sid)
    await ask(world, lambda v2: runs(v2)(made.sid).update("ended"))
    again = await ask(world, lambda v2: runs(v2).create(MARIA, OURS))
    assert len(await world.api(lambda v1: v1.conversations.list())) == 1
    every = await ask(world, lambda v2: runs(v2).list(page_size=1))
    assert [one.sid for one in every] == [again.sid, made.sid]
    active = await ask(world, lambda v2: runs(v2).list(status="active"))
    assert [one.sid for one in active] == [again.sid]
    later = await ask(world, lambda v2: runs(v2).list(date_created_from="2999-01-01T00:00:00Z"))
    assert later == []


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"To": MARIA}, 400),
        ({"From": OURS}, 400),
        ({"To": "nobody", "From": OURS}, 400),
        ({"To": MARIA, "From": "+15550000000"}, 400),
        ({"To": MARIA, "From": OURS, "Parameters": "[1]"}, 400),
        ({"To": MARIA, "From": OURS, "Parameters": "{"}, 400),
    ],
)
async def test_what_an_execution_is_refused_for(
    world: World, form: dict[str, str], status: int
) -> None:
    flow = await a_flow(world, requested())
    answered, said = await world.call("POST", f"/v2/Flows/{flow.sid}/Executions", form)
    assert answered in (status, 403), said
    assert await world.api(lambda v1: v1.conversations.list()) == []


@pytest.mark.parametrize(
    ("form", "parameter"),
    [
        ({"To": MARIA.replace("+", " "), "From": OURS}, "To"),
        ({"To": MARIA, "From": OURS.replace("+", " ")}, "From"),
    ],
)
async def test_a_refused_address_of_an_execution_is_named_as_it_was_sent(
    world: World, form: dict[str, str], parameter: str
) -> None:
    flow = await a_flow(world, requested())
    status, said = await world.call("POST", f"/v2/Flows/{flow.sid}/Executions", form)
    assert (status, said["details"]["parameter"]) == (400, parameter)
    assert "%2B" in said["details"]["reason"]


async def test_a_flow_of_drafts_alone_cannot_be_started(world: World) -> None:
    flow = await a_flow(world, requested(), "draft")
    said = await refused(world, lambda v2: v2.flows(flow.sid).executions.create(MARIA, OURS))
    assert (said.status, said.code) == (400, 20001)


async def test_an_execution_is_started_once_under_one_key(world: World) -> None:
    flow = await a_flow(world, requested())
    path, form = f"/v2/Flows/{flow.sid}/Executions", {"To": MARIA, "From": OURS}
    first, again = [
        await world.call("POST", path, form, headers={"Idempotency-Key": "one"}) for _ in range(2)
    ]
    assert first == again
    assert first[0] == 201
    assert len(await ask(world, lambda v2: v2.flows(flow.sid).executions.list())) == 1


async def test_it_runs_in_the_conversation_that_holds_the_pair(world: World) -> None:
    made = await world.api(lambda v1: v1.conversations.create())
    people = lambda v1: v1.conversations(made.sid).participants  # noqa: E731
    pair = {"messaging_binding_address": MARIA, "messaging_binding_proxy_address": OURS}
    await world.api(lambda v1: people(v1).create(**pair))
    flow = await a_flow(world, requested())
    await ask(world, lambda v2: v2.flows(flow.sid).executions.create(MARIA, OURS))
    [hook] = await world.api(lambda v1: v1.conversations(made.sid).webhooks.list())
    assert hook.configuration == {"flow_sid": flow.sid}
    async with world.runtime.db.begin() as tx:
        where = await tx.sql.fetchval(
            "SELECT conversation_sid FROM executions WHERE flow_sid = $1", flow.sid
        )
    assert where == made.sid
