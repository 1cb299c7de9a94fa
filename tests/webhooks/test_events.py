"""Events as values: where they come from, who hears of them, what is left out of them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from app.model import Conversation, Message, Participant, Receipt, User
from app.model.traffic import Inbound
from app.settings.models import Settings
from app.store.webhooks import Roster, Target
from app.webhooks import events, origin
from app.webhooks.enriched import enrich
from app.webhooks.origin import FLOW, QUIET_REST, REST, TIMER, Origin
from app.webhooks.tell import items
from tests.support.settings import ACCOUNT, settings

AT = datetime(2021, 8, 10, 18, 0, 58, 111_999, tzinfo=UTC)
OWNED = {"account_sid": ACCOUNT, "chat_service_sid": "IS1", "date_created": AT, "date_updated": AT}
WITHIN = OWNED | {"conversation_sid": "CH1"}
CONVERSATION = Conversation(sid="CH1", active_at=AT, state_at=AT, **OWNED)
MESSAGE = Message(sid="IM1", index=3, author="dave", **WITHIN)
PARTICIPANT = Participant(sid="MB1", identity="dave", **WITHIN)
USER = User(sid="US1", identity="dave", **OWNED)
RECEIPT = Receipt(
    sid="DY1",
    message_sid="IM1",
    participant_sid="MB1",
    channel="mms",
    address="+15551230001",
    proxy_address="+15005550006",
    carrier="lab",
    **WITHIN,
)
SDK = origin.sdk("dave")

BUILT = [
    events.conversation_added(CONVERSATION, SDK),
    events.conversation_updated(CONVERSATION, SDK),
    events.conversation_removed(CONVERSATION, SDK, AT),
    events.conversation_state_updated(CONVERSATION, SDK, "closed", "API", AT),
    events.message_added(CONVERSATION, MESSAGE, [], SDK),
    events.message_updated(CONVERSATION, MESSAGE, [], SDK),
    events.message_removed(CONVERSATION, MESSAGE, [], SDK, AT),
    events.participant_added(PARTICIPANT, SDK),
    events.participant_updated(PARTICIPANT, SDK),
    events.participant_removed(PARTICIPANT, SDK, AT),
    events.user_added(USER, SDK),
    events.user_updated(USER, SDK),
]


@pytest.mark.parametrize("event", BUILT, ids=lambda event: event.name)
def test_what_an_sdk_did_names_its_user(event: events.Event) -> None:
    assert (event.params["Source"], event.params["ClientIdentity"]) == ("SDK", "dave")
    assert (event.origin.kind, event.origin.quiet) == ("sdk", False)


@pytest.mark.parametrize("by", [REST, QUIET_REST, TIMER, FLOW, origin.carrier("sms")])
def test_nobody_else_has_a_client_identity(by: Origin) -> None:
    assert "ClientIdentity" not in events.user_added(USER, by).params


@pytest.mark.parametrize(
    ("made", "source", "kind"),
    [
        (REST, "API", "rest"),
        (QUIET_REST, "API", "rest"),
        (SDK, "SDK", "sdk"),
        (TIMER, "TIMER", "timer"),
        (FLOW, "API", "flow"),
        (origin.carrier("mms"), "SMS", "carrier"),
        (origin.carrier("whatsapp"), "WHATSAPP", "carrier"),
        (origin.carrier("messenger"), "MESSENGER", "carrier"),
        (origin.of("API"), "API", "rest"),
        (origin.of("SDK"), "SDK", "sdk"),
        (origin.of("SMS"), "SMS", "carrier"),
    ],
)
def test_an_origin_has_the_originals_word_and_ours(made: Origin, source: str, kind: str) -> None:
    assert (made.source, made.kind) == (source, kind)
    assert events.user_added(USER, made).params["Source"] == source


def test_what_comes_by_itself_is_told_aloud() -> None:
    assert QUIET_REST.quiet
    assert QUIET_REST.aloud == REST


def test_a_delivery_comes_from_its_channel() -> None:
    event = events.delivery_updated(RECEIPT, "sent", None, AT)
    assert (event.params["Source"], event.origin.kind) == ("SMS", "carrier")


def test_what_is_absent_is_left_out_and_moments_have_milliseconds() -> None:
    assert events.message_added(CONVERSATION, MESSAGE, [], REST).params == {
        "AccountSid": ACCOUNT,
        "ChatServiceSid": "IS1",
        "ConversationSid": "CH1",
        "EventType": "onMessageAdded",
        "Source": "API",
        "MessageSid": "IM1",
        "Index": "3",
        "DateCreated": "2021-08-10T18:00:58.111Z",
        "Author": "dave",
        "Attributes": "{}",
    }


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({}, {}),
        ({"online": False}, {"isOnline": "false"}),
        ({"online": True, "notifiable": True}, {"isOnline": "true", "isNotifiable": "true"}),
    ],
)
def test_reachability_is_said_where_it_is_known(known: Any, said: dict[str, str]) -> None:
    params = events.user_updated(USER, REST, **known).params
    assert {name: params[name] for name in params if name.startswith("is")} == said


def target(**changes: Any) -> Target:
    wanted = frozenset({"onMessageAdded", "onConversationUpdated"})
    return replace(Target("WH1", "scoped", "https://a.example.com", "POST", wanted), **changes)


def told(event: events.Event, *targets: Target, given: Settings | None = None) -> list[Any]:
    return items([event], {event.within: targets}, given or settings(), AT)


def test_a_quiet_event_is_for_those_with_echo() -> None:
    event = events.message_added(CONVERSATION, MESSAGE, [], QUIET_REST)
    assert told(event, target()) == []
    assert len(told(event, target(echo=True))) == 1
    assert told(event, target(echo=True, filters=frozenset())) == []
    assert len(told(replace(event, origin=REST), target(), target(echo=True))) == 2


@pytest.mark.parametrize(("switch", "count"), [("override", 1), ("both", 2)])
def test_the_accounts_webhook_gives_way_to_the_services(switch: str, count: int) -> None:
    both = target(sid="WH0", overridden=True), target()
    given = settings(webhooks={"service_webhooks": switch})
    event = events.message_added(CONVERSATION, MESSAGE, [], REST)
    assert [item["lane"] for item in told(event, *both, given=given)] == [
        f"h:{one.sid}:CH1" for one in both[-count:]
    ]


def test_each_target_has_the_words_that_it_wants() -> None:
    inbound = Inbound("lab", "SM" + "1" * 32, "sms", "+15551230001", "+15005550006")
    event = events.message_added(CONVERSATION, MESSAGE, [], origin.carrier("sms"), inbound=inbound)
    roster = Roster('[{"Sid":"MB1"}]', cut=True)
    wants = target(enriched=True, roster=roster)
    plain, rich, again = (item["params"] for item in told(event, target(), wants, wants))
    assert plain == event.params
    assert rich is again  # put into words once
    assert {name: rich[name] for name in rich if name not in plain} == {
        "Origin": "carrier",
        "From": "+15551230001",
        "To": "+15005550006",
        "ChannelMessageSid": "SM" + "1" * 32,
        "Roster": '[{"Sid":"MB1"}]',
        "RosterTruncated": "true",
    }


def test_a_carriers_own_kind_of_id_still_gives_a_channel_message_sid() -> None:
    message = Message(sid="IM" + "a" * 32, index=0, author="x", **WITHIN)
    inbound = Inbound("lab", "wamid.x", "whatsapp", "whatsapp:+1", "whatsapp:+2")
    event = events.message_added(CONVERSATION, message, [], REST, inbound=inbound)
    assert enrich(event, None, AT)["ChannelMessageSid"] == "WA" + "a" * 32


def test_other_events_are_enriched_with_their_origin_alone() -> None:
    event = events.conversation_updated(CONVERSATION, TIMER)
    roster = Roster(json.dumps([]), cut=False)
    assert enrich(event, roster, AT) == event.params | {"Origin": "timer"}


def test_a_flow_without_a_url_runs_here() -> None:
    event = events.message_added(CONVERSATION, MESSAGE, [], REST)
    lost, found = "FW" + "0" * 32, "FW" + "1" * 32
    given = settings(flows={found: {"url": "https://flows.example.com/x"}})
    both = [target(scope="studio", url=None, flow_sid=sid, retries_max=3) for sid in (lost, found)]
    assert [
        (item["kind"], item["url"], item["retries_max"]) for item in told(event, *both, given=given)
    ] == [
        ("flow", f"flow:{lost}", 3),
        ("hook", "https://flows.example.com/x", 3),
    ]


def test_a_flow_that_is_attached_twice_hears_a_message_once() -> None:
    event = events.message_added(CONVERSATION, MESSAGE, [], REST)
    twice = [
        target(scope="studio", url=None, flow_sid="FW" + "0" * 32, sid=sid)
        for sid in ("WH1", "WH2")
    ]
    assert len(told(event, *twice)) == 1


def test_flows_hear_neither_each_other_nor_what_is_no_message() -> None:
    here, elsewhere = "FW" + "0" * 32, "FW" + "1" * 32
    given = settings(flows={elsewhere: {"url": "https://flows.example.com/x"}})
    everything = frozenset({"onMessageAdded", "onConversationUpdated"})
    both = [
        target(scope="studio", url=None, flow_sid=sid, filters=everything)
        for sid in (here, elsewhere)
    ]
    said = events.message_added(CONVERSATION, MESSAGE, [], FLOW)
    assert told(said, *both, given=given) == []
    changed = events.conversation_updated(CONVERSATION, REST)
    assert [item["kind"] for item in told(changed, *both, given=given)] == ["hook"]
