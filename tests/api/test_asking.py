"""What the customer is asked before each change: the documented parameters of every pre-event,
through the official client, in both trees."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from twilio.rest import Client

from app import ids
from app.webhooks.proposals import PRE_EVENTS

from .asking import asked
from .conftest import OURS, TOKEN, Redirected

PERSON, PROXY = "+15558675310", OURS
MG = ids.new(ids.MESSAGING_SERVICE)
COMMON = {"AccountSid", "ChatServiceSid", "EventType", "Source", "RetryCount"}
CONVERSATION = COMMON | {"FriendlyName", "UniqueName", "Attributes", "DateCreated", "State"}
CONVERSATION |= {"MessagingServiceSid"}
OLD = {"ConversationSid", "DateUpdated"}
MESSAGE = COMMON | {"ConversationSid", "Body", "Author", "ParticipantSid", "Attributes"}
SENT = {"MessageSid", "Index", "DateCreated", "DateUpdated"}
PARTICIPANT = COMMON | {"ConversationSid", "RoleSid", "Attributes"}
JOINED = {"ParticipantSid", "DateCreated", "DateUpdated"}
CHAT = PARTICIPANT | {"Identity", "MessagingBinding.Type"}
EXTERNAL = PARTICIPANT | {
    *("MessagingBinding.Type", "MessagingBinding.Address", "MessagingBinding.ProxyAddress"),
}
USER = COMMON | {"UserSid", "Identity", "RoleSid", "Attributes", "FriendlyName"}
USER |= {"DateCreated", "DateUpdated"}

# The event, its parameters, and the values that say what is about to happen.
EXPECTED: list[tuple[str, set[str], dict[str, str]]] = [
    (
        "onConversationAdd",
        CONVERSATION,
        {"FriendlyName": "a", "State": "active", "UniqueName": "u"},
    ),
    ("onConversationUpdate", CONVERSATION | OLD, {"FriendlyName": "b", "State": "active"}),
    ("onParticipantAdd", CHAT, {"Identity": "ann", "Attributes": '{"a":1}'}),
    (
        "onParticipantAdd",
        EXTERNAL,
        {
            "MessagingBinding.Type": "sms",
            "MessagingBinding.Address": PERSON,
            "MessagingBinding.ProxyAddress": PROXY,
        },
    ),
    ("onParticipantUpdate", CHAT | JOINED, {"Identity": "ann", "Attributes": '{"a":2}'}),
    ("onParticipantUpdate", CHAT | JOINED, {"Identity": "ann", "Attributes": '{"a":2}'}),
    ("onUserUpdate", USER, {"Identity": "ann", "FriendlyName": "Ann", "Attributes": "{}"}),
    ("onMessageAdd", MESSAGE, {"Body": "hello", "Author": "ann", "Attributes": '{"m":1}'}),
    ("onMessageUpdate", MESSAGE | SENT, {"Body": "bye", "Author": "ann", "Index": "0"}),
    ("onMessageRemove", MESSAGE | SENT, {"Body": "bye", "Index": "0"}),
    ("onParticipantRemove", EXTERNAL | JOINED, {"MessagingBinding.Address": PERSON}),
    ("onParticipantRemove", CHAT | JOINED, {"Identity": "ann"}),
    ("onConversationRemove", CONVERSATION | OLD, {"FriendlyName": "b"}),
]


class Telling(Redirected):
    """The client's transport, which adds the header where the client (9.13) loses it: it takes it
    for deletes and does not send it, and has no place for it on a user's conversations."""

    on = "true"

    def request(self, method: str, url: str, **options: Any) -> Any:
        options["headers"].setdefault("X-Twilio-Webhook-Enabled", self.on)
        return super().request(method, url, **options)


def live(tree: Any, on: str) -> None:
    """One change of each kind by the official client, told or not."""
    told = {"x_twilio_webhook_enabled": on}
    made = tree.conversations.create(
        friendly_name="a", unique_name="u", messaging_service_sid=MG, attributes="{}", **told
    )
    one = tree.conversations(made.sid)
    one.update(friendly_name="b", **told)
    ann = one.participants.create(identity="ann", attributes='{"a":1}', **told)
    pair = one.participants.create(
        messaging_binding_address=PERSON, messaging_binding_proxy_address=PROXY, **told
    )
    one.participants(ann.sid).update(attributes='{"a":2}', **told)
    # Its user's side of it is the same change of a participant.
    tree.users("ann").user_conversations(made.sid).update(notification_level="muted")
    tree.users("ann").update(friendly_name="Ann", **told)
    said = one.messages.create(body="hello", author="ann", attributes='{"m":1}', **told)
    one.messages(said.sid).update(body="bye", **told)
    one.messages(said.sid).delete(**told)
    one.participants(pair.sid).delete(**told)
    one.participants(ann.sid).delete(**told)
    one.delete(**told)


@pytest.mark.parametrize("tree", ["account", "service"])
@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_every_change_is_asked_about_in_the_documented_words(
    world, tree: str, method: str
) -> None:
    async with asked(world, Method=method) as one:
        client = Client(world.account_sid, TOKEN, http_client=Telling(world.base))
        v1 = client.conversations.v1
        root = v1 if tree == "account" else v1.services(world.other_service_sid)
        await asyncio.to_thread(live, root, "true")
        hooks = one.customer.hooks
        assert [hook.event for hook in hooks] == [event for event, _, _ in EXPECTED]
        assert {hook.event for hook in hooks} == PRE_EVENTS
        service = world.service_sid if tree == "account" else world.other_service_sid
        for hook, (event, parameters, values) in zip(hooks, EXPECTED, strict=True):
            form = dict(hook.form)
            if method == "GET":
                assert form.pop("who") == "me"
            assert set(form) == parameters, event
            assert {key: form[key] for key in values} == values, event
            assert form["AccountSid"] == world.account_sid
            assert (form["Source"], form["RetryCount"]) == ("API", "0")
            assert form["ChatServiceSid"] == service
            assert (hook.method, hook.path, hook.signed) == (method, "/before", True)
        assert len({hook.token for hook in hooks}) == len(hooks)


@pytest.mark.parametrize("on", ["false", ""])
async def test_nobody_is_asked_without_the_header(world, on: str) -> None:
    async with asked(world) as one:
        await world.api(lambda root: live(root, on))
        assert one.customer.hooks == []


async def test_a_users_side_of_a_conversation_is_a_participants_change(world) -> None:
    async with asked(world) as one:
        made = await one.made("/v1/Conversations")
        await one.made(f"{made['url']}/Participants", {"Identity": "ann"})
        path = f"/v1/Users/ann/Conversations/{made['sid']}"
        assert (await one.change("POST", path, {"LastReadMessageIndex": "3"}))[0] == 200
        assert (await one.change("DELETE", path))[0] == 204
        assert [(hook.event, set(hook.form)) for hook in one.customer.hooks] == [
            ("onParticipantUpdate", CHAT | JOINED),
            ("onParticipantRemove", CHAT | JOINED),
        ]


async def test_what_is_not_set_is_not_sent(world) -> None:
    async with asked(world) as one:
        _, made = await one.change("POST", "/v1/Conversations")
        await one.change("POST", f"{made['url']}/Messages", {"Body": "x", "Author": "nobody"})
        added, said = one.customer.hooks
        assert set(added.form) == CONVERSATION - {
            *("FriendlyName", "UniqueName", "MessagingServiceSid")
        }
        assert set(said.form) == MESSAGE - {"ParticipantSid"}


async def test_a_refusal_of_ours_asks_nobody(world) -> None:
    async with asked(world) as one:
        made = await one.made("/v1/Conversations")
        closed = await one.made("/v1/Conversations")
        await world.call("POST", closed["url"], {"State": "closed"})
        for method, path, form, code in (
            ("POST", "/v1/Conversations", {"Attributes": "{"}, 50304),
            ("POST", made["url"], {}, 50347),
            ("POST", closed["url"], {"FriendlyName": "x"}, 50377),
            ("POST", f"{made['url']}/Messages", {}, 50503),
            ("POST", f"{closed['url']}/Messages", {"Body": "x"}, 50377),
            ("POST", f"{made['url']}/Participants", {"Identity": "system"}, 50203),
            ("POST", f"/v1/Conversations/{ids.new('CH')}/Messages", {"Body": "x"}, 20404),
            ("DELETE", f"{made['url']}/Messages/{ids.new('IM')}", None, 20404),
            ("POST", "/v1/Users/nobody", {"FriendlyName": "x"}, 20404),
        ):
            _, body = await one.change(method, path, form)
            assert body["code"] == code, path
        assert one.customer.hooks == []


async def test_only_events_in_the_filters_are_asked_about(world) -> None:
    async with asked(world) as one:
        await one.configure(Filters="onMessageAdd")
        _, made = await one.change("POST", "/v1/Conversations")
        await one.change("POST", f"{made['url']}/Messages", {"Body": "x"})
        assert [hook.event for hook in one.customer.hooks] == ["onMessageAdd"]
        await one.configure(Filters="")
        await one.change("POST", f"{made['url']}/Messages", {"Body": "x"})
        assert len(one.customer.hooks) == 1


async def test_a_services_webhooks_are_asked_instead_of_the_accounts(world) -> None:
    async with asked(world) as one:
        tree = f"/v1/Services/{world.other_service_sid}"
        path = f"{tree}/Configuration/Webhooks"

        async def paths() -> list[str]:
            one.customer.hooks.clear()
            assert (await one.change("POST", f"{tree}/Conversations"))[0] == 201
            return [hook.path for hook in one.customer.hooks]

        await one.configure(path, Filters="onConversationAdd")
        assert await paths() == ["/before"], "without a URL nothing is overridden"
        await one.configure(path, PreWebhookUrl=f"{one.customer.url}/mine")
        assert await paths() == ["/mine"]
        await one.configure(path, Filters="onMessageAdd")
        assert await paths() == [], "its filters count, not the account's"
        await one.configure(path, PreWebhookUrl="", PostWebhookUrl="https://example.com/after")
        assert await paths() == [], "only told afterwards, it overrides all the same"
        assert (await one.change("POST", "/v1/Conversations"))[0] == 201
        assert [hook.path for hook in one.customer.hooks] == ["/before"]


async def test_a_fragment_stays_here(world) -> None:
    async with asked(world) as one:
        await one.configure(PreWebhookUrl=f"{one.customer.url}/before#rc=2")
        assert (await one.change("POST", "/v1/Conversations"))[0] == 201
        assert [(hook.path, hook.signed) for hook in one.customer.hooks] == [("/before", True)]
