"""What an application does all day: lists, reads, sends, edits, types; and hears of the others."""

from __future__ import annotations

import pytest

from tests.faults.town import SMS
from tests.realtime.sdk.clients import SdkError
from tests.realtime.sdk.place import OURS, Place

OPEN = "const it = await client.getConversationBySid(sid); "
SEND = OPEN + "return it.sendMessage(body, attributes)"
WRITTEN = OPEN + "return (await it.getMessages(size, from ?? undefined, direction)).items"
NAMES = "return (await client.getSubscribedConversations()).items.map((one) => one.friendlyName)"


async def test_it_connects_lists_and_reads(here: Place) -> None:
    alice = here.stranger("alice")
    sid = await here.conversation(alice, FriendlyName="First room", Attributes='{"n": 1}')
    for body in ("one", "two ✓", "three 😀"):
        await here.say(sid, body, "bob")
    one = await here.arrive(alice)
    listed = await one.run("return (await client.getSubscribedConversations()).items")
    assert [(it["sid"], it["name"], it["attributes"]) for it in listed] == [
        (sid, "First room", {"n": 1})
    ]
    assert listed[0]["last"]["index"] == 2
    read = await one.run(WRITTEN, sid=sid, size=30, direction="backwards", **{"from": None})
    assert [(it["index"], it["body"], it["author"]) for it in read] == [
        (0, "one", "bob"),
        (1, "two ✓", "bob"),
        (2, "three 😀", "bob"),
    ]
    assert await one.run("return client.user") == {
        "identity": alice,
        "name": None,
        "attributes": {},
        "online": None,
        "notifiable": None,
    } | await one.run("return client.user")
    assert (await one.run("return client.user.identity")) == alice
    assert await one.run("return client.connectionState") == "connected"


async def test_what_others_write_is_pushed(here: Place) -> None:
    alice = await here.arrive("alice")
    since = alice.mark
    sid = await here.conversation(alice.identity, FriendlyName="pushed")
    assert (await alice.saw("conversationJoined", since=since, sid=sid))["name"] == "pushed"
    said = await here.say(sid, "by REST")
    pushed = await alice.saw("messageAdded", body="by REST")
    assert (pushed["sid"], pushed["index"], pushed["conversation"]) == (said["sid"], 0, sid)


async def test_a_text_message_reaches_the_agent(here: Place) -> None:
    alice = await here.arrive("alice")
    phone = here.number()
    sid = await here.meeting(alice)
    pair = {"MessagingBinding.Address": phone, "MessagingBinding.ProxyAddress": OURS}
    await here.rest("POST", f"/v1/Conversations/{sid}/Participants", pair)
    here.town.world.phone(phone).text_later(SMS[1], "from a phone")
    pushed = await alice.saw("messageAdded", body="from a phone")
    assert (pushed["author"], pushed["conversation"]) == (phone, sid)
    await alice.run(SEND, sid=sid, body="to the phone", attributes={})
    await here.until(lambda: here.got(phone, "to the phone"))


async def test_a_sent_message_is_everybody_s(here: Place) -> None:
    alice, bob = await here.arrive("alice"), await here.arrive("bob")
    sid = await here.meeting(alice, bob)
    index = await alice.run(SEND, sid=sid, body="héllo 😀", attributes={"k": ["v", 1]})
    assert index == 1
    for one in (alice, bob):
        heard = await one.saw("messageAdded", body="héllo 😀")
        assert (heard["author"], heard["attributes"]) == (alice.identity, {"k": ["v", 1]})
    shown = (await here.messages(sid))[-1]
    assert (shown["author"], shown["index"], shown["attributes"]) == (
        alice.identity,
        1,
        '{"k":["v",1]}',
    )
    assert shown["participant_sid"] == heard["participant"]


async def test_messages_are_edited_and_removed(here: Place) -> None:
    alice, bob = await here.arrive("alice"), await here.arrive("bob")
    sid = await here.meeting(alice, bob)
    await alice.run(SEND, sid=sid, body="frist", attributes={})
    await bob.saw("messageAdded", body="frist")
    message = OPEN + "const one = (await it.getMessages(1)).items[0]; "
    await alice.run(message + "await one.updateBody('first')", sid=sid)
    heard = await bob.saw("messageUpdated", body="first")
    assert "body" in heard["updateReasons"]
    await alice.run(message + "await one.updateAttributes({x: 1})", sid=sid)
    await bob.saw("messageUpdated", body="first", attributes={"x": 1})
    await alice.run(message + "await one.remove()", sid=sid)
    gone = await bob.saw("messageRemoved")
    assert gone["body"] == "first"
    assert [one["index"] for one in await here.messages(sid)] == [0]
    assert await bob.run(OPEN + "return it.getMessagesCount()", sid=sid) == 1


async def test_conversations_are_made_changed_and_deleted(here: Place) -> None:
    alice, bob = await here.arrive("alice"), await here.arrive("bob")
    unique = here.stranger("room")
    made = await alice.run(
        "const it = await client.createConversation("
        "{friendlyName: 'A room', uniqueName: name, attributes: {a: 1}});"
        "await it.join(); await it.add(other, {role: 'guest'}); return it",
        name=unique,
        other=bob.identity,
    )
    sid = made["sid"]
    assert (made["name"], made["unique"], made["attributes"]) == ("A room", unique, {"a": 1})
    joined = await bob.saw("conversationJoined", sid=sid)
    assert joined["by"] == alice.identity
    shown = await here.rest("GET", f"/v1/Conversations/{unique}")
    assert (shown["sid"], shown["attributes"]) == (sid, '{"a":1}')
    people = await bob.run(OPEN + "return it.getParticipants()", sid=sid)
    assert sorted(one["identity"] for one in people) == [alice.identity, bob.identity]
    assert next(one for one in people if one["identity"] == bob.identity)["attributes"] == {
        "role": "guest"
    }
    await alice.run(
        OPEN + "await it.updateFriendlyName('Renamed'); await it.updateAttributes({b: 2})",
        sid=sid,
    )
    await bob.saw("conversationUpdated", name="Renamed", attributes={"b": 2})
    await alice.run(OPEN + "await it.updateUniqueName(null)", sid=sid)
    await bob.saw("conversationUpdated", name="Renamed", unique=None)
    await alice.run(OPEN + "await it.delete()", sid=sid)
    await bob.saw("conversationRemoved", sid=sid)
    await here.rest("GET", f"/v1/Conversations/{sid}", status=404)


async def test_people_come_and_go(here: Place) -> None:
    alice, bob = await here.arrive("alice"), await here.arrive("bob")
    may = await here.role("conversation", "addNonChatParticipant", "removeParticipant")
    sid = await here.conversation()
    await here.join(sid, alice.identity, RoleSid=may)
    await here.pushed(sid, alice)
    await here.join(sid, bob.identity)
    await alice.saw("participantJoined", identity=bob.identity)
    await bob.saw("conversationJoined", sid=sid)
    await bob.run(OPEN + "await it.leave()", sid=sid)
    await alice.saw("participantLeft", identity=bob.identity)
    await bob.saw("conversationLeft", sid=sid)
    phone = "+15559870001"
    added = await alice.run(
        OPEN + "return it.addNonChatParticipant(ours, phone, {vip: true})",
        sid=sid,
        phone=phone,
        ours=OURS,
    )
    assert added is not None
    heard = await alice.saw("participantJoined", type="sms")
    assert (heard["identity"], heard["attributes"]) == (None, {"vip": True})
    await alice.run(OPEN + "await it.removeParticipant(member)", sid=sid, member=heard["sid"])
    await alice.saw("participantLeft", sid=heard["sid"])


async def test_a_participant_keeps_attributes(here: Place) -> None:
    alice, bob = await here.arrive("alice"), await here.arrive("bob")
    sid = await here.meeting(alice, bob)
    await alice.run(
        OPEN + "const me = await it.getParticipantByIdentity(name);"
        "await me.updateAttributes({mood: 'fine'})",
        sid=sid,
        name=alice.identity,
    )
    await bob.saw("participantUpdated", identity=alice.identity, attributes={"mood": "fine"})


async def test_typing_starts_and_ends(here: Place) -> None:
    alice, bob = await here.arrive("alice"), await here.arrive("bob")
    sid = await here.meeting(alice, bob)
    await alice.run(OPEN + "await it.typing()", sid=sid)
    started = await bob.saw("typingStarted", identity=alice.identity)
    assert started["conversation"] == sid
    await bob.saw("typingEnded", identity=alice.identity)
    assert alice.all("typingStarted") == []


async def test_what_was_read_is_known(here: Place) -> None:
    alice, bob = await here.arrive("alice"), await here.arrive("bob")
    sid = await here.meeting(alice, bob)
    for n in range(1, 5):
        await here.say(sid, f"message {n}")
    await alice.saw("messageAdded", body="message 4")
    await bob.saw("messageAdded", body="message 4")
    unread = OPEN + "return it.getUnreadMessagesCount()"
    assert await alice.run(unread, sid=sid) is None
    assert await alice.run(OPEN + "return it.advanceLastReadMessageIndex(1)", sid=sid) == 3
    heard = await bob.saw("participantUpdated", identity=alice.identity, read=1)
    assert heard["participant"]["read"] == 1
    await alice.saw("conversationUpdated", sid=sid, read=1)
    assert await alice.run(OPEN + "return it.setAllMessagesRead()", sid=sid) == 0
    await alice.saw("conversationUpdated", sid=sid, read=4)
    assert await alice.run(OPEN + "return it.setAllMessagesUnread()", sid=sid) in (5, None)
    await alice.saw("conversationUpdated", sid=sid, read=None)
    [member] = [
        one
        for one in (await here.rest("GET", f"/v1/Conversations/{sid}/Participants"))["participants"]
        if one["identity"] == alice.identity
    ]
    assert member["last_read_message_index"] is None


async def test_things_are_found_by_what_they_are_known_by(here: Place) -> None:
    alice, bob = await here.arrive("alice"), await here.arrive("bob")
    unique = here.stranger("room")
    sid = await here.meeting(alice, bob, UniqueName=unique)
    await bob.run(OPEN + "await it.sendMessage('from bob')", sid=sid)
    await alice.saw("messageAdded", body="from bob")
    named = "return (await client.getConversationByUniqueName(name)).sid"
    assert await alice.run(named, name=unique) == sid
    peeked = await alice.run("return client.peekConversationBySid(sid)", sid=sid)
    assert (peeked["sid"], peeked["unique"]) == (sid, unique)
    assert await alice.run(OPEN + "return it.getParticipantsCount()", sid=sid) == 2
    author = OPEN + "const by = await (await it.getMessages()).items[1].getParticipant(); "
    member = await alice.run(author + "return by", sid=sid)
    assert member["identity"] == bob.identity
    found = await alice.run(
        OPEN + "return it.getParticipantBySid(member)", sid=sid, member=member["sid"]
    )
    assert found == member
    user = await alice.run(author + "return by.getUser()", sid=sid)
    assert user["identity"] == bob.identity
    users = await alice.run("return client.getSubscribedUsers()")
    assert bob.identity in [one["identity"] for one in users]
    assert await alice.run(OPEN + "return it.updateLastReadMessageIndex(0)", sid=sid) == 1
    await bob.saw("participantUpdated", identity=alice.identity, read=0)


async def test_users_have_names_and_attributes(here: Place) -> None:
    alice, bob = await here.arrive("alice"), await here.arrive("bob")
    await here.conversation(alice.identity, bob.identity)
    known = await bob.run("return client.getUser(name)", name=alice.identity)
    assert known["identity"] == alice.identity
    await alice.run(
        "await client.user.updateFriendlyName('Alice A.');"
        "await client.user.updateAttributes({team: 'red'})"
    )
    await bob.saw(
        "userUpdated", identity=alice.identity, name="Alice A.", attributes={"team": "red"}
    )
    await alice.saw("userUpdated", identity=alice.identity, attributes={"team": "red"})
    user = await here.rest("GET", f"/v1/Users/{alice.identity}")
    assert (user["friendly_name"], user["attributes"]) == ("Alice A.", '{"team":"red"}')


async def test_who_is_there_is_seen_within_seconds(here: Place) -> None:
    path = f"/v1/Services/{here.service_sid}/Configuration"
    await here.rest("POST", path, {"ReachabilityEnabled": "true"})
    try:
        alice, bob = await here.arrive("alice"), await here.arrive("bob")
        await here.conversation(alice.identity, bob.identity)
        seen = "const user = await client.getUser(name); return user.isOnline"
        await here.until(lambda: bob.run(seen, name=alice.identity))
        await alice.run("await client.shutdown()")
        await bob.saw("userUpdated", identity=alice.identity, online=False)

        async def gone() -> bool:
            user = await here.rest("GET", f"/v1/Users/{alice.identity}")
            return bool(user["is_online"] is False)

        await here.until(gone)
    finally:
        await here.rest("POST", path, {"ReachabilityEnabled": "false"})


async def test_a_conversation_is_muted(here: Place) -> None:
    alice = await here.arrive("alice")
    sid = await here.conversation(alice.identity)
    await alice.saw("conversationJoined", sid=sid)
    await alice.run(OPEN + "await it.setUserNotificationLevel('muted')", sid=sid)
    await alice.saw("conversationUpdated", sid=sid, level="muted")
    path = f"/v1/Users/{alice.identity}/Conversations/{sid}"
    assert (await here.rest("GET", path))["notification_level"] == "muted"


async def test_long_histories_are_read_page_by_page(here: Place) -> None:
    alice = await here.arrive("alice")
    sid = await here.meeting(alice)
    for n in range(1, 75):
        await here.say(sid, str(n))
    await alice.saw("messageAdded", body="74")
    pages = (
        OPEN
        + "let page = await it.getMessages(30, from ?? undefined, direction); const found = [];"
        "for (;;) { found.push(page.items.map((one) => one.index));"
        "const more = direction === 'forward' ? page.hasNextPage : page.hasPrevPage;"
        "if (!more) return found;"
        "page = await (direction === 'forward' ? page.nextPage() : page.prevPage()); }"
    )
    back = await alice.run(pages, sid=sid, direction="backwards", **{"from": None})
    assert back == [list(range(45, 75)), list(range(15, 45)), list(range(15))]
    forth = await alice.run(pages, sid=sid, direction="forward", **{"from": 0})
    assert [index for page in forth for index in page] == list(range(75))
    middle = await alice.run(WRITTEN, sid=sid, size=5, direction="forward", **{"from": 40})
    assert [one["index"] for one in middle] == list(range(40, 45))
    assert await alice.run(OPEN + "return it.getMessagesCount()", sid=sid) == 75


async def test_a_hundred_and_twenty_conversations_are_listed(here: Place) -> None:
    alice = here.stranger("alice")
    sids = [await here.conversation(alice, FriendlyName=f"{n:03}") for n in range(120)]
    one = await here.arrive(alice)
    listed = await one.run(
        "let page = await client.getSubscribedConversations(); const found = [];"
        "for (;;) { found.push(...page.items.map((it) => [it.sid, it.friendlyName, it.status]));"
        "if (!page.hasNextPage) return found; page = await page.nextPage(); }",
        60.0,
    )
    assert sorted(listed) == sorted([sid, f"{n:03}", "joined"] for n, sid in enumerate(sids))
    for sid in (sids[0], sids[60], sids[119]):
        await here.say(sid, f"to {sid}")
        await one.saw("messageAdded", body=f"to {sid}", conversation=sid)
    assert len(one.all("conversationAdded")) == 120


async def test_recipients_and_receipts_are_shown(here: Place) -> None:
    alice = await here.arrive("alice")
    phone = "+15559870002"
    sid = await here.meeting(alice)
    pair = {"MessagingBinding.Address": phone, "MessagingBinding.ProxyAddress": OURS}
    added = await here.rest("POST", f"/v1/Conversations/{sid}/Participants", pair)
    await alice.run(SEND, sid=sid, body="delivered?", attributes={})
    await alice.saw("messageAdded", body="delivered?")
    heard = await alice.saw("messageUpdated", body="delivered?")
    assert "deliveryReceipt" in heard["updateReasons"]

    async def arrived() -> bool:
        last = alice.all("messageUpdated")[-1]["message"]["delivery"]
        return bool(last) and last["delivered"] == "all"

    await here.until(arrived)
    message = OPEN + "const one = (await it.getMessages(1)).items[0]; "
    [receipt] = await alice.run(message + "return one.getDetailedDeliveryReceipts()", sid=sid)
    assert (receipt["status"], receipt["participantSid"]) == ("delivered", added["sid"])
    assert await alice.run(message + "return one.getChannelMetadata()", sid=sid) is None
    # The SDK has no class for those who are reached by SMS: it hands on what it was told.
    raw = ".map((one) => [one.messageSid, JSON.parse(one.rawData).address])"
    said = [heard["message"]["sid"], phone]
    assert await alice.run(
        message + f"return (await one.getMessageRecipients()){raw}", sid=sid
    ) == [said]
    await here.say(sid, "once more", alice.identity)
    pages = (
        "let page = await it.getMessageRecipients({pageSize: 2}); const found = [];"
        f"for (;;) {{ found.push(page.items{raw});"
        "if (!page.hasNextPage) break; page = await page.nextPage(); }"
        f"return [found, (await page.prevPage()).items{raw}]"
    )
    forth, back = await alice.run(OPEN + pages, sid=sid)
    assert [len(one) for one in forth] == [1, 1] and back == forth[0] == [said]


async def test_a_device_registers_for_pushes(here: Place) -> None:
    alice = await here.arrive("alice")
    await alice.run("await client.setPushRegistrationId('fcm', 'device-1')")
    path = f"/v1/Services/{here.service_sid}/Bindings?Identity={alice.identity}"

    async def bindings() -> list[str]:
        return [one["endpoint"] for one in (await here.rest("GET", path))["bindings"]]

    assert await here.until(bindings) == ["device-1"]
    await alice.run("await client.unsetPushRegistrationId('fcm')")

    async def gone() -> bool:
        return await bindings() == []

    await here.until(gone)
    await alice.run("await client.setPushRegistrationId('apn', 'device-2')")
    assert await here.until(bindings) == ["device-2"]
    await alice.run("await client.removePushRegistrations('apn', 'device-2')")
    await here.until(gone)


@pytest.mark.parametrize(
    ("code", "status", "number"),
    [
        ("return client.getConversationBySid('CH' + '0'.repeat(32))", 404, None),
        ("return client.getConversationByUniqueName('no such room')", 404, None),
        ("return client.createConversation({uniqueName: taken})", 409, 50353),
    ],
)
async def test_what_cannot_be_is_said(
    here: Place, code: str, status: int, number: int | None
) -> None:
    taken = here.stranger("room")
    await here.conversation(UniqueName=taken)
    alice = await here.arrive("alice")
    with pytest.raises(SdkError) as caught:
        await alice.run(code, taken=taken)
    assert caught.value.status == status
    assert number is None or caught.value.code == number
    assert caught.value.message
