"""From what went wrong to the error answer: `{"code", "message", "more_info", "status"}`.

An answer never holds both `type` and `title`: official clients would take it for RFC 9457 and raise
another exception than the one that v1 callers catch ("Error Handling and Diagnostics").
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from aiohttp import web

from app.errors import (
    Conflict,
    Denied,
    Forbidden,
    Invalid,
    NoRoom,
    NotFound,
    Refused,
    TooMany,
    Unavailable,
)
from app.observe import Failed, Observe

STATUS: Mapping[type[Refused], int] = {
    NotFound: 404,
    Invalid: 400,
    Conflict: 409,
    Forbidden: 403,
    Denied: 401,
    TooMany: 429,
}
MORE_INFO = "https://www.twilio.com/docs/errors/"
AUTHENTICATE = 20003
METHOD_NOT_ALLOWED = 20004
NOT_FOUND = 20404
INTERNAL = 20500
UNAVAILABLE = 20503
GENERIC = 20000  # + status: how the original numbers errors that have no number of their own

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Unauthenticated(Exception):
    """The request carries no credentials, or wrong ones; which of the two is not said."""


def shaper(observe: Observe) -> Any:
    """The middleware that gives everything that goes wrong below the API its shape."""

    @web.middleware
    async def shape(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Refused as refused:
            return of_refused(refused)
        except Unauthenticated:
            challenge = {"WWW-Authenticate": 'Basic realm="Twilio API"'}
            return answer(401, AUTHENTICATE, "Authenticate", headers=challenge)
        except Unavailable as away:
            again = _retry_after(away.retry_after_s)
            said = str(away) if isinstance(away, NoRoom) else "Service unavailable"
            return answer(503, UNAVAILABLE, said, headers=again)
        except web.HTTPException as error:
            return of_http(request, error)
        except Exception as error:
            observe(Failed(f"api {request.method} {_where(request)}", error))
            return answer(500, INTERNAL, "Internal Server Error")

    return shape


def of_refused(refused: Refused) -> web.Response:
    """A refusal, under the status of its kind."""
    status = next(status for kind, status in STATUS.items() if isinstance(refused, kind))
    headers = _retry_after(refused.retry_after_s) if isinstance(refused, TooMany) else None
    return answer(status, refused.code, refused.message, refused.details, headers)


def of_http(request: web.Request, error: web.HTTPException) -> web.Response:
    """What the HTTP server itself refuses: unknown paths, methods that a path does not have."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = {"Allow": ", ".join(sorted(error.allowed_methods))}
        return answer(405, METHOD_NOT_ALLOWED, "Method not allowed", headers=allowed)
    if isinstance(error, web.HTTPNotFound):
        return of_refused(not_found(request))
    return answer(error.status, GENERIC + error.status, error.reason)


def not_found(request: web.Request) -> NotFound:
    """The path leads nowhere: a SID that is not there (or not yours), or no resource at all."""
    path = request.rel_url.raw_path.removeprefix("/v1")
    return NotFound(NOT_FOUND, f"The requested resource {path} was not found")


def answer(
    status: int,
    code: int,
    message: str,
    details: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """The error answer itself."""
    body: dict[str, Any] = {
        "code": code,
        "message": message,
        "more_info": f"{MORE_INFO}{code}",
        "status": status,
    }
    if details is not None:
        body["details"] = dict(details)
    return web.Response(
        status=status,
        body=orjson.dumps(body),
        headers=headers,
        content_type="application/json",
        charset="utf-8",
    )


def _retry_after(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(max(1, math.ceil(seconds)))}


def _where(request: web.Request) -> str:
    """The path's pattern: the path itself may hold a name."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "?"
