"""Where the SDK's tests run, and where they say why they do not. Each runs twice: with clients in
Node, and in a page of a browser."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial

import pytest

from tests.faults.ground import Ground, grounds
from tests.realtime.sdk import installed
from tests.realtime.sdk.chromium import Browser, chromium
from tests.realtime.sdk.clients import Drive
from tests.realtime.sdk.node import node
from tests.realtime.sdk.place import Place, place
from tests.realtime.sdk.tab import tab

NODE, CHROMIUM = "node", "chromium"
BROWSER = "test_page.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them are marked; what is missing on this machine skips them."""
    here = [item for item in items if installed.FOLDER / "sdk" in item.path.parents]
    for item in here:
        item.add_marker(pytest.mark.sdk)
        if (why := installed.missing(_in_browser(item))) is not None:
            item.add_marker(pytest.mark.skip(reason=why))


def _in_browser(item: pytest.Item) -> bool:
    spec = getattr(item, "callspec", None)
    params = spec.params.values() if spec is not None else ()
    return CHROMIUM in params or item.path.name == BROWSER


@pytest.fixture(scope="session")
async def ground() -> AsyncIterator[Ground]:
    """The PostgreSQL of these tests."""
    async with grounds() as one:
        yield one


@pytest.fixture(scope="session")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser | None]:
    """One browser for all pages; None where there is none."""
    if installed.chromium() is None:
        yield None
        return
    async with chromium(tmp_path_factory.mktemp("chromium")) as one:
        yield one


@pytest.fixture(scope="session", params=[NODE, CHROMIUM])
def drive(request: pytest.FixtureRequest, browser: Browser | None) -> Drive:
    """Where clients run."""
    if request.param == NODE:
        return node
    assert browser is not None
    return partial(tab, browser)


@pytest.fixture(scope="session")
async def one_place(
    ground: Ground, drive: Drive, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    """A place that many tests share, with people of their own."""
    async with place(ground, tmp_path_factory.mktemp("sdk"), drive) as one:
        yield one


@pytest.fixture
def here(one_place: Place) -> Iterator[Place]:
    """The shared place; nothing may be left unhandled in it."""
    since = len(one_place.clients.heard)
    yield one_place
    assert one_place.clients.unhandled(since) == []
