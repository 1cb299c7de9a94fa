"""What a role does not allow is refused to the SDK, with the original's numbers, and changes
nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.realtime.sdk.clients import Person, SdkError
from tests.realtime.sdk.place import HELLO, OURS, Place

OPEN = "const it = await client.getConversationBySid(sid); "
THEIRS = OPEN + "const one = (await it.getMessages()).items.find((one) => one.author === 'other'); "
MINE = OPEN + "const one = (await it.getMessages()).items.find((one) => one.author !== 'other'); "
OTHER = OPEN + "const one = (await it.getParticipants()).find((one) => one.identity === 'other'); "
ME = OPEN + "const one = await it.getParticipantByIdentity(client.user.identity); "
JOIN = OPEN + "await it.join()"

# What is tried, and the one permission (of either role) that it takes.
TRIED = [
    ("sendMessage", OPEN + "await it.sendMessage('x')"),
    ("sendMediaMessage", OPEN + "await it.sendMessage({contentType: 'text/plain', media: 'x'})"),
    ("addParticipant", OPEN + "await it.add('somebody')"),
    ("addNonChatParticipant", OPEN + "await it.addNonChatParticipant(ours, phone, {x: 1})"),
    ("removeParticipant", OPEN + "await it.removeParticipant('other')"),
    ("editConversationName", OPEN + "await it.updateFriendlyName('x')"),
    ("editConversationAttributes", OPEN + "await it.updateAttributes({x: 1})"),
    ("deleteConversation", OPEN + "await it.delete()"),
    ("leaveConversation", OPEN + "await it.leave()"),
    ("editOwnMessage", MINE + "await one.updateBody('x')"),
    ("editOwnMessageAttributes", MINE + "await one.updateAttributes({x: 1})"),
    ("deleteOwnMessage", MINE + "await one.remove()"),
    ("editAnyMessage", THEIRS + "await one.updateBody('x')"),
    ("editAnyMessageAttributes", THEIRS + "await one.updateAttributes({x: 1})"),
    ("deleteAnyMessage", THEIRS + "await one.remove()"),
    ("editOwnParticipantAttributes", ME + "await one.updateAttributes({x: 1})"),
    ("editAnyParticipantAttributes", OTHER + "await one.updateAttributes({x: 1})"),
    ("editNotificationLevel", OPEN + "await it.setUserNotificationLevel('muted')"),
    ("createConversation", "await client.createConversation({friendlyName: 'x'})"),
    ("editOwnUserInfo", "await client.user.updateFriendlyName('x')"),
    ("editAnyUserInfo", "await (await client.getUser('other')).updateAttributes({at: phone})"),
]
SERVICE = {"createConversation", "joinConversation", "editOwnUserInfo", "editAnyUserInfo"}


async def somebody(here: Place, *permissions: str) -> tuple[Person, str]:
    """Somebody who may do only this, in a conversation with a message of theirs and of another."""
    ours = [one for one in permissions if one in SERVICE]
    theirs = [one for one in permissions if one not in SERVICE]
    nothing = ["editOwnUserInfo"] if permissions != ("editOwnUserInfo",) else ["joinConversation"]
    service_role = await here.role("service", *(ours or nothing))
    if not ours and permissions == ("editOwnUserInfo",):
        service_role = await here.role("service", "joinConversation")
    role = await here.role("conversation", *(theirs or ["readChannelMetadata"]))
    name = here.stranger("alice")
    await here.rest("POST", "/v1/Users", {"Identity": name, "RoleSid": service_role})
    sid = await here.conversation()
    await here.join(sid, name, RoleSid=role)
    await here.join(sid, "other")
    await here.say(sid, "theirs", "other")
    await here.say(sid, "mine", name)
    one = await here.arrive(name)
    await one.saw("conversationJoined", sid=sid)
    await one.run(OPEN + "await it.getParticipants()", sid=sid)  # what it opens is open
    return one, sid


async def shown(here: Place, sid: str, *identities: str) -> Any:
    """All that could have changed: the conversation, who is in it, what was said, the users."""
    path = f"/v1/Conversations/{sid}"
    return [
        await here.rest("GET", path),
        (await here.rest("GET", f"{path}/Participants"))["participants"],
        await here.messages(sid),
        [await here.rest("GET", f"/v1/Users/{one}") for one in identities],
    ]


def given(here: Place, sid: str) -> dict[str, str]:
    """What the code is about."""
    return {"sid": sid, "ours": OURS, "phone": here.number()}


@pytest.mark.parametrize(("permission", "code"), TRIED, ids=[name for name, _ in TRIED])
async def test_a_permission_is_what_it_takes(here: Place, permission: str, code: str) -> None:
    may, sid = await somebody(here, permission)
    before = await shown(here, sid, may.identity, "other")
    await may.run(code, **given(here, sid))
    if permission in ("createConversation", "deleteConversation", "editNotificationLevel"):
        return  # what changes is elsewhere
    assert await shown(here, sid, may.identity, "other") != before


@pytest.mark.parametrize(("permission", "code"), TRIED, ids=[name for name, _ in TRIED])
async def test_without_it_nothing_happens(here: Place, permission: str, code: str) -> None:
    other = "joinConversation" if permission == "editOwnUserInfo" else "editOwnUserInfo"
    may_not, sid = await somebody(here, other)
    before = await shown(here, sid, may_not.identity, "other")
    with pytest.raises(SdkError) as caught:
        await may_not.run(code, **given(here, sid))
    assert caught.value.status == 403, caught.value
    assert caught.value.code == 50107 or "50107" in caught.value.message
    assert await shown(here, sid, may_not.identity, "other") == before


async def with_role(here: Place, *permissions: str) -> Person:
    """Somebody who is in no conversation, with a service role that allows only this."""
    name, role = here.stranger("alice"), await here.role("service", *permissions)
    await here.rest("POST", "/v1/Users", {"Identity": name, "RoleSid": role})
    return await here.arrive(name)


async def test_who_may_join_joins_what_they_are_not_in(here: Place) -> None:
    alice, bob = await with_role(here, "joinConversation"), await here.arrive("bob")
    sid = await here.meeting(bob, FriendlyName="Open to all")
    found = await alice.run(OPEN + "return it", sid=sid)
    assert (found["name"], found["status"]) == ("Open to all", "notParticipating")
    since = alice.mark
    await alice.run(JOIN, sid=sid)
    joined = await alice.saw("conversationJoined", since=since, sid=sid)
    assert joined["status"] == "joined"
    heard = await bob.saw("participantJoined", identity=alice.identity)
    path = f"/v1/Conversations/{sid}/Participants/{heard['sid']}"
    configured = await here.rest("GET", f"/v1/Services/{here.service_sid}/Configuration")
    member = await here.rest("GET", path)
    assert member["role_sid"] == configured["default_conversation_role_sid"]
    # what was said before is read, what is said now is heard, and both can speak
    read = "return (await it.getMessages()).items.map((one) => one.body)"
    assert await alice.run(OPEN + read, sid=sid) == [HELLO]
    await alice.run(OPEN + "await it.sendMessage('I came in')", sid=sid)
    await bob.saw("messageAdded", body="I came in")
    await here.say(sid, "welcome")
    await alice.saw("messageAdded", body="welcome")
    with pytest.raises(SdkError) as twice:
        await alice.run(JOIN, sid=sid)
    assert (twice.value.status, twice.value.code) == (409, 50433)


async def test_who_may_not_join_does_not_find_what_they_are_not_in(here: Place) -> None:
    alice, bob = await with_role(here, "createConversation"), await here.arrive("bob")
    sid = await here.meeting(bob, UniqueName=here.stranger("closed"))
    before = await shown(here, sid)
    for code in (JOIN, JOIN.replace("BySid(sid)", "ByUniqueName(unique)")):
        with pytest.raises(SdkError) as caught:
            await alice.run(code, sid=sid, unique=before[0]["unique_name"])
        assert (caught.value.status, caught.value.code) == (403, 50430)
    assert await shown(here, sid) == before


async def test_who_made_a_conversation_joins_it_only_if_they_may(here: Place) -> None:
    alice = await with_role(here, "createConversation")
    made = await alice.run("return client.createConversation({friendlyName: 'mine'})")
    assert made["status"] == "notParticipating"
    before = await shown(here, made["sid"])
    with pytest.raises(SdkError) as caught:
        await alice.run(JOIN, sid=made["sid"])
    assert (caught.value.status, caught.value.code) == (403, 50107)
    assert await shown(here, made["sid"]) == before


async def test_a_permission_that_is_taken_back_is_gone_at_once(here: Place) -> None:
    alice, bob = await with_role(here, "joinConversation"), await here.arrive("bob")
    sid = await here.meeting(bob)
    assert (await alice.run(OPEN + "return it", sid=sid))["status"] == "notParticipating"
    role = (await here.rest("GET", f"/v1/Users/{alice.identity}"))["role_sid"]
    await here.rest("POST", f"/v1/Roles/{role}", {"Permission": "editOwnUserInfo"})
    before = await shown(here, sid)
    with pytest.raises(SdkError) as caught:
        await alice.run(JOIN, sid=sid)
    assert (caught.value.status, caught.value.code) == (403, 50107)
    assert await shown(here, sid) == before


@pytest.mark.parametrize(
    "code",
    [
        OPEN + "return it.getMessages()",
        OPEN + "return it.getParticipants()",
        OPEN + "return it.sendMessage('x')",
        "return client.getConversationByUniqueName(unique)",
        "return client.peekConversationBySid(sid)",
    ],
)
async def test_who_is_not_in_a_conversation_sees_nothing_of_it(here: Place, code: str) -> None:
    alice = await with_role(here, "createConversation")
    sid = await here.conversation("other", UniqueName=here.stranger("secret"))
    shown = await here.rest("GET", f"/v1/Conversations/{sid}")
    await here.say(sid, "secret", "other")
    with pytest.raises(SdkError) as caught:
        await alice.run(code, sid=sid, unique=shown["unique_name"])
    assert caught.value.status in (403, 404)
    assert [one["body"] for one in await here.messages(sid)] == ["secret"]
