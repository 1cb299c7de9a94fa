"""Content templates: the variables of a message, what it says, and what each recipient gets of it.

A recipient gets the richest type of the template that their channel can show ("Content types",
docs/45), and on a channel that shows none of its types the same in words. On WhatsApp a type must
also be allowed now: app/rules/approvals.py.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from app.channels import templates as shown
from app.channels.facts import FACTS
from app.errors import Invalid
from app.model.traffic import ContentTemplate, MediaPart, Template
from app.rules.approvals import APPROVED, Refused, judge, unfit
from app.rules.content import Deliver, Fail, Profile, fit
from app.settings.content_types import PLACEHOLDER, placeholders
from app.settings.models import LimitSettings

BAD_VARIABLES, VARIABLES_TOO_LONG = 50527, 50529
KEY_TOO_LONG, VALUE_TOO_LONG, UNSUPPORTED = 50540, 50541, 50542
NOT_ON_CHANNEL, TOO_LONG, MISSING_VARIABLE = 216602, 63021, 63028
APPROVED_CHARS_MAX = 1024
RICH = "application/x-vnd.com.twilio.rich."
PLAIN = frozenset({"sms", "mms", "email"})
"""Channels that are texts and files only."""


def check_variables(text: str, limits: LimitSettings) -> dict[str, str]:
    """ContentVariables: a JSON object of texts. Raises Invalid 50527, 50529, 50540, 50541."""
    if len(text) > limits.content_variables_chars_max:
        raise Invalid(VARIABLES_TOO_LONG, "Content variables are too long")
    try:
        given = orjson.loads(text)
    except orjson.JSONDecodeError:
        given = None
    if not isinstance(given, dict):
        raise Invalid(BAD_VARIABLES, "Invalid content variables format")
    if len(given) > limits.content_variables_max:
        raise Invalid(VARIABLES_TOO_LONG, "Content variables are too long")
    for name, value in given.items():
        if not isinstance(value, str) or "\x00" in name + value:
            raise Invalid(BAD_VARIABLES, "Invalid content variables format")
        if len(name) > limits.content_variable_key_chars_max:
            raise Invalid(KEY_TOO_LONG, "Content variable key is too long")
        if len(value) > limits.content_variable_value_chars_max:
            raise Invalid(VALUE_TOO_LONG, "Content variable value is too long")
    return given


def check_supported(template: ContentTemplate) -> None:
    """Raises Invalid 50542 for a template none of whose types conversations take."""
    if shown.richest(template.types) is None:
        raise Invalid(UNSUPPORTED, "Unsupported Content Template Type")


def body_of(template: ContentTemplate) -> str | None:
    """What a message made of this template says: the text of its richest type."""
    kind = shown.richest(template.types)
    return shown.main_text(kind, _filled(template, kind).fields) if kind else None


def content_of(template: ContentTemplate | None) -> tuple[str, str] | tuple[None, None]:
    """What a message made of this template says, as the SDKs read it (`Message.getContentData`): a
    media type that names the richest type, and JSON with its fields, filled in, as `data`."""
    kind = shown.richest(template.types) if template else None
    if template is None or kind is None:
        return None, None
    filled = _filled(template, kind)
    said = {"data": filled.fields, "variables": filled.variables}
    return RICH + kind.replace("/", "."), orjson.dumps(said).decode()


def fitted(
    channel: str,
    body: str | None,
    media: Sequence[MediaPart],
    profile: Profile,
    template: ContentTemplate | None = None,
    in_session: bool | None = None,
) -> Deliver | Fail:
    """What a message becomes on this channel; total, never raises. `in_session` says whether the
    recipient wrote within the last 24 hours, None: nobody knows, and it is taken that they did."""
    if template is None:
        return fit(channel, body, media, profile)
    if channel not in shown.SHOWN or channel not in FACTS:
        return Fail(channel, NOT_ON_CHANNEL, f"templates are not sent on the channel {channel}")
    refused: Fail | None = None
    for kind in reversed(shown.RISING):
        if kind not in template.types:
            continue
        filled = _filled(template, kind)
        if not shown.shows(channel, kind, filled.fields):
            continue
        fitting = _on_channel(channel, filled, profile, in_session)
        if isinstance(fitting, Deliver):
            return fitting
        refused = refused or fitting
    return refused or _in_words(channel, template, profile)


def _on_channel(
    channel: str, filled: Template, profile: Profile, in_session: bool | None
) -> Deliver | Fail:
    """One type on a channel that shows it."""
    if channel != "whatsapp":
        return _delivered(channel, filled, profile)
    of_type = filled.content.approval if _submitted(filled) else "unsubmitted"
    judged = judge(filled.type, filled.fields, of_type, in_session)
    if isinstance(judged, Refused):
        return Fail(channel, judged.code, judged.reason)
    filled = replace(filled, approved=judged == APPROVED)
    if filled.approved:
        missing = unfit(placeholders(filled.source), filled.variables)
        if missing is not None:
            return Fail(channel, MISSING_VARIABLE, missing)
    return _delivered(channel, filled, profile)


def _submitted(filled: Template) -> bool:
    return filled.content.approved_type in ("", filled.type)


def _delivered(channel: str, filled: Template, profile: Profile) -> Deliver | Fail:
    """A type that may go: texts and files by the channel's own limits, the rest by the type's."""
    kind, words = filled.type, shown.as_text(filled.type, filled.fields)
    chars_max = shown.BODY_CHARS_MAX.get(kind)
    if filled.approved:
        chars_max = APPROVED_CHARS_MAX
    if kind == shown.TEXT and not filled.approved:
        return _kept(fit(channel, words, (), profile), filled)
    if chars_max is not None and len(_body(filled)) > chars_max:
        return Fail(channel, TOO_LONG, f"the text is longer than {chars_max} characters")
    fitting = fit(channel, words, _media(filled), "relaxed")
    if kind != shown.MEDIA and isinstance(fitting, Deliver) and fitting.body is None:
        fitting = fit(channel, words, (), profile)  # no caption there: words say more than a file
    return _kept(fitting, filled)


def _kept(fitting: Deliver | Fail, filled: Template) -> Deliver | Fail:
    """With its template, where a carrier of the channel may know it."""
    if isinstance(fitting, Fail) or fitting.channel in PLAIN:
        return fitting
    return replace(fitting, template=filled)


def _in_words(channel: str, template: ContentTemplate, profile: Profile) -> Deliver | Fail:
    """A template of which the channel shows no type."""
    kind = shown.richest(template.types)
    if kind is None:
        return Fail(channel, NOT_ON_CHANNEL, "the channel shows no type of the template")
    filled = _filled(template, kind)
    media = _media(filled)
    words = shown.as_text(kind, filled.fields)
    fitting = fit(channel, words, media, "relaxed" if media else profile)
    if isinstance(fitting, Fail):
        return fitting
    dropped = [f"{kind} (sent as text)", *([fitting.dropped] if fitting.dropped else [])]
    return replace(fitting, dropped=", ".join(dropped))


def _body(filled: Template) -> str:
    if filled.type == shown.CARD:
        return str(filled.fields.get("body") or filled.fields.get("title") or "")
    return str(filled.fields.get("body") or "")


def _media(filled: Template) -> tuple[MediaPart, ...]:
    return tuple(
        MediaPart(url, mimetypes.guess_type(url.partition("?")[0])[0] or "")
        for url in shown.media_urls(filled.fields)
    )


def _filled(template: ContentTemplate, kind: str) -> Template:
    """One type with its variables: those given, else their samples, else nothing."""
    source = template.types[kind]
    known = {**template.samples, **template.variables}
    used = {name: known[name] for name in placeholders(source) if name in known}
    return Template(template, kind, _fill(source, known), used)


def _fill(value: Any, known: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return PLACEHOLDER.sub(lambda found: known.get(found[1], ""), value)
    if isinstance(value, Mapping):
        return {name: _fill(one, known) for name, one in value.items()}
    if isinstance(value, list):
        return [_fill(one, known) for one in value]
    return value
