"""What operators may ask over HTTP: probes and metrics for machines, questions for people."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from aiohttp import web

from app.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from app.ops import explain, flow_trace, trace
from app.ops.health import Health
from app.ops.metrics import Metrics
from app.runtime import Runtime

MORE_INFO = "https://www.twilio.com/docs/errors/"
CHALLENGE = {"WWW-Authenticate": 'Basic realm="Twilio API"'}

OTHERS_MAX = 50

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Asked = Callable[[web.Request, str], Awaitable[web.StreamResponse]]
"""Answers a request of an operator of this account."""
Admit = Callable[[web.Request], Awaitable[str | None]]
"""The account of the operator who asks; None for somebody unknown. Raises Forbidden."""


def probe_routes(health: Health, metrics: Metrics) -> list[web.RouteDef]:
    """Health and metrics: no credentials, nothing private."""
    return [
        web.get("/livez", health.live),
        web.get("/readyz", health.ready),
        web.get("/metrics", metrics.answer),
    ]


def operator_routes(runtime: Runtime, admit: Admit) -> list[web.RouteDef]:
    """Questions about messages: for operators, each of its own account."""
    settings = runtime.settings

    async def explained(request: web.Request, account_sid: str) -> web.Response:
        to, from_ = _given(request, "To"), _given(request, "From")
        body, others = request.query.get("Body"), request.query.getall("Others", [])
        if len(others) > OTHERS_MAX:
            raise Invalid(20001, f"Others: {OTHERS_MAX} at most")
        async with runtime.db.begin() as tx:
            own = settings.of(account_sid)
            found = await explain.explain(tx.sql, own, to, from_, body, others)
        return answered(explain.as_json(found))

    async def traced(request: web.Request, account_sid: str) -> web.Response:
        only = account_sid if settings.accounts else None
        async with runtime.db.begin() as tx:
            found = await trace.trace(tx.sql, request.match_info["sid"], only)
        if found is None:
            path = request.rel_url.raw_path
            return _error(404, 20404, f"The requested resource {path} was not found")
        return answered(trace.as_json(found))

    async def walked(request: web.Request, account_sid: str) -> web.Response:
        only = account_sid if settings.accounts else None
        async with runtime.db.begin() as tx:
            found = await flow_trace.trace(tx.sql, request.match_info["sid"], only)
        if found is None:
            path = request.rel_url.raw_path
            return _error(404, 20404, f"The requested resource {path} was not found")
        return answered(found)

    return [
        web.get("/ops/flows/{sid}", guarded(walked, admit)),
        web.get("/ops/explain", guarded(explained, admit)),
        web.get("/ops/trace/{sid}", guarded(traced, admit)),
    ]


def guarded(asked: Asked, admit: Admit) -> Handler:
    """The handler behind the API's credentials, its errors in the API's shape."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        try:
            account_sid = await admit(request)
            if account_sid is None:
                return _error(401, 20003, "Authenticate", CHALLENGE)
            await _storable(request)
            return await asked(request, account_sid)
        except Forbidden as forbidden:
            return _error(403, forbidden.code, forbidden.message)
        except Invalid as invalid:
            return _error(400, invalid.code, invalid.message)
        except NotFound as unknown:
            return _error(404, unknown.code, unknown.message)
        except Conflict as conflict:
            return _error(409, conflict.code, conflict.message)
        except Unavailable:
            return _error(503, 20503, "Service unavailable", {"Retry-After": "1"})

    return guarded


async def _storable(request: web.Request) -> None:
    """Refuse what no text of a database can hold. The path is one that leads nowhere then."""
    if any("\x00" in value for value in request.match_info.values()):
        path = request.rel_url.raw_path
        raise NotFound(20404, f"The requested resource {path} was not found")
    try:
        form = await request.post() if request.method == "POST" else request.query
    except ValueError as unreadable:
        raise Invalid(20001, "The request's form cannot be read") from unreadable
    for name, value in (*request.query.items(), *form.items()):
        if "\x00" in name:
            raise Invalid(20001, "A parameter's name holds a NUL character")
        if isinstance(value, str) and "\x00" in value:
            raise Invalid(20001, f"{name}: a NUL character cannot be kept")


def _given(request: web.Request, name: str) -> str:
    """A parameter that must be there. A + that was not written as %2B came as a space."""
    value = request.query.get(name, "")
    if not value.strip():
        raise Invalid(20001, f"Missing required parameter {name}")
    return "+" + value.lstrip() if value.startswith(" ") else value.replace(": ", ":+")


def answered(body: Mapping[str, Any]) -> web.Response:
    """An answer in JSON."""
    return web.Response(body=orjson.dumps(body), content_type="application/json")


def _error(
    status: int, code: int, message: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    body = {
        "code": code,
        "message": message,
        "more_info": f"{MORE_INFO}{code}",
        "status": status,
    }
    return web.Response(
        status=status, body=orjson.dumps(body), headers=headers, content_type="application/json"
    )
