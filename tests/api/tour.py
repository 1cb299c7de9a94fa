"""A tour through every operation of the contract in a living world: each is called once, and its
answer must have the status and the keys that the contract says."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from app import ids
from app.model import PushBinding

from .contract import Operation, operations

PEOPLE = {"": "+15558675310", "/Services/{ChatServiceSid}": "+15558675311"}
OURS = "+15005550006"
BINDING_ADDRESS, BINDING_PROXY = "MessagingBinding.Address", "MessagingBinding.ProxyAddress"
IN = "/Conversations/{ConversationSid}"
EVENT_TYPE = "com.twilio.conversations.message.added"
NEWS = {"Target": "webhook", "Configuration.Url": "https://example.com/hook"}
NEWS |= {"Configuration.Filters": "onMessageAdded"}

FLOW = json.dumps(
    {
        "description": "",
        "initial_state": "Trigger",
        "states": [
            {
                "name": "Trigger",
                "type": "trigger",
                "transitions": [{"event": "incomingRequest", "next": "ask"}],
                "properties": {},
            },
            {
                "name": "ask",
                "type": "send-and-wait-for-reply",
                "transitions": [{"event": "incomingMessage"}, {"event": "timeout"}],
                "properties": {"body": "Hi", "timeout": "60"},
            },
        ],
        "flags": {},
    }
)

Form = Mapping[str, Any]


@dataclass
class Tour:
    """One tree of one world: `sids` are what the segments of a path stand for."""

    world: Any
    tree: str
    addresses: list[str]
    numbers: Any = field(default_factory=count)
    sids: dict[str, str] = field(default_factory=dict)

    def new(self) -> dict[str, Form]:
        """What to send to each path that creates."""
        name = f"n{next(self.numbers)}"
        return {
            "/Conversations": {"UniqueName": name, "Timers.Closed": "P7D"},
            f"{IN}/Messages": {"Body": "hello", "Author": "me"},
            f"{IN}/Participants": {"Identity": name},
            f"{IN}/Webhooks": NEWS,
            "/ConversationWithParticipants": {"Participant": json.dumps({"identity": name})},
            "/Roles": {"FriendlyName": name, "Type": "conversation", "Permission": "sendMessage"},
            "/Users": {"Identity": name},
            "/Services": {"FriendlyName": name},
            "/Credentials": {"Type": "fcm", "Secret": "s"},
            "/Configuration/Addresses": {"Type": "sms", "Address": (*self.addresses, "")[0]},
        }

    @property
    def changes(self) -> dict[str, Form]:
        """What to send to each path that changes."""
        return {
            "/Conversations/{Sid}": {"FriendlyName": "other"},
            f"{IN}/Messages/{{Sid}}": {"Body": "other"},
            f"{IN}/Participants/{{Sid}}": {"Attributes": '{"a": 1}'},
            f"{IN}/Webhooks/{{Sid}}": {"Configuration.Url": "https://example.com/other"},
            "/Roles/{Sid}": {"Permission": "sendMessage"},
            "/Users/{Sid}": {"FriendlyName": "other"},
            "/Users/{UserSid}/Conversations/{ConversationSid}": {"NotificationLevel": "muted"},
            "/Configuration/Notifications": {"LogEnabled": "true"},
            "/Configuration/Webhooks": {"PostWebhookUrl": "https://example.com/after"},
            "/Configuration": {"ReachabilityEnabled": "true"}
            if self.tree
            else {"DefaultClosedTimer": "P7D"},
            "/Configuration/Addresses/{Sid}": {"FriendlyName": "other"},
            "/Credentials/{Sid}": {"FriendlyName": "other"},
        }

    @property
    def questions(self) -> dict[str, Form]:
        """What a list cannot be asked without."""
        return {"/ParticipantConversations": {"Identity": "me"}}

    def path(self, operation: Operation, **sids: str) -> str:
        """The operation's path, leading to what is on the stage."""
        known = self.sids | {"Sid": self.sids.get(_of(operation.path), "")} | sids
        return "/v1" + operation.path.format(**known)

    async def create(self, operation: Operation) -> dict[str, Any]:
        """Something new, made as the operation makes it."""
        form = self.new()[operation.path.removeprefix(self.tree)]
        if operation.path.endswith("/Addresses"):
            self.addresses.pop(0)
        status, body = await self.world.call("POST", self.path(operation), form)
        assert status == operation.status, f"{status} {body}"
        return dict(body)

    async def set_the_stage(self) -> None:
        """One of each thing, so that every path leads somewhere."""
        self.sids["ChatServiceSid"] = self.world.other_service_sid
        creates = [one for one in _of_tree(self.tree) if one.verb == "create"]
        for operation in sorted(creates, key=lambda one: one.path.count("/")):
            made = await self.create(operation)
            self.sids[operation.path] = made["sid"]
            if operation.path == self.tree + "/Conversations":
                self.sids["ConversationSid"] = made["sid"]
                await self._people(made)
            if operation.path == f"{self.tree}{IN}/Messages":
                self.sids["MessageSid"] = made["sid"]
        await self._receipt_and_binding()
        if not self.tree:
            await self._streams()
            await self._template()
            await self._flow()

    async def _flow(self) -> None:
        """A flow, and an execution of it."""
        form = {"FriendlyName": "f", "Status": "published", "Definition": FLOW}
        flow = (await self.world.call("POST", "/v2/Flows", form))[1]["sid"]
        runs = f"/v2/Flows/{flow}/Executions"
        pair = {"To": PEOPLE[self.tree], "From": OURS}
        execution = (await self.world.call("POST", runs, pair))[1]["sid"]
        steps = (await self.world.call("GET", f"{runs}/{execution}/Steps"))[1]["steps"]
        self.sids |= {"/Flows": flow, "FlowSid": flow, "Revision": "1", "/Flows/{Sid}": flow}
        self.sids |= {"/Flows/{FlowSid}/Executions": execution, "ExecutionSid": execution}
        self.sids |= {"StepSid": steps[0]["sid"], "/Flows/{Sid}/Revisions": flow}
        self.sids["/Flows/{FlowSid}/Executions/{ExecutionSid}/Steps"] = steps[0]["sid"]

    async def _template(self) -> None:
        """A content template."""
        content = {"language": "en", "types": {"twilio/text": {"body": "Hi {{1}}."}}}
        sid = (await self.world.call("POST", "/v1/Content", json=content))[1]["sid"]
        paths = ("/Content", "/Content/{Sid}", "/Content/{Sid}/ApprovalRequests")
        self.sids |= dict.fromkeys(paths, sid)

    async def _streams(self) -> None:
        """A sink and its subscription."""
        where = json.dumps({"destination": "https://example.com/stream"})
        form = {"Description": "d", "SinkType": "webhook", "SinkConfiguration": where}
        sink = (await self.world.call("POST", "/v1/Sinks", form))[1]["sid"]
        form = {"Description": "d", "SinkSid": sink, "Types": json.dumps({"type": EVENT_TYPE})}
        subscription = (await self.world.call("POST", "/v1/Subscriptions", form))[1]["sid"]
        self.sids |= {"/Sinks": sink, "/Subscriptions": subscription}
        self.sids |= {"SubscriptionSid": subscription, "Type": EVENT_TYPE}
        self.sids |= {"Id": "Conversations.MessageAdded", "SchemaVersion": "2"}

    async def _people(self, conversation: Mapping[str, Any]) -> None:
        """Somebody with a phone and somebody who chats."""
        outside = {BINDING_ADDRESS: PEOPLE[self.tree], BINDING_PROXY: OURS}
        for form in (outside, {"Identity": "me"}):
            status, body = await self.world.call(
                "POST", conversation["links"]["participants"], form
            )
            assert status == 201, body
        status, user = await self.world.call("GET", f"{self._root()}/Users/me")
        assert status == 200, user
        self.sids["UserSid"] = user["sid"]

    async def _receipt_and_binding(self) -> None:
        messages = f"{self._root()}/Conversations/{self.sids['ConversationSid']}/Messages"
        listed = await self.world.call("GET", f"{messages}/{self.sids['MessageSid']}/Receipts")
        receipt = listed[1]["delivery_receipts"][0]["sid"]
        self.sids[f"{self.tree}{IN}/Messages/{{MessageSid}}/Receipts"] = receipt
        if self.tree:
            self.sids[f"{self.tree}/Bindings"] = await self.bind()

    async def bind(self) -> str:
        """A device is registered, as only an SDK does."""
        async with self.world.runtime.db.begin() as tx:
            binding = PushBinding(
                sid=ids.new(ids.PUSH_BINDING),
                account_sid=self.world.account_sid,
                chat_service_sid=self.world.other_service_sid,
                credential_sid=None,
                identity="me",
                binding_type="fcm",
                endpoint=f"device-{next(self.numbers)}",
                message_types=["new_message"],
                date_created=tx.now,
                date_updated=tx.now,
            )
            await tx.add(binding)
        return binding.sid

    def _root(self) -> str:
        return "/v1" + self.tree.format(**self.sids)


async def tour(world: Any) -> dict[str, str | None]:
    """What is wrong with each operation, by its name; None: nothing."""
    found: dict[str, str | None] = {}
    for tree in ("", _SERVICE):
        numbers = [one for one in world.runtime.settings.senders_by_address if one.startswith("+")]
        guide = Tour(world, tree, numbers)
        try:
            await guide.set_the_stage()
        except Exception as error:
            found |= dict.fromkeys((one.name for one in _of_tree(tree)), f"no stage: {error!r}")
            continue
        for operation in sorted(_of_tree(tree), key=lambda one: one.verb == "delete"):
            found[operation.name] = await _called(guide, operation)
    return found


async def _called(guide: Tour, operation: Operation) -> str | None:
    try:
        await VERBS[operation.verb](guide, operation)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


async def _create(guide: Tour, operation: Operation) -> None:
    _has_keys(await guide.create(operation), operation)


async def _page(guide: Tour, operation: Operation) -> None:
    asked = guide.questions.get(operation.path.removeprefix(guide.tree), {})
    body = await _answer(guide, operation, "GET", params={**asked, "PageSize": "1"})
    assert body["meta"]["key"] == operation.listed
    assert body[operation.listed], "nothing is listed"
    _has_keys(body[operation.listed][0], operation)


async def _fetch(guide: Tour, operation: Operation) -> None:
    _has_keys(await _answer(guide, operation, "GET"), operation)


async def _update(guide: Tour, operation: Operation) -> None:
    form = guide.changes[operation.path.removeprefix(guide.tree)]
    _has_keys(await _answer(guide, operation, "POST", form=form), operation)


async def _delete(guide: Tour, operation: Operation) -> None:
    """Something made for this alone goes, and is gone."""
    collection = _of(operation.path)
    makers = {one.path: one for one in _of_tree(guide.tree) if one.verb == "create"}
    sids = {}
    if collection in makers:
        sids["Sid"] = (await guide.create(makers[collection]))["sid"]
    elif collection.endswith("/Bindings"):
        sids["Sid"] = await guide.bind()
    assert await _answer(guide, operation, "DELETE", sids=sids) is None
    status, _ = await guide.world.call("GET", guide.path(operation, **sids))
    assert status == 404, f"it is still there: {status}"


VERBS: Mapping[str, Callable[[Tour, Operation], Any]] = {
    "create": _create,
    "page": _page,
    "fetch": _fetch,
    "update": _update,
    "delete": _delete,
}
_SERVICE = "/Services/{ChatServiceSid}"


async def _answer(
    guide: Tour, operation: Operation, method: str, *, sids: Form | None = None, **request: Any
) -> Any:
    path = guide.path(operation, **(sids or {}))
    status, body = await guide.world.call(method, path, **request)
    assert status == operation.status, f"{status} {body}"
    return body


def _has_keys(body: Mapping[str, Any], operation: Operation) -> None:
    missing = operation.keys - set(body)
    assert not missing, f"without {', '.join(sorted(missing))}"


def _of(path: str) -> str:
    """The path of the collection that something is one of."""
    return path.rpartition("/")[0] if path.endswith("}") else path


def _of_tree(tree: str) -> list[Operation]:
    return [one for one in operations() if one.path.startswith(f"{_SERVICE}/") is bool(tree)]
