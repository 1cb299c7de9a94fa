"""The conversations of a user through the official client, in both trees; what it has not read."""

from __future__ import annotations

import pytest

from app.settings.models import LimitSettings

KEYS = {
    *("account_sid", "chat_service_sid", "conversation_sid", "unread_messages_count"),
    *("last_read_message_index", "participant_sid", "user_sid", "friendly_name"),
    *("conversation_state", "timers", "attributes", "date_created", "date_updated", "created_by"),
    *("notification_level", "unique_name", "url", "links"),
}
WHEN = "Invalid last consumption timestamp format"
REFUSALS = [
    ({"NotificationLevel": "loud"}, 50210, "Invalid notification level"),
    ({"LastReadMessageIndex": "x"}, 50421, "Invalid last read message index format"),
    ({"LastReadMessageIndex": "-1"}, 50421, "Invalid last read message index format"),
    ({"LastReadMessageIndex": str(2**31)}, 50421, "Invalid last read message index format"),
    ({"LastReadTimestamp": "then"}, 50405, WHEN),
    ({"LastReadTimestamp": "0000-01-01T00:00:00Z"}, 50405, WHEN),
]
FILL = """
INSERT INTO messages (sid, account_sid, chat_service_sid, conversation_sid, index, author, source,
  date_created, date_updated)
SELECT 'IM' || md5(sid || n), account_sid, chat_service_sid, sid, n, 'system', 'API', now(), now()
FROM conversations, generate_series(0, $2::int - 1) AS n WHERE sid = $1
"""
SAID = "UPDATE conversations SET message_count = $2 WHERE sid = $1"


@pytest.fixture(params=["account", "service"])
def ask(request, world):
    return world.api if request.param == "account" else world.service


async def joined(world, identity: str = "ann", tree: str = "/v1", **form: str) -> dict[str, str]:
    """A new conversation with this identity in it."""
    _, made = await world.call("POST", f"{tree}/Conversations", form)
    status, _ = await world.call("POST", f"{made['url']}/Participants", {"Identity": identity})
    assert status == 201
    return made


async def test_a_users_conversations_live_through_the_official_client(ask) -> None:
    sids = []
    for name in ("one", "two", "three"):
        made = await ask(lambda v1, name=name: v1.conversations.create(unique_name=name))
        await ask(
            lambda v1, sid=made.sid: v1.conversations(sid).participants.create(identity="ann")
        )
        sids.append(made.sid)
    listed = await ask(lambda v1: v1.users("ann").user_conversations.list(page_size=2))
    assert [one.conversation_sid for one in listed] == sids
    fetched = await ask(lambda v1: v1.users("ann").user_conversations("two").fetch())
    assert (fetched.conversation_sid, fetched.unread_messages_count) == (sids[1], None)
    changed = await ask(
        lambda v1: (
            v1.users(fetched.user_sid)
            .user_conversations(sids[1])
            .update(notification_level="muted", last_read_message_index=0)
        )
    )
    assert (changed.notification_level, changed.last_read_message_index) == ("muted", 0)
    assert await ask(lambda v1: v1.users("ann").user_conversations("two").delete())
    listed = await ask(lambda v1: v1.users("ann").user_conversations.list())
    assert [one.conversation_sid for one in listed] == [sids[0], sids[2]]


async def test_the_json_is_exactly_the_documented_one(world) -> None:
    for tree, service in (
        ("/v1", world.service_sid),
        (f"/v1/Services/{world.other_service_sid}", world.other_service_sid),
    ):
        timers = {"Timers.Inactive": "PT1M", "Timers.Closed": "PT10M"}
        parent = await joined(world, tree=tree, FriendlyName="a", UniqueName="b", **timers)
        _, user = await world.call("GET", f"{tree}/Users/ann")
        status, found = await world.call("GET", f"{tree}/Users/ann/Conversations/b")
        assert (status, set(found)) == (200, KEYS)
        participant = found["participant_sid"]
        same = ("date_created", "date_updated", "timers", "attributes")
        assert {name: found[name] for name in same} == {name: parent[name] for name in same}
        assert set(found["timers"]) == {"date_inactive", "date_closed"}
        assert (found["friendly_name"], found["unique_name"]) == ("a", "b")
        assert (found["chat_service_sid"], found["user_sid"]) == (service, user["sid"])
        assert (found["conversation_state"], found["created_by"]) == ("active", "system")
        assert found["url"] == f"{user['links']['user_conversations']}/{parent['sid']}"
        assert found["links"] == {
            "participant": f"{parent['url']}/Participants/{participant}",
            "conversation": parent["url"],
        }
        _, page = await world.call("GET", user["links"]["user_conversations"])
        assert (page["conversations"], page["meta"]["key"]) == ([found], "conversations")
        assert page["meta"]["page_size"] == 50


async def test_unread_messages_are_counted_beyond_the_horizon(world) -> None:
    parent = await joined(world)
    url = f"/v1/Users/ann/Conversations/{parent['sid']}"

    async def unread(**form: str) -> int | None:
        _, found = await world.call("POST", url, form) if form else await world.call("GET", url)
        return found["unread_messages_count"]

    assert await unread() is None
    for _ in range(3):
        await world.call("POST", f"{parent['url']}/Messages", {"Body": "x"})
    assert await unread() is None
    assert await unread(LastReadMessageIndex="0") == 2
    assert await unread(LastReadMessageIndex="2") == 0
    assert await unread(LastReadMessageIndex="9") == 0
    assert await unread(LastReadMessageIndex="null") is None
    # What was removed is not unread.
    _, page = await world.call("GET", f"{parent['url']}/Messages")
    await world.call("DELETE", page["messages"][1]["url"])
    assert await unread(LastReadMessageIndex="0") == 1
    _, page = await world.call("GET", "/v1/Users/ann/Conversations")
    assert [one["unread_messages_count"] for one in page["conversations"]] == [1]


@pytest.mark.parametrize(("profile", "shown"), [("twilio", 1000), ("relaxed", 4999)])
async def test_the_count_is_capped_as_the_original_caps_it(
    a_world, profile: str, shown: int
) -> None:
    async with a_world(limits=LimitSettings(profile=profile).model_dump()) as world:
        parent = await joined(world)
        async with world.runtime.db.begin() as tx:
            await tx.sql.execute(FILL, parent["sid"], 5000)
            await tx.sql.execute(SAID, parent["sid"], 5000)
        form = {"LastReadMessageIndex": "0"}
        _, found = await world.call("POST", f"/v1/Users/ann/Conversations/{parent['sid']}", form)
        assert found["unread_messages_count"] == shown


async def test_what_is_unread_is_read_only_where_messages_were_removed(a_world) -> None:
    async with a_world(limits=LimitSettings(profile="relaxed").model_dump()) as world:
        parent = await joined(world)
        url = f"/v1/Users/ann/Conversations/{parent['sid']}"

        async def unread(index: int) -> tuple[int, int]:
            _, moved = await world.call("POST", url, {"LastReadMessageIndex": f"{index}"})
            _, found = await world.call("GET", url)
            _, page = await world.call("GET", "/v1/Users/ann/Conversations")
            assert found["unread_messages_count"] == moved["unread_messages_count"]
            return found["unread_messages_count"], page["conversations"][0]["unread_messages_count"]

        async with world.runtime.db.begin() as tx:
            await tx.sql.execute(SAID, parent["sid"], 1_000_000)
        assert await unread(9) == (999_990, 999_990)
        async with world.runtime.db.begin() as tx:
            await tx.sql.execute(FILL, parent["sid"], 1200)
            await tx.sql.execute(SAID, parent["sid"], 1200)
        _, page = await world.call("GET", f"{parent['url']}/Messages?PageSize=3&Order=desc")
        for one in page["messages"][1:]:
            await world.call("DELETE", one["url"])
        assert await unread(1097) == (100, 100)  # as many as lists count
        assert await unread(1096) == (101, 103)
        assert await unread(197) == (1000, 1002)  # as many as are counted at all
        assert await unread(196) == (1003, 1003)
        assert await unread(0) == (1198, 1198)  # there are no more
        assert await unread(1197) == (1, 1)
        assert await unread(1199) == (0, 0)


async def test_the_horizon_of_a_user_is_that_of_its_participant(world) -> None:
    parent = await joined(world)
    form = {"LastReadMessageIndex": "4", "LastReadTimestamp": "2024-05-01T10:00:00+02:00"}
    await world.call("POST", f"/v1/Users/ann/Conversations/{parent['sid']}", form)
    _, member = await world.call("GET", f"{parent['url']}/Participants/ann")
    assert member["last_read_message_index"] == 4
    assert member["last_read_timestamp"] == "2024-05-01T08:00:00Z"


async def test_every_refusal_has_its_code_and_text(world) -> None:
    parent = await joined(world)
    url = f"/v1/Users/ann/Conversations/{parent['sid']}"
    for form, code, message in REFUSALS:
        status, body = await world.call("POST", url, form)
        assert (status, body["code"], body["message"]) == (400, code, message), form
    await world.call("POST", parent["url"], {"State": "closed"})
    for method, form in (("POST", {"NotificationLevel": "muted"}), ("DELETE", None)):
        status, body = await world.call(method, url, form)
        assert (status, body["code"]) == (400, 50377)
    _, found = await world.call("GET", url)
    assert found["conversation_state"] == "closed"


async def test_a_conversation_that_a_user_is_not_in_is_not_there(world) -> None:
    await joined(world, "bob")
    elsewhere = await joined(world, "ann")
    await world.call("POST", "/v1/Users", {"Identity": "cy"})
    for path in (
        f"/v1/Users/bob/Conversations/{elsewhere['sid']}",
        f"/v1/Users/cy/Conversations/{elsewhere['sid']}",
        f"/v1/Users/nobody/Conversations/{elsewhere['sid']}",
        "/v1/Users/ann/Conversations/nothing",
        f"/v1/Services/{world.other_service_sid}/Users/ann/Conversations/{elsewhere['sid']}",
    ):
        for method, form in (
            ("GET", None),
            ("POST", {"NotificationLevel": "muted"}),
            ("DELETE", None),
        ):
            status, body = await world.call(method, path, form)
            assert (status, body["code"]) == (404, 20404)
    assert (await world.call("GET", "/v1/Users/nobody/Conversations"))[0] == 404
    assert (await world.call("GET", "/v1/Users/cy/Conversations"))[1]["conversations"] == []
