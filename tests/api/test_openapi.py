"""The served description: valid, whole, and true of whatever is sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
import schemathesis
from aiohttp import web
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import checks

from app.api import openapi
from app.api.content_shapes import CONTENTS
from app.api.routes import Route, chat_routes, routes
from app.api.setting_shapes import SETTINGS
from app.api.shapes import SHAPES
from app.api.studio_routes import studio_routes
from app.api.studio_shapes import STUDIO

from .checker import description, mistakes
from .conftest import OURS
from .contract import BOTH, SERVICE
from .tour import Tour

OPERATIONS = [
    (method.upper(), path, operation)
    for path, operations in description()["paths"].items()
    for method, operation in operations.items()
]
MOUNTED: list[tuple[str, Route]] = [
    *(("/v1", route) for route in routes()),
    *(("/v2", route) for route in studio_routes()),
    *(("/v3", route) for route in chat_routes()),
]
EXAMPLES_MAX = 8
NUMBERS = count()
CHECKS = (
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
)


async def test_it_is_served_to_everybody(world) -> None:
    status, served = await world.call("GET", "/openapi.json", auth=None)
    assert (status, served) == (200, description())


def test_it_is_openapi_3_1() -> None:
    schemathesis.openapi.from_dict(description()).validate()
    assert description()["openapi"] == "3.1.0"


def test_every_route_is_in_it_and_nothing_else() -> None:
    known = {(route.method, prefix + route.path) for prefix, route in MOUNTED}
    assert {(method, path) for method, path, _ in OPERATIONS} == known


def test_operations_have_names_and_words_of_their_own() -> None:
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(set(names)) == len(names)
    assert all(operation["description"] for _, _, operation in OPERATIONS)


def test_every_path_but_files_shows_a_shape() -> None:
    without = {route.path for _, route in MOUNTED if openapi.answer_of(route.path) is None}
    assert {path.rpartition("/")[2] for path in without} == {"Export", "Content"}
    used = {answer.shape for answer in openapi.ANSWERS.values()}
    assert {*SHAPES, *SETTINGS, *CONTENTS, *STUDIO} - used == set()


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_what_a_verb_takes_is_declared(method: str, path: str, operation: Any) -> None:
    route = next(
        one for prefix, one in MOUNTED if (one.method, prefix + one.path) == (method, path)
    )
    if method in ("POST", "PUT"):
        kind = openapi.JSON if route.verb.json else openapi.FORM
        declared = operation["requestBody"]["content"][kind]["schema"]["properties"]
    else:
        declared = [one["name"] for one in operation["parameters"] if one["in"] == "query"]
    assert {parameter.name for parameter in route.verb.parameters} <= set(declared)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, {"sid": "IS" + "0" * 32}, "'account_sid' is a required property"),
        (404, {"code": 20404, "message": "x", "status": 404}, "'more_info' is a required property"),
        (302, {}, "the status is not declared"),
        (429, {}, "the status is not declared"),
        (503, {}, "without Retry-After"),
    ],
)
def test_the_checker_sees_what_is_wrong(status: int, body: Any, said: str) -> None:
    answer = web.Response(
        status=status, body=json.dumps(body).encode(), content_type="application/json"
    )
    found = mistakes("get", "/v1/Services/{Sid}", status, answer)
    assert any(said in mistake for mistake in found), found


async def test_whatever_is_sent_the_answer_is_a_declared_one(a_world) -> None:
    async with a_world() as world:
        stages = {tree: Tour(world, tree, [OURS]) for tree in BOTH}
        for stage in stages.values():
            await stage.set_the_stage()
        for deleting in (False, True):
            assert await asyncio.to_thread(_walk, world, stages, deleting) == []


def _walk(world: Any, stages: dict[str, Tour], deleting: bool) -> list[str]:
    """Try every operation with what its description allows; gives what went wrong."""
    wrong: list[str] = []
    every = schemathesis.openapi.from_dict(description()).get_all_operations()
    for operation in sorted((made.ok() for made in every), key=lambda one: -one.path.count("/")):
        if (operation.method == "delete") is not deleting:
            continue
        try:
            _attempts(world, stages, operation)()
        except Exception as error:
            wrong.append(f"{operation.label}: {error}"[:1000])
    return wrong


def _attempts(world: Any, stages: dict[str, Tour], operation: Any) -> Callable[[], None]:
    """A few calls of one operation, most of them of what is on the stage."""
    path = operation.path[3:]
    stage = stages[SERVICE if path.startswith(f"{SERVICE}/") else ""]
    sid = stage.sids.get(path.rpartition("/")[0], stage.sids["ConversationSid"])
    known = stage.sids | {"Sid": sid}

    @settings(
        max_examples=EXAMPLES_MAX,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), astray=st.integers(0, 7), keyed=st.booleans())
    def attempt(case: Any, astray: int, keyed: bool) -> None:
        if astray:
            case.path_parameters = {name: known[name] for name in case.path_parameters or {}}
        headers = world.login | ({"Idempotency-Key": f"k{next(NUMBERS)}"} if keyed else {})
        response = case.call(base_url=world.base, headers=headers)
        case.validate_response(response, checks=CHECKS)

    return attempt
