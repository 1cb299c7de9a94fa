"""All 103 operations of the contract: routed, described, and answered as it says."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.api.routes import Route, routes

from .checker import description
from .conftest import living
from .contract import PAGING, Operation, operations
from .tour import tour

CONTRACT = list(operations())
each = pytest.mark.parametrize("operation", CONTRACT, ids=lambda one: one.name)


def plain(path: str) -> str:
    """A path whatever its segments are called."""
    return re.sub(r"{\w+}", "{}", path)


ROUTES: dict[tuple[str, str], Route] = {(one.method, plain(one.path)): one for one in routes()}
DESCRIBED: dict[tuple[str, str], Any] = {
    (method.upper(), plain(path.removeprefix("/v1"))): operation
    for path, operations_ in description()["paths"].items()
    for method, operation in operations_.items()
}


@pytest.fixture(scope="module")
async def toured(api_dsn: str) -> AsyncIterator[dict[str, str | None]]:
    """What the tour found."""
    async with living(api_dsn) as world:
        yield await tour(world)


def test_there_are_103() -> None:
    assert len({(one.method, one.path) for one in CONTRACT}) == 103


@each
def test_it_is_routed_with_its_parameters(operation: Operation) -> None:
    route = ROUTES[operation.method, plain(operation.path)]
    taken = {parameter.name: parameter.required for parameter in route.verb.parameters}
    assert operation.parameters - set(PAGING) - set(taken) == set()
    needed = {name for name, required in taken.items() if required}
    assert needed == operation.required
    assert route.status == operation.status
    assert route.verb.run.__name__ == operation.verb


@each
def test_it_is_described_with_its_keys(operation: Operation) -> None:
    described = DESCRIBED[operation.method, plain(operation.path)]
    content = described["responses"][str(operation.status)].get("content")
    if not operation.keys:
        assert content is None
        return
    shown = content["application/json"]["schema"]
    if operation.listed is not None:
        assert set(shown["properties"]) == {"meta", operation.listed}
        shown = shown["properties"][operation.listed]["items"]
        queries = {one["name"] for one in described["parameters"] if one["in"] == "query"}
        assert operation.parameters <= queries
    shape = description()["components"]["schemas"][shown["$ref"].rpartition("/")[2]]
    assert set(shape["properties"]) == operation.keys


@each
def test_it_answers(toured: dict[str, str | None], operation: Operation) -> None:
    assert toured[operation.name] is None
