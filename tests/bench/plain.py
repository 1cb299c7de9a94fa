"""The same sends without lanes, as a process (`python -m tests.bench.plain SINK COUNT`): the same
carrier and client, as many at once as the service has in flight; prints sends per second."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from time import perf_counter

import aiohttp
import uvloop

from app.carriers.contract import Context
from app.carriers.sandbox import Options, build
from app.clock import Clock
from app.model.traffic import Outgoing
from app.settings.models import DeliverySettings
from tests.bench import town


async def send(url: str, count: int) -> float:
    """Sends per second."""
    carrier = build(town.LAB, Options(url=url))
    in_flight = DeliverySettings().in_flight
    left = iter(range(count))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=in_flight)) as http:
        context = Context(http, Clock())

        async def sender() -> None:
            for number in left:
                await carrier.send(_outgoing(url, number), context)

        began = perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(in_flight):
                group.create_task(sender())
        return count / (perf_counter() - began)


def _outgoing(url: str, number: int) -> Outgoing:
    return Outgoing(
        reference=f"DY{number:032x}",
        channel="sms",
        address=town.address(town.COLLEAGUE, number),
        proxy_address=town.LAB_ADDRESS,
        body="Is the bicycle still for sale?",
        media=(),
        status_url=f"{url}/status?receipt=DY{number:032x}",
        started_at=datetime.now(UTC),
    )


if __name__ == "__main__":
    print(uvloop.run(send(sys.argv[1], int(sys.argv[2]))))
