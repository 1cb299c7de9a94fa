"""Content templates over REST, with the official client: made, listed, changed, submitted."""

from __future__ import annotations

from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client
from twilio.rest.content.v1.content import ContentList
from twilio.rest.content.v1.content.approval_create import ApprovalCreateList

from app.store.declared import declare

from .conftest import TOKEN, World, a_settings

HI = {"language": "en", "types": {"twilio/text": {"body": "Hi {{1}}, welcome."}}}
APPROVAL = {
    "name": "",
    "category": "",
    "content_type": "",
    "status": "unsubmitted",
    "rejection_reason": "",
    "allow_category_change": True,
}


def client(world: World) -> Any:
    made = Client(world.account_sid, TOKEN)
    made.content.base_url = world.base
    return made.content.v1


async def made(world: World, **more: Any) -> dict[str, Any]:
    status, content = await world.call("POST", "/v1/Content", json={**HI, **more})
    assert status == 201, content
    return dict(content)


async def refused(world: World, method: str, path: str, sent: Any) -> tuple[int, int, str]:
    status, body = await world.call(method, path, json=sent)
    return status, body["code"], body["message"]


async def test_a_template_is_made_fetched_changed_and_deleted_by_the_official_client(
    world: World,
) -> None:
    request = ContentList.ContentCreateRequest(
        {
            "friendly_name": "flight_replies",
            "language": "en",
            "variables": {"1": "name"},
            "types": ContentList.Types(
                {
                    "twilio/text": ContentList.TwilioText({"body": "Hi {{ 1 }}."}),
                    "twilio/quick-reply": ContentList.TwilioQuickReply(
                        {
                            "body": "Hi {{ 1 }}. How can I help?",
                            "actions": [
                                ContentList.QuickReplyAction({"title": "Status", "id": "one"})
                            ],
                        }
                    ),
                }
            ),
        }
    )
    v1 = client(world)
    content = await world.api(lambda _: v1.contents.create(request))
    assert content.sid.startswith("HX")
    assert content.url == f"{world.base}/v1/Content/{content.sid}"
    assert content.links == {
        "approval_create": f"{content.url}/ApprovalRequests/whatsapp",
        "approval_fetch": f"{content.url}/ApprovalRequests",
    }
    fetched = await world.api(lambda _: v1.contents(content.sid).fetch())
    assert (fetched.friendly_name, fetched.language) == ("flight_replies", "en")
    assert fetched.variables == {"1": "name"}
    assert fetched.types == {
        "twilio/text": {"body": "Hi {{ 1 }}."},
        "twilio/quick-reply": {
            "body": "Hi {{ 1 }}. How can I help?",
            "actions": [{"title": "Status", "id": "one"}],
        },
    }
    update = ContentList.ContentUpdateRequest(
        {"types": ContentList.Types({"twilio/text": ContentList.TwilioText({"body": "Bye"})})}
    )
    changed = await world.api(lambda _: v1.contents(content.sid).update(update))
    assert changed.types == {"twilio/text": {"body": "Bye"}}
    assert (changed.friendly_name, changed.variables) == ("flight_replies", {"1": "name"})
    assert await world.api(lambda _: v1.contents(content.sid).delete())
    with pytest.raises(TwilioRestException) as gone:
        await world.api(lambda _: v1.contents(content.sid).fetch())
    assert (gone.value.status, gone.value.code) == (404, 20404)


async def test_templates_are_listed_in_pages_in_the_order_in_which_they_were_made(
    world: World,
) -> None:
    sids = [(await made(world))["sid"] for _ in range(5)]
    v1 = client(world)
    listed = await world.api(lambda _: v1.contents.list(page_size=2))
    assert [one.sid for one in listed] == sids
    approved = await world.api(lambda _: v1.content_and_approvals.list(page_size=2))
    assert [one.sid for one in approved] == sids
    assert [one.approval_requests for one in approved] == [APPROVAL] * 5
    assert await world.api(lambda _: v1.legacy_contents.list()) == []


async def test_a_template_is_submitted_and_what_became_of_it_is_shown(world: World) -> None:
    sid = (await made(world))["sid"]
    one = client(world).contents(sid)
    before = await world.api(lambda _: one.approval_fetch().fetch())
    assert before.whatsapp == {"type": "whatsapp", **APPROVAL}
    request = ApprovalCreateList.ContentApprovalRequest({"name": "hi_2", "category": "UTILITY"})
    asked = await world.api(lambda _: one.approval_create.create(request))
    assert (asked.name, asked.category, asked.status) == ("hi_2", "UTILITY", "received")
    assert asked.content_type == "twilio/text"
    path = f"/v1/Content/{sid}/ApprovalRequests"
    again = {"name": "hi_2", "category": "UTILITY"}
    assert (await refused(world, "POST", f"{path}/whatsapp", again))[:2] == (409, 20409)
    decided = {**again, "status": "rejected", "rejection_reason": "too short"}
    assert (await world.call("POST", f"{path}/whatsapp", json=decided))[0] == 201
    _, shown = await world.call("GET", path)
    assert shown["whatsapp"]["status"] == "rejected"
    assert shown["whatsapp"]["rejection_reason"] == "too short"
    assert (await world.call("POST", f"{path}/whatsapp", json=again))[1]["status"] == "received"


async def test_what_whatsapp_would_refuse_is_rejected_at_once(world: World) -> None:
    sid = (await made(world, types={"twilio/text": {"body": "{{1}} hi"}}))["sid"]
    path = f"/v1/Content/{sid}/ApprovalRequests/whatsapp"
    status, body = await world.call("POST", path, json={"name": "hi", "category": "MARKETING"})
    assert (status, body["status"]) == (201, "rejected")
    assert body["rejection_reason"] == "the text begins or ends with a variable"


async def test_other_words_are_to_be_approved_again_and_another_name_is_not(world: World) -> None:
    sid = (await made(world))["sid"]
    path = f"/v1/Content/{sid}"
    approved = {"name": "hi", "category": "UTILITY", "status": "approved"}
    await world.call("POST", f"{path}/ApprovalRequests/whatsapp", json=approved)
    await world.call("PUT", path, json={"types": HI["types"], "friendly_name": "b"})
    _, shown = await world.call("GET", f"{path}/ApprovalRequests")
    assert shown["whatsapp"]["status"] == "approved"
    await world.call("PUT", path, json={"types": {"twilio/text": {"body": "Other."}}})
    _, shown = await world.call("GET", f"{path}/ApprovalRequests")
    assert shown["whatsapp"]["status"] == "unsubmitted"


WRONG: list[tuple[str, Any, int, str]] = [
    ("no language", {"types": HI["types"]}, 92003, "language"),
    ("a bad language", {**HI, "language": "english"}, 92004, "language"),
    ("no types", {"language": "en"}, 92001, "types"),
    ("empty types", {**HI, "types": {}}, 92001, "types"),
    ("a type that is none", {**HI, "types": {"twilio/pigeon": {}}}, 92008, "pigeon"),
    ("too long", {**HI, "types": {"twilio/text": {"body": "x" * 1601}}}, 20001, "twilio/text.body"),
    ("bad variables", {**HI, "variables": {"1": 1}}, 92007, "variables.1"),
    ("variables that are a list", {**HI, "variables": []}, 92007, "variables"),
    ("too many", {**HI, "variables": {str(n): "" for n in range(101)}}, 92002, "100"),
    ("a name that is none", {**HI, "friendly_name": 5}, 20001, "Invalid friendly_name"),
    ("a name too long", {**HI, "friendly_name": "x" * 257}, 20001, "Invalid friendly_name"),
    ("carriers", {**HI, "carriers": {"twilio": "HX1"}}, 20001, "Invalid carriers"),
    ("a list", [], 20001, "Invalid body"),
]


@pytest.mark.parametrize(
    ("sent", "code", "said"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG]
)
async def test_what_is_wrong_is_named(world: World, sent: Any, code: int, said: str) -> None:
    status, got, message = await refused(world, "POST", "/v1/Content", sent)
    assert (status, got, said in message) == (400, code, True), message


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({}, "Missing required parameter name"),
        ({"name": "Hi There", "category": "UTILITY"}, "Invalid name"),
        ({"name": "hi", "category": "FUN"}, "Invalid category"),
        ({"name": "hi", "category": ["UTILITY"]}, "Invalid category"),
        ({"name": "hi", "category": "UTILITY", "status": "maybe"}, "Invalid status"),
        ({"name": "hi", "category": "UTILITY", "allow_category_change": 1}, "Invalid allow"),
    ],
)
async def test_what_is_wrong_with_a_submission_is_named(world: World, sent: Any, said: str) -> None:
    path = f"/v1/Content/{(await made(world))['sid']}/ApprovalRequests/whatsapp"
    status, code, message = await refused(world, "POST", path, sent)
    assert (status, code) == (400, 20001)
    assert said in message


async def test_a_body_that_is_no_json_is_refused(world: World) -> None:
    for body, kind in ((b"{", "application/json"), (b"a=b", "application/x-www-form-urlencoded")):
        headers = {"Content-Type": kind}
        status, said = await world.call("POST", "/v1/Content", body, headers=headers)
        assert (status, said["code"]) == (400, 20001)
    deep = b'{"types":' + b"[" * 5000 + b"]" * 5000 + b"}"
    headers = {"Content-Type": "application/json"}
    status, said = await world.call("POST", "/v1/Content", deep, headers=headers)
    assert (status, said["code"]) == (400, 20001)


async def test_a_create_with_an_idempotency_key_is_done_once(world: World) -> None:
    headers = {"Idempotency-Key": "one"}
    first = await world.call("POST", "/v1/Content", json=HI, headers=headers)
    assert await world.call("POST", "/v1/Content", json=HI, headers=headers) == first
    _, listed = await world.call("GET", "/v1/Content")
    assert len(listed["contents"]) == 1


async def test_an_account_sees_only_its_own_templates(world: World, a_world: Any) -> None:
    async with a_world() as other:
        sid = (await made(other))["sid"]
        for method, path in (
            ("GET", ""),
            ("PUT", ""),
            ("DELETE", ""),
            ("GET", "/ApprovalRequests"),
        ):
            sent = HI if method == "PUT" else None
            status, body = await world.call(method, f"/v1/Content/{sid}{path}", json=sent)
            assert (status, body["code"]) == (404, 20404)
        _, listed = await world.call("GET", "/v1/Content")
        assert listed["contents"] == []


async def test_what_the_file_declares_can_be_read_and_not_changed(a_world: Any) -> None:
    approved = {"status": "approved"}
    contents = {"hi": {**HI, "variables": {"1": "you"}, "approval": approved}}
    async with a_world(contents=contents) as world:
        async with world.runtime.db.begin() as tx:
            await declare(tx, world.runtime.settings)
        _, listed = await world.call("GET", "/v1/ContentAndApprovals")
        [content] = listed["contents"]
        assert (content["friendly_name"], content["variables"]) == ("hi", {"1": "you"})
        assert content["approval_requests"]["status"] == "approved"
        path = f"/v1/Content/{content['sid']}"
        for method, below, sent, place in (
            ("PUT", "", {"types": HI["types"]}, "contents.hi"),
            ("DELETE", "", None, "contents.hi"),
            (
                "POST",
                "/ApprovalRequests/whatsapp",
                {"name": "x", "category": "UTILITY"},
                "contents.hi.approval",
            ),
        ):
            status, body = await world.call(method, path + below, json=sent)
            assert (status, body["details"]) == (409, {"declared_as": place})


def test_templates_of_the_file_belong_to_accounts() -> None:
    sid = "AC" + "3" * 32
    settings = a_settings(
        accounts=[{"sid": sid, "auth_token": "t"}],
        contents={"one": HI, "two": {**HI, "account": sid}},
    )
    assert list(settings.of(sid).contents) == ["two"]
    assert list(settings.of(settings.account.sid).contents) == ["one"]
