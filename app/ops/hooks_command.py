"""`parley hooks`: what became of webhooks, and a second chance for those that did not arrive."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from app.errors import Invalid
from app.ops import hooks
from app.settings.models import Settings
from app.store.database import Database, Tx
from app.store.hook_repairs import Dead
from app.store.hooks_log import OUTCOMES

TEXT = (
    "What became of webhooks: list the last attempts, what was given up (dead) and targets that "
    "fail (targets); show one attempt; replay what was given up, or messages from an index on; "
    "skip or unblock the first webhook of a lane; resume a paused target."
)
ACTIONS = ("list", "dead", "targets", "show", "replay", "skip", "unblock", "resume")
TAKES = {"show": "ID", "replay": "SEQ", "skip": "SEQ", "unblock": "SEQ", "resume": "TARGET"}

Say = Callable[[str], None]
Option = tuple[tuple[str, ...], dict[str, Any]]

ARGUMENTS: tuple[Option, ...] = (
    (("action",), {"choices": ACTIONS, "help": "what to do"}),
    (
        ("names",),
        {
            "nargs": "*",
            "metavar": "NAME",
            "help": "the id of an attempt (show), numbers "
            "(seq) of webhooks (replay, skip, unblock), or a target (resume)",
        },
    ),
    (("--target",), {"metavar": "T", "help": "a URL, a webhook's SID, or a target's name"}),
    (("--conversation",), {"metavar": "CH...", "help": "of one conversation"}),
    (("--outcome",), {"metavar": "O", "help": f"one of {', '.join(OUTCOMES)}"}),
    (("--limit",), {"type": int, "default": 50, "metavar": "N", "help": "default: %(default)s"}),
    (("--before",), {"type": int, "metavar": "N", "help": "those before this id (dead: seq)"}),
    (("--all",), {"action": "store_true", "help": "replay everything that was given up"}),
    (
        ("--new-token",),
        {
            "action": "store_true",
            "help": "replay with new idempotency tokens: receivers take it as something new",
        },
    ),
    (("--webhook",), {"metavar": "WH...", "help": "replay messages to this webhook"}),
    (
        ("--from-index",),
        {"type": int, "metavar": "N", "help": "from this index of the conversation on"},
    ),
    (("--account",), {"metavar": "AC...", "help": "whose; default: the main account"}),
)


async def run(db: Database, settings: Settings, options: argparse.Namespace, say: Say) -> int:
    """Do it; gives the exit status. Raises Refused for what is wrong with the question."""
    account_sid = options.account or settings.account.sid
    if account_sid not in settings.houses:
        raise Invalid(hooks.WRONG, f"the file names no account {account_sid}")
    wants, given = TAKES.get(options.action), len(options.names)
    if (wants is None and given) or (wants and options.action != "replay" and given != 1):
        raise Invalid(hooks.WRONG, f"{options.action} takes {wants or 'no name'}")
    command = Command(db, settings.of(account_sid), options, say)
    if options.action == "replay":
        return await (command.messages() if options.webhook else command.replay())
    return await (command.change() if options.action in CHANGES else command.tell())


class Command:
    """One `parley hooks ...`."""

    def __init__(
        self, db: Database, settings: Settings, options: argparse.Namespace, say: Say
    ) -> None:
        self._db, self._settings, self._options, self._say = db, settings, options, say
        self._account = settings.account.sid

    async def tell(self) -> int:
        """Lists, and one attempt."""
        o = self._options
        limit = o.limit
        if not 1 <= limit <= hooks.PAGE_MAX:
            raise Invalid(hooks.WRONG, f"--limit should be from 1 to {hooks.PAGE_MAX}")
        if o.before is not None and not 1 <= o.before <= hooks.NUMBER_MAX:
            raise Invalid(hooks.WRONG, f"--before should be from 1 to {hooks.NUMBER_MAX}")
        async with self._db.begin() as tx:
            if o.action == "show":
                found = await hooks.show(tx, self._account, _number(o.names[0]))
                self._say(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
                return 0
            if o.action == "targets":
                rows = await hooks.targets(tx, self._account, "", limit)
            else:
                asked = await hooks.wanted(
                    tx,
                    self._account,
                    target=o.target,
                    conversation=o.conversation,
                    outcome=o.outcome,
                    before=o.before,
                )
                lists = hooks.dead if o.action == "dead" else hooks.attempts
                rows = await lists(tx, asked, limit)
        for line in hooks.lines(rows) if rows else ["none"]:
            self._say(line)
        return 0

    async def change(self) -> int:
        """Skip, unblock or resume."""
        name = self._options.names[0]
        async with self._db.begin() as tx:
            await CHANGES[self._options.action](tx, self._account, name)
        self._say(f"{name}: done")
        return 0

    async def replay(self) -> int:
        """Dead letters, a batch at a time, with progress."""
        o = self._options
        seqs = tuple(_number(name) for name in o.names)
        if not (seqs or o.target or o.conversation or o.all):
            raise Invalid(hooks.WRONG, "say which: SEQ ..., --target, --conversation or --all")
        until, count, more = self._db.clock.now(), 0, True
        while more:
            async with self._db.begin() as tx:
                asked = await hooks.wanted(
                    tx, self._account, target=o.target, conversation=o.conversation
                )
                dead = Dead(self._account, until, asked.endpoint, asked.conversation_sid, seqs)
                batch = await hooks.raise_dead(tx, dead, new_tokens=o.new_token)
            more, count = batch == hooks.BATCH_MAX, count + batch
            self._progress(count, more)
        return 0 if count or not seqs else 1

    async def messages(self) -> int:
        """Messages of a conversation from an index on, a batch at a time, with progress."""
        o = self._options
        if o.conversation is None or o.from_index is None or o.from_index < 0:
            raise Invalid(hooks.WRONG, "--webhook needs --conversation and --from-index")
        index, until, count, more = o.from_index, None, 0, True
        while more:
            async with self._db.begin() as tx:
                again = await hooks.replay_messages(
                    tx, self._settings, o.conversation, o.webhook, index, until
                )
            index, until, more, count = again.index, again.until, again.more, count + again.told
            self._progress(count, more)
        return 0

    def _progress(self, count: int, more: bool) -> None:
        """One line that is written over on a terminal; the last one stays."""
        if more and sys.stderr.isatty():
            sys.stderr.write(f"\r{count:,} replayed ...")
            sys.stderr.flush()
        elif not more:
            self._say(f"{count:,} replayed")


def _number(text: str) -> int:
    return hooks.whole(repr(text[:40]), text)


async def _skip(tx: Tx, account_sid: str, name: str) -> None:
    await hooks.skip(tx, account_sid, _number(name))


async def _unblock(tx: Tx, account_sid: str, name: str) -> None:
    await hooks.unblock(tx, account_sid, _number(name))


CHANGES: dict[str, Callable[[Tx, str, str], Awaitable[None]]] = {
    "skip": _skip,
    "unblock": _unblock,
    "resume": hooks.resume,
}
