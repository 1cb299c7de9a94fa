"""Connect, list, read, hear of a message, send one."""

from __future__ import annotations

from app.observe import Failed
from tests.realtime.town import joined, town


async def test_a_client_connects_lists_reads_hears_and_sends(dsn: str) -> None:
    async with town(dsn) as place:
        sid = await place.conversation("alice", "bob")
        await place.say(sid, "héllo ☃", "bob")
        async with place.client("alice") as alice:
            shown = await alice.aim("GET", "Configuration")
            assert shown["identity"] == "alice"
            mine = await alice.open("Maps", shown["sync_objects"]["my_conversations"])
            info = await alice.open("Maps", shown["sync_objects"]["my_user_info"])
            await alice.items(mine, PageSize="50", Order="asc")
            await alice.items(info, Key="friendlyName")
            assert list(mine.items) == [sid]
            listed = await alice.aim("GET", "MyConversations")
            assert [one["conversation_sid"] for one in listed["conversations"]] == [sid]
            document, messages, roster = await joined(alice, sid)
            await alice.subscribe(mine, info)
            assert document.data["lastMessage"]["index"] == 0
            page = await alice.items(messages, PageSize="30", Order="desc")
            assert [one["data"]["text"] for one in page["items"]] == ["héllo ☃"]
            assert sorted(one["identity"] for _, one in roster.items.values()) == ["alice", "bob"]

            await place.say(sid, "pushed", "bob")
            await alice.until(lambda: ("added", 1) in messages.raised)
            await alice.until(lambda: document.data["lastMessage"]["index"] == 1)
            sent = await alice.aim(
                "POST", f"Conversations/{sid}/Messages", {"body": "mine", "attributes": "{}"}
            )
            assert sent["index"] == 2
            await alice.until(lambda: ("added", 2) in messages.raised)
            assert messages.items[2][1]["author"] == "alice"
        assert [one for one in place.observed if isinstance(one, Failed)] == []


async def test_a_client_is_told_how_much_a_file_may_have(dsn: str) -> None:
    media = {"fetch": False, "bytes_max": 5 << 20}
    for changes, most in (({}, 150), ({"media": media}, 5)):
        async with town(dsn, **changes) as place, place.client("alice") as alice:
            options = (await alice.aim("GET", "Configuration"))["options"]
            assert options["media_attachment_size_limit_in_mb"] == most
            assert options["media_attachments_total_size_limit_in_mb"] == most
