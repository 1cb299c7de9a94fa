"""Liquid, bounded: the text of a widget's property with its variables filled in.

| variable                          | what it is                                                   |
|-----------------------------------|--------------------------------------------------------------|
| trigger.message.*                 | the message that began it: Body, From, To, MessageSid,       |
|                                   | ConversationSid and whatever its onMessageAdded form has;    |
|                                   | ChannelSid and InstanceSid are its conversation and service  |
| trigger.conversation.*            | the same, as the Conversations trigger calls it              |
| trigger.request.parameters.*      | what the REST call that began it gave (also flow.data.*)     |
| trigger.parent.parameters.*       | what the flow gave that entered this one                     |
| widgets.NAME.inbound.*            | a reply: Body, From, MessageSid ... (send-and-wait-for-reply)|
| widgets.NAME.outbound.*           | what was sent: Sid, Body, Author, Status                     |
| widgets.NAME.parsed.*             | an HTTP answer that is JSON; also body, status_code,         |
|                                   | content_type (make-http-request, run-function)               |
| widgets.NAME.KEY                  | a variable that set-variables or a subflow set               |
| contact.channel.address           | the other side's address or identity                         |
| flow.channel.address              | our address                                                  |
| flow.variables.*                  | what set-variables set                                       |
| flow.flow_sid, flow.sid           | the flow's SID, the execution's SID                          |

The filters are Liquid's own, and `timezone`, `to_json`, `from_json` (see `filters`). A variable
that is not there is nothing. `include` and `render` do not exist: a flow has no other files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from liquid import Environment, RenderContext, Token
from liquid.exceptions import LiquidError
from liquid.template import BoundTemplate
from liquid.undefined import UNDEFINED

from app.flows import filters
from app.flows.fuel import ITEMS_MAX, TEXT_MAX, Exceeded, Fuel

TEMPLATE_MAX = 32_768  # characters
KEPT_MAX = 1_000  # characters of a template that is kept parsed, which takes a hundred times that
TAG_MAX = 2_000
SPACES_MAX = 40  # beside each other in a tag
SAID_MAX = 160

_OPEN = re.compile(r"\{\{|\{%")
_SPACES = re.compile(rf"\s{{{SPACES_MAX}}}")
_KEPT = re.compile(r"-?\s*(raw|doc)\s*-?")  # what is in these is no Liquid


class _Context(RenderContext):
    """Pays for each loop by its turns and by what a turn may cost, and for each variable by its
    size: what is done with one (`contains`, `==`, printing it) may look at all of it."""

    def get(
        self, path: list[object], *, token: Token | None, default: object = UNDEFINED
    ) -> object:
        found = super().get(path, token=token, default=default)
        filters.fuel(self).burn(_price(found))
        return found

    def raise_for_loop_limit(self, length: int = 1) -> None:
        super().raise_for_loop_limit(length)
        filters.fuel(self).burn(length * (1 + filters.size(self) / 16))


class _Template(BoundTemplate):
    context_class = _Context


class _Environment(Environment):
    block_nesting_limit = 20
    context_depth_limit = 20
    loop_iteration_limit = ITEMS_MAX
    local_namespace_limit = 4 * TEXT_MAX
    output_stream_limit = 4 * TEXT_MAX
    template_class = _Template


def _environment() -> _Environment:
    made = _Environment(strict_filters=True)
    for tag in ("include", "render"):
        made.tags.pop(tag)
    filters.install(made)
    return made


_ENVIRONMENT = _environment()


def wrong(text: str) -> str | None:
    """What is wrong with a template; None when nothing is."""
    if not _is_template(text):
        return None
    try:
        template = _parsed(text)
    except (Exceeded, LiquidError, RecursionError, ValueError) as error:
        return _said(error)
    unknown = sorted(set(_filters(template)) - set(_ENVIRONMENT.filters))
    return f"there is no Liquid filter {unknown[0][:60]!r}" if unknown else None


def render(text: str, context: Mapping[str, Any], now: datetime, fuel: Fuel) -> str:
    """The text with its variables; `now` is what `'now' | date` says. Raises Exceeded when it
    costs too much or cannot be made, with what is wrong in words."""
    fuel.burn(1 + len(text) / 64)
    if not _is_template(text):
        return text
    fuel.burn(len(text) if len(text) > KEPT_MAX else 0)
    hidden = {filters.FUEL: fuel, filters.NOW: now, filters.SIZE: len(text)}
    try:
        made = _parsed(text).render({**context, **hidden})
    except Exceeded:
        raise
    except Exception as error:  # filters of others raise anything when they are given anything
        raise Exceeded(f"Liquid: {_said(error)}") from None
    if len(made) > TEXT_MAX:
        raise Exceeded(f"Liquid: a text of more than {TEXT_MAX} characters")
    return made


def _price(value: object) -> int:
    if isinstance(value, str):
        return 1 + len(value) // 128
    if isinstance(value, list | dict | tuple):
        return 100 + 4 * len(value)
    return 1


def _is_template(text: str) -> bool:
    return "{{" in text or "{%" in text


def _parsed(text: str) -> BoundTemplate:
    if len(text) > TEMPLATE_MAX:
        raise Exceeded(f"a template has at most {TEMPLATE_MAX} characters")
    _closed(text)
    return _kept(text) if len(text) <= KEPT_MAX else _ENVIRONMENT.from_string(text)


@lru_cache(maxsize=256)
def _kept(text: str) -> BoundTemplate:
    return _ENVIRONMENT.from_string(text)


def _closed(text: str) -> None:
    """Every tag is closed and of some size: for others the library looks for the end again and
    again, and takes minutes for a few thousand braces or spaces. Raises Exceeded."""
    at = 0
    while found := _OPEN.search(text, at):
        end = "%}" if found[0] == "{%" else "}}"
        at = text.find(end, found.end()) + 2
        if at == 1:
            raise Exceeded(f"a tag is open: expected {end}")
        inside = text[found.end() : at - 2]
        if len(inside) > TAG_MAX or _SPACES.search(inside):
            raise Exceeded(f"a tag has at most {TAG_MAX} characters, and little space in it")
        if found[0] == "{%" and (kept := _KEPT.fullmatch(inside)):
            ending = re.compile(
                rf"\{{%-?\s{{0,{SPACES_MAX}}}end{kept[1]}\s{{0,{SPACES_MAX}}}-?%\}}"
            )
            closing = ending.search(text, at)
            if closing is None:
                raise Exceeded(f"{kept[1]} is open: expected end{kept[1]}")
            at = closing.end()


def _filters(template: BoundTemplate) -> Iterator[str]:
    return iter(template.analyze(include_partials=False).filters)


def _said(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    text = getattr(error, "message", None) or str(error)
    return " ".join(str(text).split())[:SAID_MAX] or type(error).__name__
