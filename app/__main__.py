"""The command line: to serve, to try, to look into and to repair; `parley --help` has them all."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from app import VERSION, demo
from app.carriers import discover
from app.clock import Clock
from app.errors import ParleyError
from app.flows.widgets import table
from app.observe import Observe
from app.ops import (
    explain,
    flow_command,
    flow_trace,
    hooks_command,
    keys_command,
    logging,
    token_command,
    trace,
)
from app.process import database, quietly, serve
from app.runtime import vault_of
from app.service import ROLES
from app.settings import command as check_config
from app.settings.load import DATABASE_URL, load
from app.settings.models import Settings
from app.store import schema
from app.store.away import refusal
from app.store.database import Database, Tx
from app.store.embedded import EmbeddedError
from app.vault import Vault

T = TypeVar("T")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; gives the exit status."""
    return quietly(lambda: _main(_parser().parse_args(arguments)))


def _main(options: argparse.Namespace) -> int:
    try:
        status: int = options.run(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        raise
    except Exception as error:
        if isinstance(alone := _alone(error), ParleyError | EmbeddedError | OSError):
            print(f"parley: {alone}", file=sys.stderr)
            return 1
        if (said := refusal(error)) is None:
            raise
        print(f"parley: the database refuses us: {said}", file=sys.stderr)
        return 1
    return status


def _alone(error: Exception) -> Exception:
    """The refusal of ours that stopped a group of tasks; else the error as it came."""
    one = error
    while isinstance(one, ExceptionGroup) and len(one.exceptions) == 1:
        one = one.exceptions[0]
    return one if isinstance(one, ParleyError) else error


def _serve(options: argparse.Namespace) -> int:
    roles = ROLES if options.role is None else tuple(options.role.split(","))
    unknown = sorted(set(roles) - set(ROLES))
    if unknown:
        print(f"parley: no such role: {', '.join(unknown)}; there are {', '.join(ROLES)}")
        return 2
    settings, observe = _settings(options), Observe()
    logging.set_up(settings.ops)
    observe.to(logging.consume)
    _run(serve(settings, roles, observe, partial(_settings, options)))
    return 0


def _demo(options: argparse.Namespace) -> int:
    return _run(demo.play(stay=options.serve, port=options.port))


def _check_config(options: argparse.Namespace) -> int:
    kinds = discover.kinds()
    if options.schema:
        return check_config.print_schema(kinds, sys.stdout)
    if options.file is None:
        print("parley: check-config wants a FILE (or --schema)", file=sys.stderr)
        return 2
    return check_config.check(Path(options.file), kinds, sys.stdout)


def _explain(options: argparse.Namespace) -> int:
    settings = _settings(options)

    async def ask(db: Database) -> int:
        async with db.begin() as tx:
            explanation = await explain.explain(
                tx.sql, settings, options.to, options.from_, options.body, options.others
            )
        print(explain.text(explanation))
        return 0

    return _run(_asking(settings, ask))


def _trace(options: argparse.Namespace) -> int:
    if not options.sid.strip():
        print("parley: trace wants a SID, or the carrier's id of a message", file=sys.stderr)
        return 2
    settings = _settings(options)

    async def ask(db: Database) -> int:
        async with db.begin() as tx:
            found = await trace.trace(tx.sql, options.sid)
        if found is None:
            print(f"parley: nothing is known by the name {options.sid}", file=sys.stderr)
            return 1
        print(trace.text(found))
        return 0

    return _run(_asking(settings, ask))


def _hooks(options: argparse.Namespace) -> int:
    settings = _settings(options)
    return _run(_asking(settings, lambda db: hooks_command.run(db, settings, options, print)))


def _keys(options: argparse.Namespace) -> int:
    if (wrong := keys_command.wrong(options)) is not None:
        print(f"parley: {wrong}", file=sys.stderr)
        return 2
    return _changing(options, keys_command.run)


def _token(options: argparse.Namespace) -> int:
    return _changing(options, token_command.run)


def _changing(
    options: argparse.Namespace,
    work: Callable[[Tx, Settings, Vault, argparse.Namespace], Coroutine[Any, Any, str]],
) -> int:
    """Do something in one transaction, and print what it says when it is committed."""
    settings = _settings(options)

    async def change() -> int:
        async with database(settings, Observe()) as dsn:
            await schema.migrate(dsn, lambda _: None)
            async with _opened(dsn) as db, db.begin() as tx:
                told = await work(tx, settings, vault_of(settings), options)
        print(told)
        return 0

    return _run(change())


def _flow(options: argparse.Namespace) -> int:
    if options.action != "trace":
        return _run(flow_command.run(options, print))
    ask = partial(flow_trace.run, name=options.file, say=print)
    return _run(_asking(_settings(options), ask))


def _widgets(_: argparse.Namespace) -> int:
    print("\n".join(table.lines()))
    return 0


def _migrate(options: argparse.Namespace) -> int:
    settings = _settings(options)

    async def migrate() -> int:
        async with database(settings, Observe()) as dsn:
            print(f"the database is at {await schema.migrate(dsn, print)}")
        return 0

    return _run(migrate())


async def _asking(settings: Settings, ask: Callable[[Database], Coroutine[Any, Any, int]]) -> int:
    """Ask a question of the database that a service may be using at the same time."""
    async with database(settings, Observe()) as dsn, _opened(dsn) as db:
        return await ask(db)


@asynccontextmanager
async def _opened(dsn: str) -> AsyncIterator[Database]:
    """The database with one connection."""
    db = Database(dsn, Clock(), pool_max=1)
    try:
        yield db
    finally:
        await db.close()


def _settings(options: argparse.Namespace) -> Settings:
    return load(Path(options.config), discover.kinds())


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run on uvloop where it exists."""
    factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    if sys.platform != "win32":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(work)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="parley",
        description="A self-hosted twin of Twilio Conversations v1.",
        epilog=f"Without {DATABASE_URL} or database.url an embedded PostgreSQL is used, "
        "in the folder database.folder (./var/postgres).",
    )
    parser.add_argument("--version", action="version", version=f"parley {VERSION}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, text, arguments in _COMMANDS:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        for flags, details in arguments:
            command.add_argument(*flags, **details)
    return parser


_CONFIG: tuple[tuple[str, ...], dict[str, Any]] = (
    ("--config",),
    {
        "default": "config/parley.yaml",
        "metavar": "FILE",
        "help": "the YAML file (default: %(default)s)",
    },
)

_COMMANDS: tuple[
    tuple[
        str,
        Callable[[argparse.Namespace], int],
        str,
        tuple[tuple[tuple[str, ...], dict[str, Any]], ...],
    ],
    ...,
] = (
    (
        "serve",
        _serve,
        "API, inbound doors and workers in one process. SIGTERM drains and exits 0.",
        (
            _CONFIG,
            (
                ("--role",),
                {
                    "metavar": "LIST",
                    "help": f"only these roles, of {','.join(ROLES)}; any number of processes "
                    "may share one database",
                },
            ),
        ),
    ),
    (
        "demo",
        _demo,
        "Play the main job on an embedded database in a temporary folder and print what was "
        "routed where and why. Exits 0 when everything went as it should.",
        (
            (
                ("--serve",),
                {"action": "store_true", "help": "stay up afterwards for a look around"},
            ),
            (
                ("--port",),
                {
                    "type": int,
                    "default": demo.PORT,
                    "metavar": "N",
                    "help": "where it stays up; default: %(default)s",
                },
            ),
        ),
    ),
    (
        "check-config",
        _check_config,
        "Report every error of a configuration file at once, as file:line:column: key: message.",
        (
            (("file",), {"nargs": "?", "metavar": "FILE", "help": "the YAML file"}),
            (
                ("--schema",),
                {"action": "store_true", "help": "print the JSON Schema of the file instead"},
            ),
        ),
    ),
    (
        "explain",
        _explain,
        "Say which rule would take a message, which were passed over and why. Changes nothing.",
        (
            _CONFIG,
            (("--to",), {"required": True, "metavar": "A", "help": "our address"}),
            (
                ("--from",),
                {"required": True, "dest": "from_", "metavar": "B", "help": "their address"},
            ),
            (("--body",), {"metavar": "T", "help": "the text, to see who would get it"}),
            (
                ("--others",),
                {"nargs": "*", "default": (), "metavar": "C", "help": "of a group text"},
            ),
        ),
    ),
    (
        "trace",
        _trace,
        "The timeline of one message or conversation: signature, rule, attempts, receipts, hooks.",
        (_CONFIG, (("sid",), {"metavar": "SID", "help": "any SID, or the carrier's id"})),
    ),
    ("hooks", _hooks, hooks_command.TEXT, (_CONFIG, *hooks_command.ARGUMENTS)),
    ("keys", _keys, keys_command.TEXT, (_CONFIG, *keys_command.ARGUMENTS)),
    ("flow", _flow, flow_command.TEXT, (_CONFIG, *flow_command.ARGUMENTS)),
    ("widgets", _widgets, "What widgets flows may have, how each is left and what it takes.", ()),
    ("token", _token, token_command.TEXT, (_CONFIG, *token_command.ARGUMENTS)),
    (
        "migrate",
        _migrate,
        "Bring the database to this version. `serve` does it too, one process at a time.",
        (_CONFIG,),
    ),
)

if __name__ == "__main__":
    sys.exit(main())
