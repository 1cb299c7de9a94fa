"""Files that applications send and open, over HTTP, one and several."""

from __future__ import annotations

from hashlib import sha256

import pytest

from tests.realtime.sdk.clients import SdkError
from tests.realtime.sdk.place import Place

OPEN = "const it = await client.getConversationBySid(sid); "
BYTES = "const bytes = (size) => Array.from({length: size}, (_, i) => (i * 7) % 251); "
PNG = "const png = (n) => file([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, n]); "
FETCH = (
    "const load = async (url) => base64(new Uint8Array(await (await fetch(url)).arrayBuffer())); "
)


async def test_one_file_is_sent_and_opened(here: Place) -> None:
    alice, bob = await here.arrive("alice"), await here.arrive("bob")
    sid = await here.meeting(alice, bob)
    size = 300_000
    sent = await alice.run(
        OPEN + BYTES + "const media = bytes(size);"
        "await it.sendMessage({contentType: 'application/octet-stream', media: file(media),"
        " filename: 'ä b.bin'}); return base64(media)",
        sid=sid,
        size=size,
    )
    heard = await bob.saw("messageAdded", type="media")
    [medium] = heard["media"]
    assert (medium["filename"], medium["size"]) == ("ä b.bin", size)
    opened = await bob.run(
        OPEN + FETCH + "const one = (await it.getMessages(1)).items[0];"
        "return load(await one.attachedMedia[0].getContentTemporaryUrl())",
        sid=sid,
    )
    assert sha256(opened.encode()).digest() == sha256(sent.encode()).digest()
    shown = (await here.messages(sid))[-1]
    assert [(one["sid"], one["filename"]) for one in shown["media"]] == [(medium["sid"], "ä b.bin")]


async def test_several_files_and_a_text_are_one_message(here: Place) -> None:
    alice, bob = await here.arrive("alice"), await here.arrive("bob")
    sid = await here.meeting(alice, bob)
    index = await alice.run(
        OPEN + PNG + "return it.prepareMessage().setBody('three pictures').setAttributes({n: 3})"
        ".addMedia({contentType: 'image/png', media: png(1), filename: '1.png'})"
        ".addMedia({contentType: 'image/png', media: png(2), filename: '2.png'})"
        ".addMedia({contentType: 'text/plain', media: 'words', filename: '3.txt'})"
        ".build().send()",
        sid=sid,
    )
    assert index == 1
    heard = await bob.saw("messageAdded", body="three pictures")
    assert [one["filename"] for one in heard["media"]] == ["1.png", "2.png", "3.txt"]
    opened = await bob.run(
        OPEN + FETCH + "const one = (await it.getMessages(1)).items[0];"
        "const urls = await client.getTemporaryContentUrlsForMedia(one.attachedMedia);"
        "return Promise.all(one.attachedMedia.map(({sid}) => load(urls.get(sid))))",
        sid=sid,
    )
    assert [len(one) > 0 for one in opened] == [True] * 3
    assert opened[2] == "d29yZHM="


async def test_a_file_goes_with_one_message_of_who_brought_it(here: Place) -> None:
    alice = await here.arrive("alice")
    sid = await here.meeting(alice)
    with pytest.raises(SdkError) as caught:
        await alice.run(
            OPEN + "return it.sendMessage({contentType: 'image/png', media: 'no picture'})",
            sid=sid,
        )
    assert caught.value.status == 400
    assert [one["index"] for one in await here.messages(sid)] == [0]


async def test_who_is_not_in_the_conversation_opens_nothing(here: Place) -> None:
    alice, bob = await here.arrive("alice"), await here.arrive("bob")
    ours = await here.meeting(alice)
    await here.meeting(bob)
    await alice.run(
        OPEN + "await it.sendMessage({contentType: 'text/plain', media: 'secret'})", sid=ours
    )
    [medium] = (await alice.saw("messageAdded", type="media"))["media"]
    with pytest.raises(SdkError) as caught:
        await bob.run(
            "return client.getTemporaryContentUrlsForMediaSids([medium])", medium=medium["sid"]
        )
    assert medium["sid"] in caught.value.message
