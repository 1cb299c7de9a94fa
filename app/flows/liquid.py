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

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from liquid import Environment, RenderContext
from liquid.exceptions import LiquidError
from liquid.template import BoundTemplate

from app.flows import filters
from app.flows.fuel import ITEMS_MAX, TEXT_MAX, Exceeded, Fuel

TEMPLATE_MAX = 32_768  # characters
SAID_MAX = 160


class _Context(RenderContext):
    """Pays for each loop by its turns and by what a turn may cost."""

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
    hidden = {filters.FUEL: fuel, filters.NOW: now, filters.SIZE: len(text)}
    try:
        made = _parsed(text).render({**context, **hidden})
    except (LiquidError, RecursionError, ValueError, ArithmeticError, TypeError) as error:
        raise Exceeded(f"Liquid: {_said(error)}") from None
    if len(made) > TEXT_MAX:
        raise Exceeded(f"Liquid: a text of more than {TEXT_MAX} characters")
    return made


def _is_template(text: str) -> bool:
    return "{{" in text or "{%" in text


@lru_cache(maxsize=512)
def _parsed(text: str) -> BoundTemplate:
    if len(text) > TEMPLATE_MAX:
        raise Exceeded(f"a template has at most {TEMPLATE_MAX} characters")
    return _ENVIRONMENT.from_string(text)


def _filters(template: BoundTemplate) -> Iterator[str]:
    return iter(template.analyze(include_partials=False).filters)


def _said(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    text = getattr(error, "message", None) or str(error)
    return " ".join(str(text).split())[:SAID_MAX] or type(error).__name__
