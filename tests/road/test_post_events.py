"""Every post-event as it comes out of the whole house: its exact parameters ("Conversations
Webhooks", Post Action Webhooks request parameters), with what is optional and without it."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import get_args

import pytest

from app import ids
from app.carriers.sandbox_wire import Media
from app.model import PushBinding
from app.settings.types import PostEvent
from tests.support.customer import Hook
from tests.support.database import Reused
from tests.support.house import House, house
from tests.support.settings import ACCOUNT, SMS, WHATSAPP

MARIA, TOM = "+15551230001", "whatsapp:+15551230003"
PICTURE = Media(
    url="https://media.example.com/a", content_type="image/png", size=42056, filename="a.png"
)
EVERY = get_args(PostEvent)

COMMON = {"AccountSid", "ChatServiceSid", "EventType", "Source", "RetryCount"}
ADDRESSES = {"MessagingBinding.Address", "MessagingBinding.ProxyAddress"}
DATES = {"DateCreated", "DateUpdated"}
NAMES = {"FriendlyName", "UniqueName"}
CONVERSATION = {"ConversationSid", "Attributes", "MessagingServiceSid", "State", *DATES}
STATE = {"ConversationSid", "MessagingServiceSid", "StateFrom", "StateTo", "StateUpdated", "Reason"}
MESSAGE = {"ConversationSid", "MessageSid", "Index", "Author", "Attributes", "DateCreated"}
ADDED = MESSAGE | {"MessagingServiceSid"}
PARTICIPANT = {"ConversationSid", "ParticipantSid", "RoleSid", "Attributes", "DateCreated"}
PARTICIPANT |= {"MessagingBinding.Type"}
DELIVERY = {"ConversationSid", "MessageSid", "DeliveryReceiptSid", "ChannelMessageSid"}
DELIVERY |= {"ParticipantSid", "Status", *DATES}
USER = {"UserSid", "DateCreated", "Identity", "RoleSid", "Attributes"}

# event, case, the parameters besides those that all have, and some of their values.
TABLE: list[tuple[str, str, set[str], dict[str, str]]] = [
    ("onConversationAdded", "bare", CONVERSATION, {"Source": "API", "State": "active"}),
    ("onConversationAdded", "named", CONVERSATION | NAMES, {"Attributes": '{"vip": true}'}),
    (
        "onConversationAdded",
        "by text",
        CONVERSATION | ADDRESSES,
        {
            "Source": "SMS",
            "MessagingBinding.Address": MARIA,
            "MessagingBinding.ProxyAddress": SMS,
            "State": "active",
        },
    ),
    ("onConversationUpdated", "bare", CONVERSATION, {"Attributes": "{}"}),
    ("onConversationUpdated", "named", CONVERSATION | NAMES, {"FriendlyName": "Ä & b"}),
    ("onConversationRemoved", "bare", CONVERSATION | {"DateRemoved"}, {"State": "active"}),
    ("onConversationRemoved", "named", CONVERSATION | NAMES | {"DateRemoved"}, {}),
    (
        "onConversationStateUpdated",
        "by hand",
        STATE,
        {"StateFrom": "active", "StateTo": "inactive", "Reason": "API", "Source": "API"},
    ),
    (
        "onConversationStateUpdated",
        "by message",
        STATE,
        {"StateFrom": "inactive", "StateTo": "active", "Reason": "EVENT", "Source": "API"},
    ),
    ("onMessageAdded", "bare", ADDED | {"Body"}, {"Author": "system", "Index": "0"}),
    (
        "onMessageAdded",
        "by text",
        ADDED | {"Body", "ParticipantSid"},
        {"Source": "SMS", "Author": MARIA, "Body": "hi", "Index": "0"},
    ),
    (
        "onMessageAdded",
        "with media alone",
        ADDED | {"Media", "ParticipantSid"},
        {"Source": "WHATSAPP", "Author": TOM},
    ),
    ("onMessageUpdated", "bare", MESSAGE | {"Body", "DateUpdated"}, {"Body": "b"}),
    ("onMessageUpdated", "with media", MESSAGE | {"Media", "ParticipantSid", "DateUpdated"}, {}),
    ("onMessageRemoved", "bare", MESSAGE | {"Body", "DateUpdated", "DateRemoved"}, {}),
    (
        "onMessageRemoved",
        "with media",
        MESSAGE | {"Media", "ParticipantSid", "DateUpdated", "DateRemoved"},
        {},
    ),
    (
        "onParticipantAdded",
        "chat",
        PARTICIPANT | {"Identity"},
        {"Identity": "ann", "MessagingBinding.Type": "chat", "Source": "API"},
    ),
    (
        "onParticipantAdded",
        "sms",
        PARTICIPANT | ADDRESSES,
        {"MessagingBinding.Type": "sms", "Source": "SMS"},
    ),
    (
        "onParticipantAdded",
        "whatsapp",
        PARTICIPANT | ADDRESSES,
        {"MessagingBinding.Type": "whatsapp", "Source": "WHATSAPP"},
    ),
    (
        "onParticipantUpdated",
        "read",
        PARTICIPANT | {"Identity", "DateUpdated", "LastReadMessageIndex"},
        {"LastReadMessageIndex": "0"},
    ),
    ("onParticipantUpdated", "unread", PARTICIPANT | ADDRESSES | {"DateUpdated"}, {}),
    (
        "onParticipantUpdated",
        "projected",
        PARTICIPANT | {"Identity", "DateUpdated", "MessagingBinding.ProjectedAddress"},
        {"MessagingBinding.Type": "sms", "MessagingBinding.ProjectedAddress": SMS},
    ),
    (
        "onParticipantRemoved",
        "chat",
        PARTICIPANT | {"Identity", "DateUpdated", "DateRemoved"},
        {"Identity": "ann"},
    ),
    ("onParticipantRemoved", "sms", PARTICIPANT | ADDRESSES | {"DateUpdated", "DateRemoved"}, {}),
    ("onDeliveryUpdated", "sent", DELIVERY, {"Status": "sent", "Source": "SMS"}),
    ("onDeliveryUpdated", "delivered", DELIVERY, {"Status": "delivered"}),
    (
        "onDeliveryUpdated",
        "bounced",
        DELIVERY | {"ErrorCode"},
        {"Status": "undelivered", "ErrorCode": "30003"},
    ),
    ("onUserAdded", "with a participant", USER, {"Identity": "ann", "Source": "API"}),
    ("onUserAdded", "by a new identity", USER, {"Identity": "ann2"}),
    ("onUserAdded", "named", USER | {"FriendlyName"}, {"FriendlyName": "Bob"}),
    ("onUserUpdated", "hidden", USER | {"FriendlyName", "DateUpdated"}, {"FriendlyName": "B"}),
    (
        "onUserUpdated",
        "reachable",
        USER | {"FriendlyName", "DateUpdated", "isNotifiable"},
        {"isNotifiable": "true"},
    ),
]

MOMENT = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
PREFIXES = {
    "AccountSid": "AC",
    "ChatServiceSid": "IS",
    "ConversationSid": "CH",
    "MessagingServiceSid": "MG",
    "MessageSid": "IM",
    "ParticipantSid": "MB",
    "RoleSid": "RL",
    "UserSid": "US",
    "DeliveryReceiptSid": "DY",
}
WORDS = {
    "State": {"active", "inactive", "closed"},
    "Status": {"sent", "delivered", "read", "failed", "undelivered"},
    "MessagingBinding.Type": {"sms", "whatsapp", "chat"},
    "isOnline": {"true", "false"},
    "isNotifiable": {"true", "false"},
}
MEDIA_KEYS = {"Sid", "Filename", "ContentType", "Size"}


Told = dict[tuple[str, str], Hook]


class Tour:
    """Makes everything happen, one thing after the other, and keeps what was told of it."""

    def __init__(self, one: House) -> None:
        self.one = one
        self.hooks: Told = {}
        self._seen: Counter[str] = Counter()

    async def heard(self, event: str, case: str) -> None:
        """The next webhook of this event; it stands for the case."""
        seen = self._seen[event]
        await self.one.customer.until(lambda: len(self.one.customer.events(event)) > seen)
        self.hooks[event, case] = self.one.customer.events(event)[seen]
        self._seen[event] += 1

    async def run(self) -> None:
        """Everything."""
        for step in (self.conversations, self.messages, self.people, self.phones, self.users):
            await step()

    async def conversations(self) -> None:
        for case, form in (
            ("bare", {}),
            (
                "named",
                {"FriendlyName": "Ä & b", "UniqueName": "it", "Attributes": '{"vip": true}'},
            ),
        ):
            url = (await self.one.told("POST", "/v1/Conversations", 201, **form))["url"]
            await self.heard("onConversationAdded", case)
            await self.one.told("POST", url, 200, Timers_Inactive="P1D")
            await self.heard("onConversationUpdated", case)
            if case == "named":
                await self.one.told("POST", url, 200, State="inactive")
                await self.heard("onConversationUpdated", "again")
                await self.heard("onConversationStateUpdated", "by hand")
                await self.one.post(f"{url}/Messages", Body="nobody asked to be told of this")
                await self.heard("onConversationStateUpdated", "by message")
            await self.one.told("DELETE", url, 204)
            await self.heard("onConversationRemoved", case)

    async def messages(self) -> None:
        url = (await self.one.post("/v1/Conversations"))["url"]
        said = await self.one.told("POST", f"{url}/Messages", 201, Body="a")
        await self.heard("onMessageAdded", "bare")
        await self.one.told("POST", said["url"], 200, Body="b")
        await self.heard("onMessageUpdated", "bare")
        await self.one.told("DELETE", said["url"], 204)
        await self.heard("onMessageRemoved", "bare")

    async def people(self) -> None:
        url = (await self.one.post("/v1/Conversations"))["url"]
        await self.one.post(f"{url}/Messages", Body="a")
        ann = await self.one.told("POST", f"{url}/Participants", 201, Identity="ann")
        await self.heard("onUserAdded", "with a participant")
        await self.heard("onParticipantAdded", "chat")
        await self.one.told("POST", ann["url"], 200, LastReadMessageIndex="0")
        await self.heard("onParticipantUpdated", "read")
        await self.one.told("DELETE", ann["url"], 204)
        await self.heard("onParticipantRemoved", "chat")
        url = f"{url}/Participants"
        eve = await self.one.post(url, Identity="eve")
        async with self.one.service.runtime.db.begin() as tx:  # as members of number groups are
            masked = (
                "UPDATE participants SET projected_address = $2, identity = NULL WHERE sid = $1"
            )
            await tx.sql.execute(masked, eve["sid"], SMS)
        await self.one.told("POST", eve["url"], 200, Identity="ann2")
        await self.heard("onUserAdded", "by a new identity")
        await self.heard("onParticipantUpdated", "projected")

    async def phones(self) -> None:
        url = f"/v1/Conversations/{await self.one.conversation(MARIA)}"
        for event in ("onConversationAdded", "onParticipantAdded"):
            await self.heard(event, "by text" if event == "onConversationAdded" else "sms")
        await self.heard("onMessageAdded", "by text")
        await self.one.post(f"{url}/Messages", Body="yes")
        for status in ("sent", "delivered"):
            await self.heard("onDeliveryUpdated", status)
        self.one.world.behave(MARIA, bounce=30003)
        await self.one.post(f"{url}/Messages", Body="no")
        for case in ("sent again", "bounced"):
            await self.heard("onDeliveryUpdated", case)
        [maria] = (await self.one.get(f"{url}/Participants"))["participants"]
        await self.one.told("POST", maria["url"], 200, Attributes="{}")
        await self.heard("onParticipantUpdated", "unread")
        await self.one.told("DELETE", maria["url"], 204)
        await self.heard("onParticipantRemoved", "sms")
        await self.one.world.phone(TOM).text(WHATSAPP, media=[PICTURE])
        await self.heard("onConversationAdded", "by whatsapp")
        await self.heard("onParticipantAdded", "whatsapp")
        await self.heard("onMessageAdded", "with media alone")
        sid = self.hooks["onMessageAdded", "with media alone"].form["ConversationSid"]
        [said] = (await self.one.get(f"/v1/Conversations/{sid}/Messages"))["messages"]
        await self.one.told("POST", said["url"], 200, Attributes='{"seen": 1}')
        await self.heard("onMessageUpdated", "with media")
        await self.one.told("DELETE", said["url"], 204)
        await self.heard("onMessageRemoved", "with media")

    async def users(self) -> None:
        bob = await self.one.told("POST", "/v1/Users", 201, Identity="bob", FriendlyName="Bob")
        await self.heard("onUserAdded", "named")
        await self.one.told("POST", bob["url"], 200, FriendlyName="B")
        await self.heard("onUserUpdated", "hidden")
        service = bob["chat_service_sid"]
        await self.one.post(f"/v1/Services/{service}/Configuration", 200, ReachabilityEnabled="1")
        async with self.one.service.runtime.db.begin() as tx:
            dates = {"date_created": tx.now, "date_updated": tx.now}
            device = {"identity": "bob", "endpoint": "x", "binding_type": "fcm"}
            owner = {"account_sid": ACCOUNT, "chat_service_sid": service}
            await tx.add(PushBinding(sid=ids.new(ids.PUSH_BINDING), **device, **owner, **dates))
        await self.one.told("POST", bob["url"], 200, Attributes="{}")
        await self.heard("onUserUpdated", "reachable")


@pytest.fixture(scope="module", params=["POST", "GET"])
async def told(request: pytest.FixtureRequest, reused_database: Reused) -> Told:
    """What a customer that wants everything by this method was told, by event and case."""
    await reused_database.empty()
    webhooks = {"filters": list(EVERY), "method": request.param}
    async with house(reused_database.dsn, webhooks=webhooks) as one:
        tour = Tour(one)
        await tour.run()
        assert {hook.method for hook in one.customer.hooks} == {request.param}
        assert all(hook.signed for hook in one.customer.hooks)
    return tour.hooks


@pytest.mark.parametrize(
    ("event", "case", "params", "values"), TABLE, ids=[f"{row[0]} {row[1]}" for row in TABLE]
)
def test_an_event_has_its_parameters_and_no_other(
    told: Told, event: str, case: str, params: set[str], values: dict[str, str]
) -> None:
    form = told[event, case].form
    assert set(form) == COMMON | params
    assert form == form | values | {"EventType": event, "AccountSid": ACCOUNT, "RetryCount": "0"}


def test_the_table_has_every_event() -> None:
    assert {event for event, *_ in TABLE} == set(EVERY)


def test_every_value_has_its_form(told: Told) -> None:
    for hook in told.values():
        for name, value in hook.form.items():
            assert _well_formed(name, value), (hook.event, name, value)


def test_media_are_described_in_the_words_of_webhooks(told: Told) -> None:
    for event in ("onMessageUpdated", "onMessageRemoved"):
        [medium] = json.loads(told[event, "with media"].form["Media"])
        assert set(medium) == MEDIA_KEYS
        assert medium["Sid"].startswith("ME")
        described = (medium["Filename"], medium["ContentType"], medium["Size"])
        assert described == ("a.png", "image/png", 42056)


def _well_formed(name: str, value: str) -> bool:
    if name in PREFIXES:
        return ids.is_sid(value, PREFIXES[name])
    if name in WORDS:
        return value in WORDS[name]
    if name.startswith("Date") or name == "StateUpdated":
        return MOMENT.fullmatch(value) is not None
    if name in ("Index", "LastReadMessageIndex", "ErrorCode", "RetryCount"):
        return value.isdecimal()
    if name == "Attributes":
        return isinstance(json.loads(value), dict)
    return value != ""
