"""How hard the fault tests try, and the ground that they stand on."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from random import SystemRandom

import pytest

from tests.faults.ground import Ground, grounds

KILLS = 5
SECONDS_PER_KILL = 10


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--kills 50` for a long run, `--seed N` to repeat one; or PARLEY_KILLS and PARLEY_SEED."""
    group = parser.getgroup("faults")
    group.addoption("--kills", type=int, default=None, help="kills in each fault test")
    group.addoption("--seed", type=int, default=None, help="the seed of all chance")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """More kills take more time."""
    limit = pytest.mark.timeout(240 + SECONDS_PER_KILL * max(0, _kills(config) - KILLS))
    for item in items:
        if item.get_closest_marker("faults") is not None:
            item.add_marker(limit)


def _kills(config: pytest.Config) -> int:
    given = config.getoption("--kills", None) or os.environ.get("PARLEY_KILLS")
    return int(given or KILLS)


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    """How often a test kills."""
    return _kills(request.config)


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Another one in every run, unless one is given."""
    given = request.config.getoption("--seed", None) or os.environ.get("PARLEY_SEED")
    return int(given or SystemRandom().randrange(1_000_000))


@pytest.fixture(scope="session")
async def ground() -> AsyncIterator[Ground]:
    """The PostgreSQL of the fault tests."""
    async with grounds() as one:
        yield one
