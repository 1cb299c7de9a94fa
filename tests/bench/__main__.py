"""`python -m tests.bench [--seconds N] [--quick] [--only NAME]`: the figures of performance, as
ratios of one run. Each run of a figure lasts `--seconds`; `--quick` is one short round of each on a
smaller database."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import monotonic

from tests.bench import flowing, inbound, outward, rest, sockets, spread, telling, upkeep
from tests.bench.stage import Stage, stage
from tests.bench.table import Figure, lines

SECONDS, QUICK_SECONDS = 4.0, 1.0

FIGURES: Mapping[str, Callable[[Stage], Awaitable[Sequence[Figure]]]] = {
    "road": inbound.road,
    "hot": inbound.hot,
    "flush": inbound.flush,
    "latency": outward.latency,
    "lanes": outward.lanes,
    "beside": outward.beside,
    "fanout": spread.fanout,
    "files": spread.files,
    "hooks": telling.hooks,
    "flows": flowing.flows,
    "failing": telling.failing,
    "hanging": telling.hanging,
    "memory": upkeep.memory,
    "grown": inbound.grown,
    "timers": upkeep.timers,
    "rest": rest.rest,
    "sockets": sockets.sockets,
    "heard": sockets.heard,
    "starting": sockets.starting,
    "crowded": sockets.crowded,
}


async def run(seconds: float, quick: bool, only: Sequence[str]) -> tuple[list[Figure], bool]:
    """Measure the figures with these names, all of them when there are none; says whether each
    could be measured."""
    began, whole = monotonic(), True

    def say(text: str) -> None:
        print(f"[{monotonic() - began:4.0f} s] {text}", file=sys.stderr, flush=True)

    found: list[Figure] = []
    async with stage(seconds=seconds, quick=quick, say=say) as made:
        for name in only or FIGURES:
            say(name)
            try:
                found += await FIGURES[name](made)
            except Exception as error:  # what was measured until now is worth its minutes
                say(f"{name} broke: {error!r}")
                whole = False
    say("done")
    return found, whole


def main() -> int:
    """Measure and print; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--seconds", type=float, help="how long each run lasts")
    parser.add_argument("--quick", action="store_true", help="one short round of each figure")
    parser.add_argument("--only", action="append", default=[], choices=FIGURES, metavar="NAME")
    options = parser.parse_args()
    seconds = options.seconds or (QUICK_SECONDS if options.quick else SECONDS)
    found, whole = asyncio.run(run(seconds, options.quick, options.only))
    print(*lines(found), sep="\n")
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
