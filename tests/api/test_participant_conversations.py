"""In which conversations somebody is, through the official client, in both trees."""

from __future__ import annotations

import pytest

from .conftest import OURS, OURS_TOO

PERSON = "+15558675310"
KEYS = {
    *("account_sid", "chat_service_sid", "participant_sid", "participant_user_sid"),
    *("participant_identity", "participant_messaging_binding", "conversation_sid"),
    *("conversation_unique_name", "conversation_friendly_name", "conversation_attributes"),
    *("conversation_date_created", "conversation_date_updated", "conversation_created_by"),
    *("conversation_state", "conversation_timers", "links"),
}
PAIR = {"MessagingBinding.Address": PERSON, "MessagingBinding.ProxyAddress": OURS}
TWICE = (
    "One user identifier parameter for lookup at a time is allowed. Please, use either Identity or"
    " Address"
)
REFUSALS = [
    ({}, 20001, "Missing required parameter Identity or Address"),
    ({"Identity": "", "Address": ""}, 20001, "Missing required parameter Identity or Address"),
    ({"Identity": "ann", "Address": PERSON}, 50451, TWICE),
    ({"Address": "somebody"}, 20001, "Invalid Address"),
]


@pytest.fixture(params=["account", "service"])
def ask(request, world):
    return world.api if request.param == "account" else world.service


async def conversation(world, *joining: dict[str, str], tree: str = "/v1") -> dict[str, str]:
    _, made = await world.call("POST", f"{tree}/Conversations", {})
    for form in joining:
        status, _ = await world.call("POST", f"{made['url']}/Participants", form)
        assert status == 201
    return made


async def test_the_official_client_finds_them_by_identity_or_address(ask) -> None:
    sids = []
    for proxy in (OURS, OURS_TOO):
        made = await ask(lambda v1: v1.conversations.create())
        sids.append(made.sid)
        await ask(
            lambda v1, sid=made.sid: v1.conversations(sid).participants.create(identity="ann")
        )
        await ask(
            lambda v1, sid=made.sid, proxy=proxy: v1.conversations(sid).participants.create(
                messaging_binding_address=PERSON, messaging_binding_proxy_address=proxy
            )
        )
    for who in ({"identity": "ann"}, {"address": PERSON}):
        found = await ask(lambda v1, who=who: v1.participant_conversations.list(page_size=1, **who))
        assert [one.conversation_sid for one in found] == sorted(sids)
    assert await ask(lambda v1: v1.participant_conversations.list(identity="nobody")) == []


async def test_the_json_is_exactly_the_documented_one(world) -> None:
    for tree, service, proxy in (
        ("/v1", world.service_sid, OURS),
        (f"/v1/Services/{world.other_service_sid}", world.other_service_sid, OURS_TOO),
    ):
        pair = PAIR | {"MessagingBinding.ProxyAddress": proxy}
        parent = await conversation(world, {"Identity": "ann"}, pair, tree=tree)
        _, user = await world.call("GET", f"{tree}/Users/ann")
        path = f"{tree}/ParticipantConversations"
        _, page = await world.call("GET", path, params={"Identity": "ann"})
        [chat] = page["conversations"]
        assert set(chat) == KEYS
        assert page["meta"]["key"] == "conversations"
        assert page["meta"]["url"].endswith("?Identity=ann&PageSize=50&Page=0")
        assert (chat["chat_service_sid"], chat["participant_identity"]) == (service, "ann")
        assert (chat["participant_user_sid"], chat["participant_messaging_binding"]) == (
            user["sid"],
            None,
        )
        for name in (
            "friendly_name",
            "unique_name",
            "attributes",
            "date_created",
            "state",
            "timers",
        ):
            assert chat[f"conversation_{name}"] == parent[name]
        assert chat["conversation_created_by"] == "system"
        _, page = await world.call("GET", path, params={"Address": PERSON})
        [bound] = page["conversations"]
        assert set(bound) == KEYS
        assert (bound["participant_identity"], bound["participant_user_sid"]) == (None, None)
        assert bound["participant_messaging_binding"] == {
            "type": "sms",
            "address": PERSON,
            "proxy_address": proxy,
            "projected_address": None,
            "level": None,
            "name": None,
        }
        assert bound["links"] == {
            "participant": f"{parent['url']}/Participants/{bound['participant_sid']}",
            "conversation": parent["url"],
        }


async def test_every_refusal_has_its_code_and_text(world) -> None:
    for query, code, message in REFUSALS:
        status, body = await world.call("GET", "/v1/ParticipantConversations", params=query)
        assert (status, body["code"], body["message"]) == (400, code, message), query


async def test_pages_go_forth_and_back_through_conversations_and_participants(world) -> None:
    both = PAIR | {"MessagingBinding.ProxyAddress": OURS_TOO}
    made = [await conversation(world, PAIR, both)]
    await world.call("POST", made[0]["url"], {"State": "closed"})
    made.append(await conversation(world, PAIR, both))
    expected = sorted(one["sid"] for one in made for _ in range(2))
    url, forth, last = f"/v1/ParticipantConversations?Address=%2B{PERSON[1:]}&PageSize=1", [], None
    while url:
        _, last = await world.call("GET", url)
        forth += [
            (one["conversation_sid"], one["participant_sid"]) for one in last["conversations"]
        ]
        url = last["meta"]["next_page_url"]
    assert [sid for sid, _ in forth] == expected
    assert forth == sorted(set(forth))
    back, url = [], last["meta"]["previous_page_url"]
    while url:
        _, page = await world.call("GET", url)
        back += [(one["conversation_sid"], one["participant_sid"]) for one in page["conversations"]]
        url = page["meta"]["previous_page_url"]
    assert back == forth[-2::-1]
