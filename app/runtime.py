"""The one thing handed down: what every part of the service works with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp

from app.carriers.contract import Carrier, Context
from app.clock import Clock
from app.files.store import Files
from app.observe import Observe
from app.settings.models import Settings
from app.store.database import Database
from app.turns import Turns
from app.vault import Vault


class Wakes:
    """Bells by kind of work: rung after a commit, heard by the loop that does that work. `also`
    is told of every ring: the way to workers in other processes."""

    def __init__(self) -> None:
        self._bells: dict[str, asyncio.Event] = {}
        self._next: dict[str, asyncio.Future[None]] = {}
        self.also: Callable[[str], None] | None = None

    def bell(self, kind: str) -> asyncio.Event:
        """The bell of one kind of work."""
        return self._bells.setdefault(kind, asyncio.Event())

    @property
    def waited(self) -> int:
        """How many bells somebody waits for with `next`."""
        return len(self._next)

    def next(self, kind: str) -> asyncio.Future[None]:
        """Done at the next ring: for any number of those who wait. Shield it."""
        if kind not in self._next:
            self._next[kind] = asyncio.get_running_loop().create_future()
        return self._next[kind]

    def ring(self, kind: str) -> None:
        """There is work of this kind."""
        self.heard(kind)
        if self.also is not None:
            self.also(kind)

    def heard(self, kind: str) -> None:
        """Another process says so."""
        self.bell(kind).set()
        if (waited := self._next.pop(kind, None)) is not None and not waited.done():
            waited.set_result(None)


@dataclass(slots=True)
class Runtime:
    """Settings, database, clients, clock, carriers, bells; made by service.py, closed there.

    `http` calls carriers (their URLs are the operator's), `egress` calls URLs that users give;
    `questions` (where there is one, else `egress`) those of pre-event webhooks.
    `turns` keeps apart what must not be done by too many at once in this process.
    `public_url` is how the world reaches us, without a slash at its end.
    `vault` keeps secrets of others, `files` the files of messages.
    """

    settings: Settings
    db: Database
    http: aiohttp.ClientSession
    egress: aiohttp.ClientSession
    clock: Clock
    observe: Observe
    carriers: Mapping[str, Carrier]
    public_url: str
    questions: aiohttp.ClientSession | None = None
    wakes: Wakes = field(default_factory=Wakes)
    turns: Turns = field(default_factory=Turns)
    vault: Vault = field(default_factory=Vault)
    files: Files = field(default_factory=Files)

    @property
    def context(self) -> Context:
        """What a carrier may use."""
        return Context(self.http, self.clock)

    def of(self, account_sid: str) -> Runtime:
        """The same parts as this account sees them: with its own settings."""
        settings = self.settings.of(account_sid)
        return self if settings is self.settings else replace(self, settings=settings)

    def status_url(self, carrier: str, reference: str) -> str:
        """Where a carrier reports on one send; naming the receipt settles unknown outcomes too."""
        return f"{self.public_url}/carriers/{carrier}/status?receipt={reference}"


def vault_of(settings: Settings) -> Vault:
    """Under the keys that are given, or the one in a file. Beside a database elsewhere none is made
    without being asked for: another process on it would make another one."""
    given = settings.secrets
    home = settings.database.url is None or "key_file" in given.model_fields_set
    return Vault(given.keys, Path(given.key_file) if home else None)
