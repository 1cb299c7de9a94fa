"""Coming in, staying, and going: tokens, junk, who reads too slowly, a drain."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import orjson
import pytest

from app.clock import Clock
from app.observe import Failed
from app.realtime.frames import pack
from tests.realtime.town import ACCOUNT, KEY, SECRET, Town, joined, town
from tests.support import sdk
from tests.support.clock import TurnedClock
from tests.support.sdk import Sdk, raw

OTHER = {"sid": "AC" + "b" * 32, "auth_token": "another"}
KEYS = [{"sid": "SK" + "d" * 32, "secret": SECRET}]


async def test_a_bad_token_is_refused_with_its_code(dsn: str) -> None:
    async with town(dsn) as place:
        for bad, code in (
            ("nonsense", 20101),
            (place.token("alice", ttl_s=-10), 20104),
            (sdk.token("AC" + "a" * 32, "SK" + "c" * 32, "x" * 40, place.service_sid, "a"), 20107),
        ):
            async with raw(place.url) as client:
                status = (await client.init(bad)).header["status"]
                assert (status["code"], status["errorCode"]) == (401, code)
                # It may come again with a good one.
                good = await client.init(place.token("alice"))
                assert good.header["status"]["code"] == 200


async def test_requests_before_a_token_end_the_socket(dsn: str) -> None:
    async with town(dsn) as place, raw(place.url) as client:
        request = {"method": "GET", "path": "/Client/v2/Configuration", "host": "x"}
        header = {"method": "message", "id": "1", "http_request": request}
        await client.socket.send_bytes(pack(header))
        await client.until(client.closed.is_set)


@pytest.mark.parametrize(
    "junk", [b"", b"\x00" * 100, b"TWILSOCK V3.0 2\r\n[]\r\n", b"TWILSOCK V3.0 9\r\n{}"]
)
async def test_bytes_that_are_no_frame_end_the_socket(dsn: str, junk: bytes) -> None:
    async with town(dsn) as place, place.client("alice") as alice:
        await alice.socket.send_bytes(junk)
        await alice.until(alice.closed.is_set)
        assert clean(place)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v3/Maps/%00", None),
        ("GET", "/v3/Maps/x.info?Key=1", None),
        ("GET", "/v3/Lists/CHx.messages/Items", None),
        ("POST", "/v4/Subscriptions", {"requests": "x"}),
        ("POST", "/v4/Subscriptions", {"requests": [{"object_type": "map", "last_event_id": "x"}]}),
        ("POST", "/v4/Subscriptions", b"["),
        ("POST", "/Client/v2/Conversations", {"friendly_name": 7}),
        ("POST", "/Client/v2/Conversations", {"unique_name": "x" * 999}),
        ("POST", "/Client/v2/Conversations/%00/Messages", {"body": "x"}),
        ("POST", "/Client/v2/Typing", b"ChannelSid=1"),
        ("GET", "/Client/v2/MyConversations", None),
        ("POST", "/v1/registrations", {"channel_type": 1}),
        ("GET", "/Client/v2/Conversations/CHx/MessageRecipients", None),
        ("PUT", "/nowhere", None),
    ],
)
async def test_requests_that_are_wrong_are_refused_and_break_nothing(
    dsn: str, method: str, path: str, body: Any
) -> None:
    async with town(dsn) as place, place.client("alice") as alice:
        params = {"PageToken": "x", "PageSize": "x", "From": "\x00"}
        status, answer, said = await alice.request(method, path, body, params=params)
        assert 400 <= status < 500, (status, answer)
        assert answer["message"] == said and answer["status"] == status
        assert clean(place)


async def test_the_token_is_renewed_on_a_live_socket(dsn: str) -> None:
    async with town(dsn) as place, place.client("alice", 60) as alice:
        await alice.until(lambda: [one for one in alice.frames if one.method == "client_update"])
        other = await alice.ask({"method": "update", "token": place.token("bob")})
        assert other.header["status"]["code"] == 401
        mine = await alice.ask({"method": "update", "token": place.token("alice")})
        assert mine.header["status"]["code"] == 200
        assert (await alice.aim("GET", "Configuration"))["identity"] == "alice"


async def test_a_token_that_ends_ends_its_socket(dsn: str) -> None:
    async with town(dsn) as place, place.client("alice", 6) as alice:
        await alice.until(alice.closed.is_set)
        closing = [one for one in alice.frames if one.method == "close"]
        assert [one.header["status"]["code"] for one in closing] == [410]


async def test_who_reads_too_slowly_is_let_go_and_holds_nobody_up(dsn: str) -> None:
    small = {"limits": {"actions_per_s": 0}, "realtime": {"send_bytes_max": 65_536}}
    async with town(dsn, **small) as place, place.client("bob") as bob:
        sid = await place.conversation("alice", "bob")
        _, messages, _ = await joined(bob, sid)
        async with (
            aiohttp.ClientSession(read_bufsize=1024) as http,
            http.ws_connect(f"{place.url}/v3/wsconnect") as deaf,
        ):
            slow = Sdk(deaf)
            reading = asyncio.create_task(slow.run())
            await slow.init(place.token("alice"))
            await joined(slow, sid)
            reading.cancel()
            deaf._response.connection.transport.pause_reading()  # type: ignore[union-attr]
            body = "x" * 30_000
            sent = 0
            while len(place.hub_sessions()) == 2 and sent < 2000:
                await place.say(sid, body, "bob")
                sent += 1
            assert len(place.hub_sessions()) == 1
        await bob.until(lambda: len(messages.items) == sent)
        assert clean(place)


async def test_a_drain_finishes_requests_and_closes_sockets(dsn: str) -> None:
    async with town(dsn) as place:
        sid = await place.conversation("alice")
        client = place.client("alice")
        alice = await client.__aenter__()
        await joined(alice, sid)
        posts = [
            asyncio.create_task(
                alice.aim("POST", f"Conversations/{sid}/Messages", {"body": str(number)})
            )
            for number in range(5)
        ]
        await asyncio.sleep(0)
    answered = await asyncio.gather(*posts, return_exceptions=True)
    await alice.until(alice.closed.is_set)
    assert alice.socket.close_code == 1001
    indexes = [one["index"] for one in answered if isinstance(one, dict)]
    assert len(set(indexes)) == len(indexes)
    await client.__aexit__(None, None, None)


async def test_a_drain_tells_those_who_are_too_many_when_to_come_back(dsn: str) -> None:
    async with AsyncExitStack() as stack:
        async with town(dsn, realtime={"connections_per_s": 2}) as place:
            clients = [await stack.enter_async_context(raw(place.url)) for _ in range(5)]
            for number, client in enumerate(clients):
                await admitted(client, place.token(f"agent {number}"))
        for client in clients:
            await client.until(client.closed.is_set)
            assert client.socket.close_code == 1001
        hints = []
        for client in clients:
            told = [one for one in client.frames if one.method == "close"]
            assert [one.header["status"]["code"] for one in told] in ([], [308])
            said = [orjson.loads(one.payload)["backoff_policy"] for one in told]
            hints.append(said[0]["reconnect_min_ms"] if said else 0)
        assert sorted(hints) == [0, 0, 1000, 1000, 2000]


def clean(place: Town) -> bool:
    """Nothing broke."""
    return [one for one in place.observed if isinstance(one, Failed)] == []


async def test_who_wants_no_websocket_is_told_what_is_here(dsn: str) -> None:
    async with town(dsn, realtime={"connections_max": 1}) as place:
        async with place.http.get(f"{place.url}/v3/wsconnect") as response:
            assert (response.status, (await response.json())["code"]) == (400, 20400)
        async with place.client("alice"):
            with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
                async with raw(place.url):
                    pass


async def test_who_comes_too_many_at_once_is_told_when_to_come_again(dsn: str) -> None:
    few = {"connections_per_s": 0.01}
    async with (
        town(dsn, realtime=few) as place,
        place.client("alice"),
        raw(place.url) as other,
    ):
        refused = await other.init(place.token("bob"))
        assert refused.header["status"]["code"] == 429
        hint = orjson.loads(refused.payload)["backoff_policy"]["reconnect_min_ms"]
        assert 1000 <= hint <= 10_000


async def test_a_connection_that_asks_too_much_is_told_so(dsn: str) -> None:
    async with town(dsn, realtime={"requests_per_s": 5}) as place, place.client("alice") as alice:
        answers = await asyncio.gather(
            *(alice.request("GET", "/Client/v2/Configuration") for _ in range(12))
        )
        assert sorted({status for status, _, _ in answers}) == [200, 429]
        async with place.client("bob") as bob:
            assert (await bob.request("GET", "/Client/v2/Configuration"))[0] == 200


async def test_an_account_has_so_many_connections_and_another_has_its_own(dsn: str) -> None:
    limits = {"account_connections_max": 2}
    async with (
        town(dsn, realtime=limits, accounts=[OTHER | {"api_keys": KEYS}]) as place,
        place.client("alice"),
        place.client("bob") as bob,
        raw(place.url) as third,
    ):
        refused = await third.init(place.token("carol"))
        assert refused.header["status"]["code"] == 429
        assert orjson.loads(refused.payload)["backoff_policy"]["reconnect_min_ms"] >= 1000
        # Who is in may renew a token; another account has room of its own.
        renewed = await bob.ask({"method": "update", "token": place.token("bob")})
        assert renewed.header["status"]["code"] == 200
        async with sdk.connected(place.url, await of_another(place, "dave")):
            pass
        # The room of somebody who leaves is free again.
        await bob.socket.close()
        await admitted(third, place.token("carol"))


async def of_another(place: Town, identity: str) -> str:
    """An access token of the other account."""
    login = {"Authorization": aiohttp.encode_basic_auth(*OTHER.values())}
    async with place.http.get(f"{place.url}/v1/Configuration", headers=login) as response:
        theirs = (await response.json())["default_chat_service_sid"]
    return sdk.token(OTHER["sid"], KEYS[0]["sid"], SECRET, theirs, identity)


async def test_who_is_refused_takes_no_room(dsn: str) -> None:
    async with town(dsn, realtime={"account_connections_max": 1}) as place:
        nowhere = sdk.token(ACCOUNT, KEY, SECRET, "IS" + "0" * 32, "alice")
        async with raw(place.url) as alice:
            for _ in range(2):
                assert (await alice.init(nowhere)).header["status"]["code"] == 401
            assert (await alice.init(place.token("alice"))).header["status"]["code"] == 200


async def admitted(client: Sdk, token: str) -> None:
    """Ask until there is room."""
    async with asyncio.timeout(sdk.WITHIN_S):
        while (await client.init(token)).header["status"]["code"] != 200:
            pass


async def test_all_accounts_together_come_only_so_fast(dsn: str) -> None:
    few = {"all_connections_per_s": 0.01}
    async with (
        town(dsn, realtime=few) as place,
        place.client("alice"),
        raw(place.url) as other,
    ):
        refused = await other.init(place.token("bob"))
        assert refused.header["status"]["code"] == 429


async def test_who_waits_for_other_accounts_keeps_the_turn_of_its_own(dsn: str) -> None:
    few = {"connections_per_s": 0.01, "all_connections_per_s": 1}
    clock = TurnedClock(Clock().now())
    async with (
        town(dsn, clock, realtime=few, accounts=[OTHER | {"api_keys": KEYS}]) as place,
        sdk.connected(place.url, await of_another(place, "dave")),
        raw(place.url) as alice,
    ):
        for _ in range(3):
            assert (await alice.init(place.token("alice"))).header["status"]["code"] == 429
        clock.turn(1)
        assert (await alice.init(place.token("alice"))).header["status"]["code"] == 200


async def test_an_account_that_asks_too_much_is_told_so_on_every_connection(dsn: str) -> None:
    few = {"account_requests_per_s": 0.5}
    async with (
        town(dsn, realtime=few) as place,
        place.client("alice") as alice,
        place.client("bob") as bob,
    ):
        answers = await asyncio.gather(
            *(one.request("GET", "/Client/v2/Configuration") for one in (alice, bob) * 4)
        )
        assert sorted({status for status, _, _ in answers}) == [200, 429]
        [too_many] = {said for status, _, said in answers if status == 429}
        assert too_many == "Too Many Requests"
