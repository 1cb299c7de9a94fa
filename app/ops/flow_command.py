"""`parley flow`: check a definition, and talk with it in the terminal.

What is typed is what the other side writes. `/timeout` lets the wait pass, `/undelivered` says that
the last message did not arrive, `/variables` shows what the flow remembers, `/quit` leaves.
Requests are really made, through the guarded client; with `--offline` the person answers them
instead: a status and a body (`200 {"name": "Ann"}`), or `/fail`. A message that begins with a slash
is typed with two.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
from pydantic import ValidationError

from app import egress, ids
from app.clock import Clock
from app.errors import ParleyError
from app.flows import stack
from app.flows.asks import (
    Add,
    Added,
    Answered,
    Ask,
    Call,
    CallFailed,
    Event,
    Replied,
    Said,
    Say,
    TimedOut,
    Undelivered,
    Wait,
)
from app.flows.definition import parse
from app.flows.machine import hears, message_event
from app.flows.memory import TRIGGERS, Trigger
from app.flows.stack import Stack
from app.flows.states import Flow, FlowErrors
from app.settings.models import EgressSettings

TEXT = (
    "Check a flow's definition (`flow check FILE`: every mistake with its line), talk with it "
    "(`flow run FILE`; neither needs a database), or see what it did (`flow trace FN...|FW...`)."
)
ANSWER = 'a status and a body (200 {"a": 1}), or /fail'
COMMANDS = (
    "/timeout, /undelivered, /variables, /quit; a message that begins with / is written with //"
)
CONTACT, ADDRESS = "+15550100", "+15550199"

ARGUMENTS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (("action",), {"choices": ("check", "run", "trace"), "help": "what to do"}),
    (("file",), {"metavar": "FILE|SID", "help": "the definition, JSON; of trace, FN... or FW..."}),
    (("--script",), {"metavar": "LINES", "help": "a file of what to type, line by line"}),
    (
        ("--param",),
        {
            "action": "append",
            "default": [],
            "metavar": "K=V",
            "help": "begin with a request instead of a message (trigger.request.parameters.K)",
        },
    ),
    (
        ("--flow",),
        {
            "action": "append",
            "default": [],
            "metavar": "FW...=FILE",
            "help": "another flow, that run-subflow may enter",
        },
    ),
    (
        ("--offline",),
        {"action": "store_true", "help": f"call nobody: you answer the requests, with {ANSWER}"},
    ),
    (
        ("--open",),
        {
            "action": "append",
            "default": [],
            "metavar": "HOST",
            "help": "a host or network that may be called though it is private (egress.open)",
        },
    ),
)

Print = Callable[[str], None]


def check(path: Path, say: Print) -> int:
    """Say every problem of the file, one per line, and give 1; or that it is good, and give 0."""
    flow = _read(path, say)
    if flow is None:
        return 1
    heard = [event for event in TRIGGERS if hears(flow, event)]
    count = len(flow.states)
    say(
        f"{path}: ok ({count} state{'s' * (count != 1)}; begins at {', '.join(heard) or 'nothing'})"
    )
    return 0


async def run(options: argparse.Namespace, say: Print) -> int:
    """Do what was asked; gives the exit status: 1 for a wrong definition or a flow that failed."""
    if options.action == "check":
        return check(Path(options.file), say)
    flow = _read(Path(options.file), say)
    others = {name: _read(Path(file), say) for name, file in map(_pair, options.flow)}
    flows = {name: other for name, other in others.items() if other}
    if flow is None or len(flows) < len(others):
        return 1
    lines = _script(Path(options.script), say) if options.script else _typed()
    try:
        settings = EgressSettings(open=options.open)
    except ValidationError:
        raise ParleyError("--open should be a host name, an address or a network") from None
    async with egress.client(settings, limit=1) as client:
        talk = _Talk(flow, flows, lines, None if options.offline else client, say)
        return await talk.hold(dict(map(_pair, options.param)))


class _Talk:
    def __init__(
        self,
        flow: Flow,
        flows: dict[str, Flow],
        lines: Iterator[str],
        client: aiohttp.ClientSession | None,
        say: Print,
    ) -> None:
        self._flow_sid = ids.stable(ids.FLOW, "flow run")
        self._flows = flows | {self._flow_sid: flow}
        self._lines = lines
        self._client = client
        self._say = say
        self._now = Clock().now()

    async def hold(self, parameters: dict[str, str]) -> int:
        """Talk until the flow or the lines end; gives the exit status."""
        began = self._begin(parameters)
        if began is None:
            return 0
        while began.ask is not None:
            event = await self._do(began, began.ask)
            if event is None:
                self._say("(the flow is still waiting)")
                return 0
            began = stack.advance(began, event, self._now, self._find)
        ended = began.ended
        assert ended is not None
        self._say(f"({ended.reason}{': ' * bool(ended.error)}{ended.error})")
        return int(ended.reason == "failed")

    def _begin(self, parameters: dict[str, str]) -> Stack | None:
        flow = self._flows[self._flow_sid]
        event = "incomingRequest" if parameters else message_event(flow) or "incomingRequest"
        fields: dict[str, str] = parameters
        if event != "incomingRequest":
            body = None
            while body is None:
                line = self._line()
                if line is None:
                    return None
                body = self._body(line)
            fields = self._message(body)
        trigger = Trigger(
            event=event,
            at=self._now,
            fields=fields,
            contact=CONTACT,
            address=ADDRESS,
            flow_sid=self._flow_sid,
            execution_sid=ids.stable("FN", "flow run"),
        )
        return stack.begin(("1", flow), trigger, self._find)

    def _find(self, flow_sid: str, revision: str) -> tuple[str, Flow] | None:
        flow = self._flows.get(flow_sid)
        if flow is None:
            self._say(f"(there is no flow {flow_sid} here: give it by --flow {flow_sid}=FILE)")
        return (revision, flow) if flow else None

    async def _do(self, held: Stack, ask: Ask) -> Event | None:
        """Do what is asked; None when there are no more lines."""
        if isinstance(ask, Say):
            return self._hear(ask)
        if isinstance(ask, Wait):
            return self._wait(held, ask)
        if isinstance(ask, Call):
            return await self._call(ask) if self._client else self._answer(ask)
        assert isinstance(ask, Add)
        self._say(f"(adds {ask.identity or ask.address} to the conversation)")
        return Added(ids.new(ids.PARTICIPANT))

    def _hear(self, ask: Say) -> Said:
        if ask.body:
            self._say(f"flow: {ask.body}")
        for url in ask.media:
            self._say(f"flow: [{url}]")
        if ask.content_sid:
            self._say(f"flow: [template {ask.content_sid} {json.dumps(ask.content_variables)}]")
        return Said(ids.new(ids.MESSAGE))

    def _wait(self, held: Stack, ask: Wait) -> Event | None:
        while True:
            line = self._line()
            if line is None:
                return None
            if line == "/timeout" and ask.until:
                self._now = ask.until
                return TimedOut()
            if line == "/undelivered" and ask.after:
                return Undelivered(ask.after, "undelivered")
            if line == "/variables":
                shown = {key: held.memory.context[key] for key in ("flow", "widgets")}
                self._say(json.dumps(shown, indent=2, ensure_ascii=False))
                continue
            if (body := self._body(line)) is None:
                continue
            self._now += timedelta(seconds=1)
            return Replied(self._message(body))

    def _body(self, line: str) -> str | None:
        """The message that a line is; None, and it is said, for a command that means nothing."""
        if line.startswith("/") and not line.startswith("//"):
            self._say(f"({line} means nothing here; there are {COMMANDS})")
            return None
        return line.removeprefix("/")

    def _answer(self, ask: Call) -> Event | None:
        self._say(f"({ask.method} {ask.url} {ask.body}".rstrip() + ")")
        while True:
            self._say(f"(answer it with {ANSWER})")
            line = self._line()
            if line is None:
                return None
            if line == "/fail":
                return CallFailed("as you say")
            status, _, body = line.partition(" ")
            if status.isascii() and status.isdigit() and len(status) == 3:
                break
        kind = "application/json" if body.startswith(("{", "[")) else "text/plain"
        return Answered(int(status), {"Content-Type": kind}, body)

    async def _call(self, ask: Call) -> Event:
        assert self._client is not None
        try:
            async with egress.call(
                self._client,
                ask.method,
                ask.url,
                timeout_s=ask.timeout_s,
                headers=ask.headers,
                data=ask.body.encode() or None,
            ) as response:
                body = await egress.read(response)
                self._say(f"({ask.method} {ask.url}: {response.status})")
                return Answered(response.status, dict(response.headers), body)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            said = str(error) or type(error).__name__
            self._say(f"({ask.method} {ask.url}: {said})")
            return CallFailed(said)

    def _line(self) -> str | None:
        line = next(self._lines, None)
        return None if line == "/quit" else line

    def _message(self, body: str) -> dict[str, str]:
        return {
            "Body": body,
            "Author": CONTACT,
            "MessageSid": ids.new(ids.MESSAGE),
            "ConversationSid": ids.stable(ids.CONVERSATION, "flow run"),
            "ChatServiceSid": ids.stable(ids.SERVICE, "flow run"),
        }


def _read(path: Path, say: Print) -> Flow | None:
    try:
        return parse(_bytes(path))
    except FlowErrors as errors:
        for problem in errors.problems:
            say(f"{path}:{problem}")
        return None


def _bytes(path: Path) -> bytes:
    """What is in a file. Raises ParleyError, which names it."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        said = "does not exist"
    except IsADirectoryError:
        said = "is a directory"
    except (OSError, ValueError) as error:
        said = f"cannot be read: {getattr(error, 'strerror', None) or 'not a path'}"
    raise ParleyError(f"{path}: {said}")


def _pair(text: str) -> tuple[str, str]:
    key, mark, value = text.partition("=")
    if not (key and mark):
        raise ParleyError(f"{text!r} should be NAME=VALUE")
    return key, value


def _script(path: Path, say: Print) -> Iterator[str]:
    """The lines of a file, shown as they are said; `#` begins a remark."""
    try:
        text = _bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ParleyError(f"{path}: is not UTF-8 text") from None
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            say(f"you: {line.strip()}")
            yield line.strip()


def _typed() -> Iterator[str]:
    if sys.stdin.isatty():
        sys.stdout.write(f"(write a message, or {COMMANDS})\n")
    for line in sys.stdin:
        if line.strip():
            yield line.strip()
