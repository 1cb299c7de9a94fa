"""What an application does all day, through the tunnel."""

from __future__ import annotations

import pytest

from app.api import client_media
from app.observe import Failed
from tests.realtime.town import SMS, Town, joined, town
from tests.support.sdk import Sdk

PHONE = "+15551230001"
MANY = "UPDATE conversations SET message_count = 1000000 WHERE sid = $1"


async def refused(client: Sdk, method: str, path: str, body: object = None) -> tuple[int, int]:
    """Status and code of a command that must not go well."""
    status, answer, said = await client.request(method, f"/Client/v2/{path}", body)
    assert status >= 400 and answer["message"] == said, (status, answer, said)
    return status, answer["code"]


async def test_who_makes_a_conversation_joins_it_and_is_told(dsn: str) -> None:
    async with town(dsn) as place, place.client("alice") as alice, place.client("bob") as bob:
        mine = await alice.open("Maps", "alice.my_conversations")
        theirs = await bob.open("Maps", "bob.my_conversations")
        await alice.subscribe(mine)
        await bob.subscribe(theirs)
        made = await alice.aim(
            "POST",
            "Conversations",
            {"friendly_name": "Room", "unique_name": "a room", "attributes": '{"x":1}'},
        )
        sid = made["sid"]
        document = await alice.open("Documents", made["sync_objects"]["conversation"])
        assert (document.data["friendlyName"], document.data["createdBy"]) == ("Room", "alice")
        await alice.aim("POST", f"Conversations/{sid}/Participants", {"identity": "alice"})
        await alice.until(lambda: ("added", sid) in mine.raised)
        roles = {one["friendly_name"]: one["sid"] for one in await roles_of(place)}
        people = (await place.rest("GET", f"/Conversations/{sid}/Participants"))["participants"]
        assert people[0]["role_sid"] == roles["channel admin"]
        _, _, roster = await joined(alice, sid)
        await alice.aim(
            "POST", f"Conversations/{sid}/Participants", {"identity": "bob", "attributes": "{}"}
        )
        await bob.until(lambda: ("added", sid) in theirs.raised)
        await alice.until(lambda: len(roster.items) == 2)
        await joined(bob, sid)
        await bob.aim("DELETE", f"Conversations/{sid}/Participants/bob", {})
        await bob.until(lambda: ("removed", sid) in theirs.raised)
        await alice.until(lambda: len(roster.items) == 1)
        await alice.aim("DELETE", f"Conversations/{sid}", {})
        await alice.until(lambda: ("gone", None) in roster.raised)
        await alice.until(lambda: ("removed", sid) in mine.raised)
        assert clean(place)


async def test_messages_are_edited_and_removed(dsn: str) -> None:
    async with town(dsn) as place, place.client("alice") as alice:
        sid = await place.conversation("alice", "bob")
        _, messages, _ = await joined(alice, sid)
        body = {"body": "frist", "attributes": '{"k":1}', "subject": "s"}
        made = await alice.aim("POST", f"Conversations/{sid}/Messages", body)
        path = f"Conversations/{sid}/Messages/{made['sid']}"
        await alice.aim("POST", path, {"body": "first"})
        await alice.until(lambda: messages.items and messages.items[0][1]["text"] == "first")
        await alice.aim("POST", path, {"attributes": '{"k":2}'})
        await alice.until(lambda: messages.items[0][1]["attributes"] == '{"k":2}')
        others = await place.say(sid, "of bob", "bob")
        assert await refused(
            alice, "POST", f"Conversations/{sid}/Messages/{others['sid']}", {"body": "mine"}
        ) == (403, 50107)
        await alice.aim("DELETE", path, {})
        await alice.until(lambda: ("removed", 0) in messages.raised)
        page = await alice.items(messages, PageSize="30", Order="desc")
        assert [one["index"] for one in page["items"]] == [1]
        assert page["meta"]["next_token"] is None and page["meta"]["previous_token"] is None
        counted = await alice.aim("GET", f"Conversations/{sid}")
        assert (counted["messages_count"], counted["participants_count"]) == (1, 2)
        assert clean(place)


async def test_the_read_horizon_and_the_notification_level_move(dsn: str) -> None:
    async with town(dsn) as place, place.client("alice") as alice:
        sid = await place.conversation("alice", "bob")
        for number in range(4):
            await place.say(sid, f"{number}", "bob")
        mine = await alice.open("Maps", "alice.my_conversations")
        await alice.items(mine)
        _, _, roster = await joined(alice, sid)
        await alice.subscribe(mine)
        assert (await alice.aim("GET", f"MyConversations/{sid}"))["unread_messages_count"] is None
        moved = await alice.aim("POST", f"MyConversations/{sid}", {"last_read_message_index": 1})
        assert moved["unread_messages_count"] == 2
        await alice.until(lambda: mine.items[sid][1]["lastConsumedMessageIndex"] == 1)
        await alice.until(
            lambda: 1 in [one["lastConsumedMessageIndex"] for _, one in roster.items.values()]
        )
        moved = await alice.aim("POST", f"MyConversations/{sid}", {"last_read_message_index": None})
        assert moved["unread_messages_count"] is None
        await alice.aim("POST", f"MyConversations/{sid}", {"notification_level": "muted"})
        await alice.until(lambda: mine.items[sid][1]["notificationLevel"] == "muted")
        assert clean(place)


async def test_recipients_are_listed_by_pages_of_messages(dsn: str) -> None:
    async with town(dsn) as place, place.client("alice") as alice:
        sid = await place.conversation("alice")
        pair = {"MessagingBinding.Address": PHONE, "MessagingBinding.ProxyAddress": SMS}
        await place.rest("POST", f"/Conversations/{sid}/Participants", pair)
        said = [(await place.say(sid, f"{n}", "alice"))["sid"] for n in range(3)]
        path = f"Conversations/{sid}/MessageRecipients"

        async def listed(**params: str) -> tuple[list[str], dict[str, str | None]]:
            found = await alice.aim("GET", path, params=params)
            return [one["message_sid"] for one in found["message_recipients"]], found["meta"]

        found, meta = await listed(PageSize="2")
        assert found == said[:2] and meta["previous_token"] is None
        found, meta = await listed(PageSize="2", PageToken=meta["next_token"] or "")
        assert found == said[2:] and meta["next_token"] is None
        found, meta = await listed(PageSize="1", PageToken=meta["previous_token"] or "")
        assert found == said[1:2] and meta["next_token"] and meta["previous_token"]
        asked = (said[0], said[:1]), (shouted(said[0]), said[:1]), ("IMx", []), ("%00", [])
        for one, wanted in asked:
            assert (await listed(MessageSid=one))[0] == wanted
        status, _, _ = await alice.request("GET", f"/Client/v2/{path}", params={"PageToken": "x"})
        assert status == 400
        assert clean(place)


async def test_a_conversation_tells_how_many_are_in_it_and_messages(dsn: str) -> None:
    async with town(dsn) as place, place.client("alice") as alice:
        sid = await place.conversation("alice", "bob")
        said = [(await place.say(sid, f"{n}", "alice"))["sid"] for n in range(3)]

        async def counts() -> tuple[int, int]:
            shown = await alice.aim("GET", f"Conversations/{sid}")
            return shown["participants_count"], shown["messages_count"]

        assert await counts() == (2, 3)
        await alice.aim("DELETE", f"Conversations/{sid}/Messages/{said[2]}", {})
        await place.rest("DELETE", f"/Conversations/{sid}/Messages/{said[0]}")
        assert await counts() == (2, 1)
        await place.say(sid, "another", "bob")
        assert await counts() == (2, 2)
        # However many there are, they are not read for it.
        async with place.service.runtime.db.begin() as tx:
            await tx.sql.execute(MANY, sid)
        assert await counts() == (2, 1_000_000 - 2)
        assert clean(place)


async def test_the_digits_of_a_sid_come_in_either_case(dsn: str) -> None:
    async with town(dsn) as place, place.client("alice") as alice:
        sid = await place.conversation("alice", "bob")
        _, messages, _ = await joined(alice, sid)
        inside = f"Conversations/{shouted(sid)}"
        said = await alice.aim("POST", f"{inside}/Messages", {"body": "x"})
        assert said["conversation_sid"] == sid
        message = f"{inside}/Messages/{shouted(said['sid'])}"
        assert (await alice.aim("GET", message))["sid"] == said["sid"]
        assert (await alice.aim("POST", message, {"body": "y"}))["body"] == "y"
        await alice.aim("DELETE", message, {})
        await alice.until(lambda: ("removed", 0) in messages.raised)
        assert (await alice.aim("GET", f"MyConversations/{shouted(sid)}"))["status"] == "joined"
        path = client_media.service_path(place.service_sid)
        brought = await place.http.post(
            f"{place.url}{path}?Category=media",
            data=b"x",
            headers={"X-Twilio-Token": place.token("alice"), "Content-Type": "text/plain"},
        )
        file = (await brought.json())["sid"]
        said = await alice.aim("POST", f"{inside}/Messages", {"media_sids": [shouted(file)]})
        assert [one["sid"] for one in said["media"]] == [file]
        for none in ("ME\x00", "x", "ME" + "0" * 32):
            bad = {"media_sids": [none]}
            assert await refused(alice, "POST", f"{inside}/Messages", bad) == (404, 50507)
        me = (await alice.aim("GET", f"MyConversations/{sid}"))["participant_sid"]
        await alice.aim("DELETE", f"{inside}/Participants/{shouted(me)}", {})
        assert await refused(alice, "GET", f"MyConversations/{sid}") == (403, 50430)
        assert clean(place)


async def test_users_are_seen_and_changed(dsn: str) -> None:
    async with town(dsn) as place, place.client("alice") as alice, place.client("bob") as bob:
        shown = await bob.aim("GET", "Users/alice")
        info = await bob.open("Maps", shown["sync_objects"]["user_info_map"])
        await bob.items(info)
        await bob.subscribe(info)
        await alice.aim("POST", "Users/alice", {"friendly_name": "Alice"})
        await bob.until(lambda: info.items["friendlyName"][1]["value"] == "Alice")
        await alice.aim("POST", "Users/alice", {"attributes": '{"a":1}'})
        await bob.until(lambda: info.items["attributes"][1]["value"] == '{"a":1}')
        assert await refused(bob, "POST", "Users/alice", {"friendly_name": "X"}) == (403, 50107)
        assert clean(place)


async def test_who_types_is_seen_by_the_others(dsn: str) -> None:
    async with town(dsn) as place, place.client("alice") as alice, place.client("bob") as bob:
        sid = await place.conversation("alice", "bob")
        status, answer, _ = await alice.request(
            "POST",
            "/Client/v2/Typing",
            f"ChannelSid={sid}".encode(),
            kind="application/x-www-form-urlencoded",
        )
        assert (status, answer) == (200, {"typing_timeout": 5})
        kind = "twilio.ipmsg.typing_indicator"
        await bob.until(lambda: [one for one in bob.pushed if one[0] == kind])
        seen = next(body for one, body in bob.pushed if one == kind)
        assert seen == {"channel_sid": sid, "identity": "alice", "typing_timeout": 6}
        assert [one for one in alice.pushed if one[0] == kind] == []


async def test_who_comes_and_goes_is_seen_where_the_service_shows_it(dsn: str) -> None:
    async with town(dsn) as place, place.client("bob") as bob:
        path = f"/Services/{place.service_sid}/Configuration"
        await place.rest("POST", path, {"ReachabilityEnabled": "true"})
        await place.rest("POST", "/Users", {"Identity": "alice"})
        info = await bob.open("Maps", "alice.info")
        await bob.items(info)
        await bob.subscribe(info)
        assert (await place.rest("GET", "/Users/alice"))["is_online"] is None
        async with place.client("alice"):
            await bob.until(lambda: info.items["reachability"][1]["online"])
            assert (await place.rest("GET", "/Users/alice"))["is_online"] is True
        await bob.until(lambda: not info.items["reachability"][1]["online"])
        assert (await place.rest("GET", "/Users/alice"))["is_online"] is False
        assert clean(place)


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("POST", "Conversations/{sid}/Messages", {"body": "x"}, (403, 50430)),
        ("POST", "Conversations/{sid}", {"friendly_name": "x"}, (403, 50430)),
        ("DELETE", "Conversations/{sid}", {}, (403, 50430)),
        ("DELETE", "Conversations/{sid}/Participants/bob", {}, (403, 50430)),
        ("POST", "MyConversations/{sid}", {"last_read_message_index": 0}, (403, 50430)),
        ("GET", "MyConversations/{sid}", None, (403, 50430)),
        ("GET", "Conversations/CH" + "0" * 32, None, (404, 50350)),
        ("POST", "Nothing", {}, (404, 20404)),
    ],
)
async def test_who_is_not_in_it_is_refused(
    dsn: str, method: str, path: str, body: object, code: tuple[int, int]
) -> None:
    async with town(dsn) as place, place.client("mallory") as mallory:
        sid = await place.conversation("bob")
        assert await refused(mallory, method, path.format(sid=sid), body) == code
        for kind, name in (("Lists", f"{sid}.messages"), ("Maps", f"{sid}.roster")):
            status, answer, _ = await mallory.request("GET", f"/v3/{kind}/{name}")
            assert (status, answer["code"]) == (404, 54150 if kind == "Lists" else 54200)
        status, _, _ = await mallory.request("GET", "/v3/Maps/bob.my_conversations")
        assert status == 404


async def test_a_member_without_the_permission_is_refused(dsn: str) -> None:
    async with town(dsn) as place, place.client("bob") as bob:
        sid = await place.conversation("bob")
        rename = ("POST", f"Conversations/{sid}", {"friendly_name": "x"})
        assert await refused(bob, *rename) == (403, 50107)
        assert await refused(bob, "DELETE", f"Conversations/{sid}", {}) == (403, 50107)
        add = ("POST", f"Conversations/{sid}/Participants", {"identity": "carol"})
        assert await refused(bob, *add) == (403, 50107)


def shouted(sid: str) -> str:
    """A SID with its digits in upper case."""
    return sid[:2] + sid[2:].upper()


async def roles_of(place: Town) -> list[dict[str, str]]:
    shown: list[dict[str, str]] = (await place.rest("GET", "/Roles"))["roles"]
    return shown


def clean(place: Town) -> bool:
    """Nothing broke."""
    return [one for one in place.observed if isinstance(one, Failed)] == []


async def test_a_role_decides_what_its_holder_may_do(dsn: str) -> None:
    async with town(dsn) as place, place.client("bob") as bob:
        sid = await place.conversation("bob")
        empty = [
            ("FriendlyName", "reader"),
            ("Type", "conversation"),
            ("Permission", "sendMessage"),
        ]
        role = await place.rest("POST", "/Roles", empty)
        await place.rest("POST", f"/Conversations/{sid}/Participants/bob", {"RoleSid": role["sid"]})
        shown = await bob.aim("GET", f"Conversations/{sid}")
        assert (shown["participants_count"], shown["messages_count"]) == (1, 0)
        sent = await bob.aim("POST", f"Conversations/{sid}/Messages", {"body": "allowed"})
        path = f"Conversations/{sid}/Messages/{sent['sid']}"
        assert await refused(bob, "POST", path, {"body": "x"}) == (403, 50107)
        assert await refused(bob, "DELETE", path, {}) == (403, 50107)
        assert await refused(bob, "DELETE", f"Conversations/{sid}/Participants/bob", {}) == (
            403,
            50107,
        )
        mute = ("POST", f"MyConversations/{sid}", {"notification_level": "muted"})
        assert await refused(bob, *mute) == (403, 50107)
        media = ("POST", f"Conversations/{sid}/Messages", {"media_sids": ["ME" + "0" * 32]})
        assert await refused(bob, *media) == (403, 50107)
        await place.rest("POST", f"/Roles/{role['sid']}", [("Permission", "editAnyMessage")])
        assert await refused(bob, "POST", f"Conversations/{sid}/Messages", {"body": "x"}) == (
            403,
            50107,
        )
        await bob.aim("POST", path, {"body": "edited"})
