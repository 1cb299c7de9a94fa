"""What a role does not allow is refused to the SDK, with the original's numbers, and changes
nothing."""

from __future__ import annotations

import pytest

from tests.realtime.sdk.node import Person, SdkError
from tests.realtime.sdk.place import Place

OPEN = "const it = await client.getConversationBySid(sid); "
THEIRS = OPEN + "const one = (await it.getMessages()).items.find((one) => one.author === 'other'); "
MINE = OPEN + "const one = (await it.getMessages()).items.find((one) => one.author !== 'other'); "
OTHER = OPEN + "const one = (await it.getParticipants()).find((one) => one.identity === 'other'); "

# What is tried, and the one permission (of either role) that it takes.
TRIED = [
    ("sendMessage", OPEN + "await it.sendMessage('x')"),
    ("sendMediaMessage", OPEN + "await it.sendMessage({contentType: 'text/plain', media: 'x'})"),
    ("addParticipant", OPEN + "await it.add('somebody')"),
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
    ("editAnyParticipantAttributes", OTHER + "await one.updateAttributes({x: 1})"),
    ("editNotificationLevel", OPEN + "await it.setUserNotificationLevel('muted')"),
    ("createConversation", "await client.createConversation({friendlyName: 'x'})"),
    ("editOwnUserInfo", "await client.user.updateFriendlyName('x')"),
]
SERVICE = {"createConversation", "joinConversation", "editOwnUserInfo"}


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
    await one.saw("conversationJoined", sid=sid)  # what it opens is open
    return one, sid


@pytest.mark.parametrize(("permission", "code"), TRIED, ids=[name for name, _ in TRIED])
async def test_a_permission_is_what_it_takes(here: Place, permission: str, code: str) -> None:
    may, sid = await somebody(here, permission)
    await may.run(code, sid=sid)


@pytest.mark.parametrize(("permission", "code"), TRIED, ids=[name for name, _ in TRIED])
async def test_without_it_nothing_happens(here: Place, permission: str, code: str) -> None:
    other = "joinConversation" if permission == "editOwnUserInfo" else "editOwnUserInfo"
    may_not, sid = await somebody(here, other)
    before = await here.rest("GET", f"/v1/Conversations/{sid}")
    with pytest.raises(SdkError) as caught:
        await may_not.run(code, sid=sid)
    assert caught.value.status == 403, caught.value
    assert caught.value.code == 50107 or "50107" in caught.value.message
    assert await here.rest("GET", f"/v1/Conversations/{sid}") == before
    assert [one["body"] for one in await here.messages(sid)] == ["theirs", "mine"]


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
    name, role = here.stranger("alice"), await here.role("service", "createConversation")
    await here.rest("POST", "/v1/Users", {"Identity": name, "RoleSid": role})
    alice = await here.arrive(name)
    sid = await here.conversation("other", UniqueName=here.stranger("secret"))
    shown = await here.rest("GET", f"/v1/Conversations/{sid}")
    await here.say(sid, "secret", "other")
    with pytest.raises(SdkError) as caught:
        await alice.run(code, sid=sid, unique=shown["unique_name"])
    assert caught.value.status in (403, 404)
    assert [one["body"] for one in await here.messages(sid)] == ["secret"]
