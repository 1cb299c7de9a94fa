"""The SDK without an option: DNS leads its name to us, and it trusts our certificate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.faults.ground import Ground
from tests.realtime.sdk.balancer import Balancer, balancer
from tests.realtime.sdk.chromium import chromium
from tests.realtime.sdk.clients import Clients, Drive, Person
from tests.realtime.sdk.node import node
from tests.realtime.sdk.place import Place, place
from tests.realtime.sdk.tab import tab
from tests.support.tls import Authority

SOCKET, ELSEWHERE, OURS = "tsock.us1.twilio.com", "tsock.de1.twilio.com", "chat.example.com"
NAMES = (SOCKET, ELSEWHERE, OURS)
NETWORK = Path(__file__).with_name("network.js")

OPEN = "const it = await client.getConversationBySid(sid); "
MEDIUM = (
    OPEN + "await it.sendMessage({contentType: 'text/plain', media: 'words', filename: 'a.txt'})"
)
OPENED = (
    OPEN
    + "const [one] = (await it.getMessages(1)).items;"
    + "const url = await one.attachedMedia[0].getContentTemporaryUrl();"
    + "return [url, await (await fetch(url)).text()]"
)


def in_node(authority: Authority, port: int, folder: Path) -> Drive:
    """Node, which trusts the authority, in a network of these names."""
    names = ",".join(f"{name}={port}" for name in NAMES)
    return partial(
        node, "--require", str(NETWORK), NAMES=names, NODE_EXTRA_CA_CERTS=str(authority.pem)
    )


def in_chromium(authority: Authority, port: int, folder: Path) -> Drive:
    """A browser, likewise."""
    rules = [f"MAP {name}:443 127.0.0.1:{port}" for name in NAMES]
    flags = (
        f"--host-resolver-rules={', '.join([*rules, 'MAP * ~NOTFOUND', 'EXCLUDE 127.0.0.1'])}",
        f"--ignore-certificate-errors-spki-list={authority.pin}",
    )

    @asynccontextmanager
    async def drive() -> AsyncIterator[Clients]:
        async with chromium(folder, *flags) as browser, tab(browser) as clients:
            yield clients

    return drive


@pytest.fixture(scope="module", params=["node", "chromium"])
def where(request: pytest.FixtureRequest) -> str:
    """Where clients run."""
    return str(request.param)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is kept."""
    return tmp_path_factory.mktemp("named")


@pytest.fixture(scope="module")
async def door(where: str, folder: Path) -> AsyncIterator[tuple[Balancer, Authority]]:
    """What is behind the names: it ends TLS."""
    authority = Authority(folder)
    async with balancer(authority.server(*NAMES)) as one:
        yield one, authority


@pytest.fixture(scope="module")
async def named(
    ground: Ground, where: str, door: tuple[Balancer, Authority], folder: Path
) -> AsyncIterator[Place]:
    """A place that clients find by its names."""
    front, authority = door
    drives = {"node": in_node, "chromium": in_chromium}
    drive = drives[where](authority, front.port, folder / where)
    async with place(ground, folder, drive, public_url=f"https://{OURS}") as one:
        front.ports = one.front.ports
        yield one
        assert one.clients.unhandled() == []


async def test_no_option_is_needed_behind_the_names(
    named: Place, where: str, door: tuple[Balancer, Authority]
) -> None:
    front, _ = door
    alice, bob = await named.arrive("alice"), await named.arrive("bob")
    sid = await named.meeting(alice, bob)
    await alice.run(OPEN + "await it.sendMessage('by name')", sid=sid)
    await bob.saw("messageAdded", body="by name")
    listed = "return (await client.getSubscribedConversations()).items.map((one) => one.sid)"
    assert await bob.run(listed) == [sid]

    # Files go to our own name, which we tell.
    await alice.run(MEDIUM, sid=sid)
    await bob.saw("messageAdded", type="media")
    url, said = await bob.run(OPENED, sid=sid)
    assert url.startswith(f"https://{OURS}/media/") and said == "words"

    # A connection that breaks is made again, by the same name.
    since = alice.mark
    front.cut()
    await alice.turns("connected", since)
    await named.say(sid, "after")
    await alice.saw("messageAdded", body="after")
    if where == "node":
        looked = set(await alice.run("return [...looked]"))
        assert {SOCKET, OURS} <= looked <= set(NAMES)
    assert sum(front.served.values()) >= 4


async def test_another_region_has_another_name(named: Place) -> None:
    identity = named.stranger("alice")
    alice = Person(named.clients, identity, identity)
    await alice.open(named.token(identity), None, region="de1")
    await alice.saw("initialized")
    sid = await named.meeting(alice)
    assert [one["conversation"] for one in alice.all("messageAdded")] == [sid]
