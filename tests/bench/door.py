"""Our own door without a database, as a process (`python -m tests.bench.door PORT`): HTTP, form,
signature, observations, and a convoy that does nothing."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence

import uvloop
from aiohttp import web

from app.carriers import discover
from app.clock import Clock
from app.convoy import Convoy
from app.inbound.door import Doors
from app.model.traffic import Status
from app.observe import Observe
from app.ops import logging
from app.ops.metrics import Metrics
from app.road.items import Arrival, Draft, Posted, Road, Taken
from app.runtime import Runtime
from app.settings.models import Settings
from tests.bench import town

SID = "XX" + "0" * 32


async def walk(convoy: Sequence[Arrival | Draft]) -> Sequence[Taken | Posted | Exception]:
    """A road that leads nowhere."""
    return [Taken("joined", "binding", None, SID, SID) for _ in convoy]


def report(status: Status) -> asyncio.Future[bool]:
    """Nobody has sent anything."""
    found: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    found.set_result(False)
    return found


async def serve(port: int) -> None:
    """Serve until terminated."""
    settings = Settings.model_validate(json.loads(town.settings(port)))
    observe = Observe()
    logging.set_up(settings.ops)
    observe.to(logging.consume)
    observe.to(Metrics().consume)
    carriers = {
        name: discover.build(name, carrier, settings.carrier_options(name))
        for name, carrier in settings.carriers.items()
    }
    nothing: object = None
    url = f"http://127.0.0.1:{port}"
    runtime = Runtime(settings, nothing, nothing, nothing, Clock(), observe, carriers, url)  # type: ignore[arg-type]
    road: Road = Convoy(walk, longest=64, waiting_max=10_000)
    application = web.Application()
    application.add_routes(Doors(runtime, road, report).routes())
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await road.run()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(serve(int(sys.argv[1])))
