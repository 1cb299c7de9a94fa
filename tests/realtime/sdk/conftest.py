"""Where the SDK's tests run, and where they say why they do not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.faults.ground import Ground, grounds
from tests.realtime.sdk import installed
from tests.realtime.sdk.place import Place, place

BROWSER = "test_page.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them are marked; what is missing on this machine skips them."""
    here = [item for item in items if installed.FOLDER / "sdk" in item.path.parents]
    for item in here:
        item.add_marker(pytest.mark.sdk)
        if (why := installed.missing(item.path.name == BROWSER)) is not None:
            item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session")
async def ground() -> AsyncIterator[Ground]:
    """The PostgreSQL of these tests."""
    async with grounds() as one:
        yield one


@pytest.fixture(scope="session")
async def one_place(
    ground: Ground, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    """A place that many tests share, with people of their own."""
    async with place(ground, tmp_path_factory.mktemp("sdk")) as one:
        yield one


@pytest.fixture
def here(one_place: Place) -> Iterator[Place]:
    """The shared place; nothing may be left unhandled in it."""
    since = len(one_place.node.heard)
    yield one_place
    assert one_place.node.unhandled(since) == []
