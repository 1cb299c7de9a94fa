"""The guard on URLs that users give: judged by the address that a socket connects to."""

from __future__ import annotations

import aiohttp
import pytest
from aiohttp import web

from app import egress
from app.egress import Guard, Refused
from app.settings.models import EgressSettings

CLOSED = EgressSettings()

FORBIDDEN = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "169.254.169.254",
    "224.0.0.1",
    "255.255.255.255",
    "192.0.2.1",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::1",
    "2001:db8::1",
]
PRIVATE = [
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "fc00::1",
    "fd12::1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
    "2002:a00:1::1",
]
OPEN = ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "172.32.0.1", "100.128.0.1"]


@pytest.mark.parametrize("address", FORBIDDEN)
def test_forbidden_addresses_are_closed_even_with_private_open(address: str) -> None:
    for settings in (CLOSED, EgressSettings(private=True)):
        with pytest.raises(Refused, match=r"egress\.open"):
            Guard(settings).check(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_have_one_switch(address: str) -> None:
    with pytest.raises(Refused, match=r"egress\.private"):
        Guard(CLOSED).check(address)
    Guard(EgressSettings(private=True)).check(address)


@pytest.mark.parametrize("address", OPEN)
def test_public_addresses_are_open(address: str) -> None:
    Guard(CLOSED).check(address)


def test_an_entry_opens_exactly_what_it_names() -> None:
    guard = Guard(EgressSettings(open=("127.0.0.1", "169.254.10.0/24", "inside.example")))
    guard.check("127.0.0.1")
    guard.check("169.254.10.7")
    guard.check("10.0.0.1", "inside.example")
    for address, host in (("127.0.0.2", ""), ("169.254.11.1", ""), ("10.0.0.1", "other.example")):
        with pytest.raises(Refused):
            guard.check(address, host)


@pytest.fixture
async def door() -> str:
    """A server on loopback: whoever reaches it got through the guard."""
    application = web.Application()

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/redirect":
            raise web.HTTPFound("http://169.254.169.254/latest/meta-data")
        return web.Response(body=b"x" * 200_000)

    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield str(runner.addresses[0][1])
    await runner.cleanup()


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "2130706433", "017700000001", "0x7f.1", "localhost", "[::ffff:7f00:1]"]
)
async def test_no_spelling_of_loopback_gets_through(door: str, host: str) -> None:
    async with egress.client(CLOSED, limit=5) as client:
        with pytest.raises((aiohttp.ClientError, OSError, ValueError)) as error:
            async with egress.call(client, "GET", f"http://{host}:{door}/", timeout_s=5):
                pass
        assert "egress" in str(error.value) or isinstance(
            error.value, aiohttp.InvalidURL | ValueError
        )


async def test_a_host_opened_by_name_opens_its_address_for_itself_alone(door: str) -> None:
    async with egress.client(EgressSettings(open=("localhost",)), limit=5) as client:
        async with egress.call(client, "GET", f"http://localhost:{door}/", timeout_s=5) as answer:
            assert answer.status == 200
        with pytest.raises(aiohttp.ClientError):
            async with egress.call(client, "GET", f"http://127.0.0.1:{door}/", timeout_s=5):
                pass


async def test_redirects_are_not_followed_and_answers_are_cut(door: str) -> None:
    async with egress.client(EgressSettings(open=("127.0.0.1",)), limit=5) as client:
        url = f"http://127.0.0.1:{door}"
        async with egress.call(client, "POST", f"{url}/redirect", timeout_s=5) as answer:
            assert answer.status == 302
        async with egress.call(client, "POST", url, timeout_s=5) as answer:
            assert len(await egress.read(answer)) == egress.ANSWER_BYTES_MAX
