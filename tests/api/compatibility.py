"""`python -m tests.api.compatibility` prints a table: each operation of the contract, called in a
living world just now."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from app.store import embedded, schema

from .conftest import living
from .contract import BOTH, RESOURCES, SERVICE, VERBS, Resource
from .tour import tour


async def main() -> int:
    """Print the table; 1 when an operation does not do what the contract says."""
    with tempfile.TemporaryDirectory() as folder:
        server = await embedded.start(Path(folder) / "postgres")
        try:
            await schema.migrate(server.dsn, lambda _: None)
            async with living(server.dsn) as world:
                found = await tour(world)
        finally:
            await server.stop()
    print(table(found))
    for name, problem in found.items():
        if problem is not None:
            print(f"{name}: {problem}", file=sys.stderr)
    return int(any(found.values()))


def table(found: Mapping[str, str | None]) -> str:
    """One row for each path, one column for each verb, the trees that it was called in."""
    good = sum(problem is None for problem in found.values())
    lines = [
        f"{good} of {len(found)} operations.",
        "",
        "| path | trees | create | list | fetch | update | delete |",
        "|---|---|---|---|---|---|---|",
    ]
    for resource in sorted(RESOURCES, key=lambda one: (one.path, one.trees)):
        cells = [_cell(resource, verb, method, found) for verb, method, _ in VERBS]
        lines.append(f"| `{resource.path}` | {_trees(resource)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(resource: Resource, verb: str, method: str, found: Mapping[str, str | None]) -> str:
    if getattr(resource, verb) is None:
        return ""
    problems = [found[f"{method} {tree}{resource.path}"] for tree in resource.trees]
    return "ok" if not any(problems) else "**no**"


def _trees(resource: Resource) -> str:
    if resource.trees == BOTH:
        return "both"
    return "service" if resource.trees == (SERVICE,) else "account"


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
