"""What comes from phones, as the SDK shows it: what their channel told about it, too."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.town import WHATSAPP
from tests.realtime.sdk.clients import Person, SdkError
from tests.realtime.sdk.place import HELLO, OURS, Place

OPEN = "const it = await client.getConversationBySid(sid); "
TOLD = (
    OPEN
    + "const found = (await it.getMessages()).items.find((one) => one.sid === message);"
    + "return found.getChannelMetadata()"
)
CARRIED = {"type": "sms", "data": {"context": {"FromCity": "SAN JOSE", "NumSegments": "1"}}}


async def told(one: Person, heard: Any) -> Any:
    """What the SDK gives as a message's channel metadata."""
    return await one.run(TOLD, sid=heard["conversation"], message=heard["sid"])


@pytest.mark.parametrize(("prefix", "ours"), [("", OURS), ("whatsapp:", WHATSAPP)])
async def test_what_the_channel_told_about_a_message_is_read(
    here: Place, prefix: str, ours: str
) -> None:
    alice, bob = await here.arrive("alice"), await here.arrive("bob")
    number = here.number()
    phone = f"{prefix}{number}"
    context = {"ProfileName": "Ann Ω", "WaId": number, "Deep": {"n": [1, None]}}
    metadata = {"type": prefix.rstrip(":") or "sms", "data": {"context": context}}
    sid = await here.meeting(alice, bob)
    pair = {"MessagingBinding.Address": phone, "MessagingBinding.ProxyAddress": ours}
    await here.rest("POST", f"/v1/Conversations/{sid}/Participants", pair)
    here.town.world.phone(phone).text_later(ours, "with more", metadata=metadata)
    for one in (alice, bob):
        assert await told(one, await one.saw("messageAdded", body="with more")) == metadata
    [shown] = [one for one in await here.messages(sid) if one["body"] == "with more"]
    assert await here.rest("GET", shown["links"]["channel_metadata"]) == metadata
    assert await told(alice, await alice.saw("messageAdded", body=HELLO)) is None


async def test_it_is_there_for_who_comes_later(here: Place) -> None:
    phone, name = here.number(), here.stranger("alice")
    sid = await here.conversation(name)
    pair = {"MessagingBinding.Address": phone, "MessagingBinding.ProxyAddress": OURS}
    await here.rest("POST", f"/v1/Conversations/{sid}/Participants", pair)
    here.town.world.phone(phone).text_later(OURS, "from before", metadata=CARRIED)

    async def there() -> Any:
        return [one for one in await here.messages(sid) if one["body"] == "from before"]

    [message] = await here.until(there)
    alice = await here.arrive(name)
    assert await alice.run(TOLD, sid=sid, message=message["sid"]) == CARRIED


async def test_it_takes_a_permission(here: Place) -> None:
    alice, phone = await here.arrive("alice"), here.number()
    sid = await here.meeting(alice)
    pair = {"MessagingBinding.Address": phone, "MessagingBinding.ProxyAddress": OURS}
    await here.rest("POST", f"/v1/Conversations/{sid}/Participants", pair)
    here.town.world.phone(phone).text_later(OURS, "for some", metadata=CARRIED)
    heard = await alice.saw("messageAdded", body="for some")
    path = f"/v1/Conversations/{sid}/Participants/{alice.identity}"
    await here.rest("POST", path, {"RoleSid": await here.role("conversation", "sendMessage")})
    with pytest.raises(SdkError, match="failed"):  # it says no more than that
        await told(alice, heard)
    role = await here.role("conversation", "readChannelMetadata")
    await here.rest("POST", path, {"RoleSid": role})
    assert await told(alice, heard) == CARRIED
