"""Figures and the table that they are printed in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, TypeVar

K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a run. `floor` None: shown only. `most` says that the floor is a ceiling.
    `beside` are the absolutes that it was made of: noise on a shared machine."""

    name: str
    value: float
    floor: float | None = None
    most: bool = False
    beside: str = ""

    def and_beside(self, more: str) -> Figure:
        """The same with more beside it."""
        return replace(self, beside=self.beside + more)

    @property
    def verdict(self) -> str:
        """`ok`, `MISSED`, or nothing when there is no floor."""
        if self.floor is None:
            return ""
        met = self.value <= self.floor if self.most else self.value >= self.floor
        return "ok" if met else "MISSED"

    def row(self) -> tuple[str, str, str, str, str]:
        """The figure as the table shows it."""
        sign = "<=" if self.most else ">="
        floor = "" if self.floor is None else f"{sign} {self.floor:g}"
        return self.name, f"{self.value:.3g}", floor, self.verdict, self.beside


HEAD = ("figure", "value", "floor", "ok", "of (absolutes are noise on shared machines)")


def lines(figures: Sequence[Figure]) -> list[str]:
    """The table, a line for each figure."""
    rows = [HEAD, *(figure.row() for figure in figures)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(HEAD) - 1)]
    return [
        " | ".join(
            [*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]
        )
        for row in rows
    ]


async def interleaved(
    rounds: int, runs: Mapping[K, Callable[[], Awaitable[Any]]]
) -> dict[K, list[Any]]:
    """Every run once in each round: what disturbs the machine disturbs all of them."""
    found: dict[K, list[Any]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            found[name].append(await run())
    return found


def middle(values: Sequence[float]) -> float:
    """The median."""
    return median(values)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share of the values lies; 0 when there are none."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * share))] if ranked else 0.0
