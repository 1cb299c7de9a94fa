"""The guard on URLs that users give: judged by the address that a socket connects to."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

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
    "::127.0.0.1",
    "100::1",
    "240.0.0.1",
    "2001:0:0:0:0:0:80ff:fffe",
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
    "fec0::1",
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
    "host",
    [
        *("127.0.0.1", "2130706433", "017700000001", "0177.0.0.1", "0x7f.1", "0x7f000001"),
        *("127.1", "0", "0.0.0.0", "localhost", "LOCALHOST", "user:secret@127.0.0.1"),
        *("[::1]", "[::]", "[::ffff:7f00:1]", "[::ffff:127.0.0.1]", "[::7f00:1]"),
        *("[64:ff9b::7f00:1]", "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]"),
    ],
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


class Turncoat(AbstractResolver):
    """Names an address that is open to whoever asks first, and another one afterwards."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        address = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        found: ResolveResult = {
            "hostname": host,
            "host": address,
            "port": port,
            "family": family,
            "proto": 0,
            "flags": socket.AI_NUMERICHOST,
        }
        return [found]

    async def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize("closed", ["127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"])
async def test_a_name_that_changes_its_answer_is_judged_by_where_it_leads(
    door: str, closed: str
) -> None:
    """Whoever checks the name first is told of an open address; the socket is led elsewhere."""
    resolver = Turncoat("93.184.216.34", closed)
    assert (await resolver.resolve("rebound.example"))[0]["host"] == "93.184.216.34"
    async with egress.client(CLOSED, limit=5, resolver=resolver) as client:
        url = f"http://rebound.example:{door}/"
        with pytest.raises(aiohttp.ClientError, match=r"egress\.open"):
            async with egress.call(client, "GET", url, timeout_s=5):
                pass
    assert resolver.asked == 2


async def test_a_name_may_not_lead_on_where_its_connection_led_before(door: str) -> None:
    """A connection that is kept alive is one that was checked: by its host, not by its name."""
    resolver = Turncoat("127.0.0.1")
    open_by_name = EgressSettings(open=("one.example",))
    async with egress.client(open_by_name, limit=5, resolver=resolver) as client:
        async with egress.call(client, "GET", f"http://one.example:{door}/", timeout_s=5) as answer:
            await answer.read()
        with pytest.raises(aiohttp.ClientError, match=r"egress\.open"):
            async with egress.call(client, "GET", f"http://two.example:{door}/", timeout_s=5):
                pass


async def test_no_proxy_of_the_environment_is_asked(door: str, monkeypatch: Any) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with egress.client(EgressSettings(open=("127.0.0.1",)), limit=5) as client:
        url = f"http://127.0.0.1:{door}/"
        async with egress.call(client, "GET", url, timeout_s=5) as answer:
            assert answer.status == 200


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """A certificate of localhost that is its own root, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    made, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext"]
    command += ["subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(made)]
    subprocess.run(command, check=True, capture_output=True)
    yield made, key


async def test_what_each_part_took_is_written_down(certificate: tuple[Path, Path]) -> None:
    made, key = certificate
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made, key)

    async def answer(request: web.Request) -> web.Response:
        await asyncio.sleep(0.03)
        return web.Response()

    application = web.Application()
    application.router.add_get("/", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    url = f"https://localhost:{runner.addresses[0][1]}/"
    tls = egress.trusting(str(made))
    settings = EgressSettings(open=("127.0.0.1", "::1"))
    resolver = Turncoat("127.0.0.1")
    async with egress.client(settings, limit=5, resolver=resolver, tls=tls) as client:
        took = []
        for _ in range(2):
            timing = egress.start_timing()
            async with egress.call(client, "GET", url, timeout_s=5) as response:
                await response.read()
            took.append(timing.millis())
    assert set(took[0]) == {"dns", "connect", "tls", "first_byte", "total"}
    assert took[0]["first_byte"] >= 29
    assert sum(took[0].values()) - took[0]["total"] <= took[0]["total"] + 4
    assert set(took[1]) == {"first_byte", "total"}, "the connection was there already"
    async with egress.client(settings, limit=5, resolver=resolver) as client:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            async with egress.call(client, "GET", url, timeout_s=5):
                pass
    await runner.cleanup()
