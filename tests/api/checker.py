"""Every answer of every test of the API is held against the API's own description."""

from __future__ import annotations

import json
from functools import cache, cached_property
from typing import Any

from aiohttp import web
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from app.api import client_media, openapi
from app.api.routes import chat_routes, routes
from app.api.studio_routes import studio_routes
from app.media import links

DOCUMENT = "urn:parley"
ANYWHERE = frozenset({404, 405, 401, 403, 413, 400, 500})
"""What may be said where no operation is; and what goes wrong below one before it is reached."""


@cache
def description() -> dict[str, Any]:
    """The document, as it is served."""
    return openapi.document({"/v1": routes(), "/v2": studio_routes(), "/v3": chat_routes()})


class Checker:
    """What the answers of one world did that the description does not say."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    @cached_property
    def middleware(self) -> Any:
        """Goes around the whole site."""

        @web.middleware
        async def check(request: web.Request, handler: Any) -> web.StreamResponse:
            response: web.StreamResponse = await handler(request)
            self.check(request, response)
            return response

        return check

    def check(self, request: web.Request, response: web.StreamResponse) -> None:
        """Note what is wrong with one answer. What SDKs ask is theirs, and not described."""
        if request.path.startswith(client_media.PREFIX):
            return
        resource = request.match_info.route.resource
        path = resource.canonical if resource is not None else ""
        key = (request.method.lower(), path, response.status)
        wrong = next(iter(mistakes(*key, response)), None)
        if wrong is not None:
            self.problems.append(f"{request.method} {path} {response.status}: {wrong}")


def mistakes(method: str, path: str, status: int, response: web.StreamResponse) -> list[str]:
    """What an answer does that the description does not say of its operation."""
    operation = description()["paths"].get(path, {}).get(method)
    if operation is None:
        known = path in (openapi.PATH, links.PATH) or status in ANYWHERE
        return [] if known else ["there is no such operation"]
    declared = operation["responses"].get(str(status))
    if declared is None:
        return ["the status is not declared"]
    if "$ref" in declared:
        declared = description()["components"]["responses"][declared["$ref"].rpartition("/")[2]]
    missing = [name for name in declared.get("headers", {}) if name not in response.headers]
    return [f"without {name}" for name in missing] or _body(declared.get("content", {}), response)


def _body(content: dict[str, Any], response: web.StreamResponse) -> list[str]:
    if not content:
        empty = not isinstance(response, web.Response) or not response.body
        return [] if empty else ["a body where none is declared"]
    if "*/*" not in content and response.content_type not in content:
        return [f"{response.content_type} is not declared"]
    if not isinstance(response, web.Response):
        return []  # it was streamed
    schema = json.dumps(content[response.content_type]["schema"])
    assert isinstance(response.body, bytes)
    errors = _validator(schema).iter_errors(json.loads(response.body))
    return [f"{error.json_path}: {error.message[:300]}" for error in errors]


@cache
def _validator(schema: str) -> Draft202012Validator:
    local = json.loads(schema.replace('"#/', f'"{DOCUMENT}#/'))
    document = Resource(contents=description(), specification=DRAFT202012)
    return Draft202012Validator(local, registry=Registry().with_resource(DOCUMENT, document))
