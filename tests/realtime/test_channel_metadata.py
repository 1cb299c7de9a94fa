"""What channels tell about messages, through the tunnel: read by those who may."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from tests.realtime.test_everyday import refused
from tests.realtime.town import SMS, Town, town
from tests.support.database import connected

PHONE = "+15551230001"
TOLD = {"type": "sms", "data": {"context": {"FromCity": "SAN JOSE"}}}
VERSIONS = Path(__file__).parents[2] / "migrations" / "versions"


async def role(place: Town, kind: str, *permissions: str) -> str:
    """A role that allows only this; gives its SID."""
    form = [("FriendlyName", "mine"), ("Type", kind), *(("Permission", one) for one in permissions)]
    return str((await place.rest("POST", "/Roles", form))["sid"])


async def written(place: Town, sid: str) -> str:
    """Somebody writes by text message; gives the path of what was told about that."""
    pair = {"MessagingBinding.Address": PHONE, "MessagingBinding.ProxyAddress": SMS}
    await place.rest("POST", f"/Conversations/{sid}/Participants", pair)
    await place.phone(PHONE).text(SMS, "hello", metadata=TOLD)
    [message] = (await place.rest("GET", f"/Conversations/{sid}/Messages"))["messages"]
    return f"Conversations/{sid}/Messages/{message['sid']}/ChannelMetadata"


async def test_it_takes_a_permission_of_either_role(dsn: str) -> None:
    async with town(dsn) as place, place.client("bob") as bob, place.client("eve") as eve:
        sid = await place.conversation("bob")
        path = await written(place, sid)
        assert await bob.aim("GET", path) == TOLD  # the roles that services begin with allow it
        theirs = await role(place, "conversation", "sendMessage")
        member = f"/Conversations/{sid}/Participants/bob"
        await place.rest("POST", member, {"RoleSid": theirs})
        assert await refused(bob, "GET", path) == (403, 50531)
        ours = await role(place, "service", "readChannelMetadata")
        await place.rest("POST", "/Users/bob", {"RoleSid": ours})
        assert await bob.aim("GET", path) == TOLD
        await place.rest("POST", "/Users/eve", {"RoleSid": ours})
        assert await refused(eve, "GET", path) == (403, 50430)


async def test_roles_of_before_the_permission_counted_keep_what_they_allowed(dsn: str) -> None:
    async with town(dsn) as place, place.client("bob") as bob:
        sid = await place.conversation("bob")
        path = await written(place, sid)
        theirs = await role(place, "conversation", "sendMessage")
        other = await role(place, "service", "createConversation")
        await place.rest("POST", f"/Conversations/{sid}/Participants/bob", {"RoleSid": theirs})
        [revision] = VERSIONS.glob("*_who_reads_channel_metadata.py")
        give = import_module(f"migrations.versions.{revision.stem}").GIVE
        async with connected(dsn) as sql:
            await sql.execute(give)
            await sql.execute(give)
        assert await bob.aim("GET", path) == TOLD
        shown = (await place.rest("GET", f"/Roles/{theirs}"))["permissions"]
        assert sorted(shown) == ["readChannelMetadata", "sendMessage"]
        assert (await place.rest("GET", f"/Roles/{other}"))["permissions"] == ["createConversation"]
