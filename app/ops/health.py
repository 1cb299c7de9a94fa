"""Whether this process lives, and whether it should be given work.

Alive: the event loop has turned within the last second. Ready: the database answers, its schema is
one that this release runs on, and we are not draining. The previous release runs on the next one's
schema (migrations only expand), so a newer schema does not take the old replicas out of service.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
from aiohttp import web

from app.clock import iso_seconds
from app.errors import ParleyError, Unavailable
from app.observe import Failed, Measured, Observe, Said
from app.runtime import Runtime
from app.store import carrier_pauses, schema
from app.store.carrier_pauses import Paused
from app.store.gaps import progress

TICK_S = 0.25
STILL_S = 1.0
"""A loop that has not turned for so long is not alive."""
WORST_OF = 60
"""The worst delay of the last 15 s is shown: a scrape must not miss a stall."""
CACHED_S = 1.0
ANSWER_S = 2.0
"""How long the database may take to answer the probe."""
VERSION_MIN = 14
CLOCKS_APART_S = 2.0
"""Replicas judge each other's leases by their own clocks."""

SERVER = """
SELECT current_setting('server_version_num')::int, current_setting('fsync'),
  current_setting('synchronous_commit'), current_setting('full_page_writes'), clock_timestamp()
"""


class ServerRefused(ParleyError, RuntimeError):
    """This PostgreSQL cannot hold our promises; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """The answer of a probe: each check and why it fails, None where it does not; and why each
    carrier that is paused is, which no other replica could mend."""

    checks: Mapping[str, str | None]
    paused: Mapping[str, str]

    @property
    def ready(self) -> bool:
        """Whether nothing fails."""
        return not any(self.checks.values())


class Health:
    """The health of this process. `revision` is the schema's revision that this release needs."""

    def __init__(self, runtime: Runtime, revision: str) -> None:
        self._runtime, self._revision = runtime, revision
        self._clock = runtime.clock
        self._turned = self._clock.monotonic()
        self._lags: deque[float] = deque(maxlen=WORST_OF)
        self._draining = False
        self._asked: tuple[float, Readiness] | None = None
        self._looks: Mapping[str, Mapping[str, Any]] = {}
        self._asking = asyncio.Lock()

    def drain(self) -> None:
        """Be given no more work; what is under way goes on."""
        self._draining = True

    async def run(self) -> None:
        """Turn with the loop and measure how late it is, until cancelled."""
        while True:
            before = self._turned = self._clock.monotonic()
            await self._clock.sleep(TICK_S)
            self._lags.append(max(0.0, self._clock.monotonic() - before - TICK_S))
            self._runtime.observe(Measured("event_loop_lag_seconds", max(self._lags)))

    def alive(self) -> bool:
        """Whether the loop has turned within the last second."""
        return self._clock.monotonic() - self._turned < STILL_S + TICK_S

    async def readiness(self) -> Readiness:
        """Every check; what the database said is at most a second old."""
        async with self._asking:
            asked = self._asked
            if asked is None or self._clock.monotonic() - asked[0] >= CACHED_S:
                asked = self._asked = self._clock.monotonic(), await self._ask()
        draining = {"draining": "draining" if self._draining else None}
        return Readiness({**asked[1].checks, **draining}, asked[1].paused)

    async def _ask(self) -> Readiness:
        try:
            async with asyncio.timeout(ANSWER_S), self._runtime.db.begin() as tx:
                revision = await schema.current(tx.sql)
                if revision == self._revision:
                    self._looks = {one["carrier"]: _look(one) for one in await progress(tx.sql)}
        except (Unavailable, TimeoutError) as away:
            reason = str(away) or f"no answer within {ANSWER_S:g} s"
            unknown = "not known: the database does not answer"
            return Readiness({"database": reason, "schema": unknown}, {})
        except Exception as error:
            self._runtime.observe(Failed("the readiness check", error))
            failed = f"the check failed: {type(error).__name__}"
            return Readiness({"database": failed, "schema": failed}, {})
        checks = {"database": None, "schema": await self._schema(revision)}
        return Readiness(checks, await self._paused())

    async def _paused(self) -> Mapping[str, str]:
        """Why each carrier is paused; nothing when that cannot be asked: the checks say why."""
        try:
            async with asyncio.timeout(ANSWER_S), self._runtime.db.begin() as tx:
                listed = await carrier_pauses.listed(tx.sql)
        except (Unavailable, TimeoutError, asyncpg.PostgresError):
            return {}
        return {paused.carrier: _told(paused) for paused in listed}

    async def _schema(self, revision: str | None) -> str | None:
        """What is wrong with this revision."""
        if revision == self._revision:
            return None
        if revision is None:
            return "the database has no schema yet: run `parley migrate`"
        if await asyncio.to_thread(schema.is_known, revision):
            return f"the schema is at {revision}, older than {self._revision}: run `parley migrate`"
        return None

    async def live(self, request: web.Request) -> web.Response:
        """GET /livez."""
        still_s = self._clock.monotonic() - self._turned
        if self.alive():
            return web.json_response({"alive": True})
        reason = f"the event loop has not turned for {still_s:.1f} s"
        return web.json_response({"alive": False, "reason": reason}, status=503)

    async def ready(self, request: web.Request) -> web.Response:
        """GET /readyz."""
        found = await self.readiness()
        checks = {
            name: {"ok": reason is None} | ({"reason": reason} if reason else {})
            for name, reason in found.checks.items()
        }
        body = {
            "ready": found.ready,
            "checks": checks,
            "recovered": self._looks,
            "paused_carriers": found.paused,
        }
        return web.json_response(body, status=200 if found.ready else 503)


def _look(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """How far a carrier's list is compared with what came. It takes nobody out of service."""
    known = {"messages": row["recovered"], "complete_until": iso_seconds(row["complete_until"])}
    return known | ({"error": row["error"]} if row["error"] else {})


def _told(paused: Paused) -> str:
    since, until = iso_seconds(paused.paused_at), iso_seconds(paused.paused_until)
    return f"paused since {since}, tried again at {until}: {paused.reason}"


async def check_server(sql: asyncpg.Connection, observe: Observe, now: datetime) -> None:
    """Refuse a server that loses what it has committed (raises ServerRefused), and warn of
    settings under which a crash of the machine may."""
    version, fsync, synchronous_commit, full_page_writes, its_now = await sql.fetchrow(SERVER)
    if version < VERSION_MIN * 10_000:
        raise ServerRefused(
            f"the database is PostgreSQL {version // 10_000}: Parley needs {VERSION_MIN} or newer. "
            "Upgrade the server, or leave database.url out to use the embedded one."
        )
    if fsync == "off":
        raise ServerRefused(
            "the database runs with fsync=off: a crash would lose messages that we have answered "
            "for. Set fsync = on in postgresql.conf, run SELECT pg_reload_conf(), start again."
        )
    if synchronous_commit == "off":
        lost = "a crash of the server may lose the last messages that were answered; set it to on"
        observe(Said("warning", "synchronous_commit=off", lost))
    if full_page_writes == "off":
        torn = "a crash of the machine may leave torn pages; set it to on"
        observe(Said("warning", "full_page_writes=off", torn))
    apart_s = abs((its_now - now).total_seconds())
    if apart_s > CLOCKS_APART_S:
        late = f"our clock and the database's are {apart_s:.1f} s apart; leases need them together"
        observe(Said("warning", "clocks", late))
