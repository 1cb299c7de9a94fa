"""HTTP as widgets have it: what is called, and what an answer leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from app.flows.asks import Answered, Event
from app.flows.fuel import VALUE_BYTES_MAX, clean, json_value, weight
from app.flows.states import State
from app.flows.widgets.contract import Report

URL_MAX = 4_096
TIMEOUT_S = 10.0
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


def check_url(state: State, report: Report) -> None:
    """The property `url` is one that can be called, as far as it has no variables."""
    report.needs(state, "url")
    url = state.text("url").strip()
    if url and "{" not in url and not callable_url(url):
        report.say(("properties", "url"), "should be a URL with http:// or https://")


def callable_url(url: str) -> bool:
    """Whether this is a URL that HTTP can call."""
    if len(url) > URL_MAX or any(mark <= " " for mark in url):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def with_query(url: str, parameters: Mapping[str, str]) -> str:
    """The URL with these parameters behind those that it has."""
    if not parameters:
        return url
    plain, mark, fragment = url.partition("#")
    joint = "&" if "?" in plain else "?"
    return f"{plain}{joint}{urlencode(parameters)}{mark}{fragment}"


def shown(event: Event) -> dict[str, Any] | None:
    """The variables of an answer: body, status_code, content_type, and parsed when it is JSON.
    None when there was no answer, or one larger than a widget keeps."""
    if not isinstance(event, Answered):
        return None
    body = event.body
    text = clean(body.decode(errors="replace") if isinstance(body, bytes) else body)
    kind = next((v for k, v in event.headers.items() if k.lower() == "content-type"), "")
    found: dict[str, Any] = {
        "body": text,
        "status_code": event.status,
        "content_type": clean(kind)[:200],
    }
    if kind.partition(";")[0].strip().lower() == JSON:
        try:
            found["parsed"] = json_value(text)
        except ValueError:
            found["parsed"] = {}
    return found if weight(found) <= VALUE_BYTES_MAX - 64 else None
