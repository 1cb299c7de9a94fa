"""Words in columns, for terminals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

GAP = "  "


def table(rows: Iterable[Sequence[str]]) -> list[str]:
    """One line for each row; every column but the last is as wide as its widest cell."""
    cells = [tuple(row) for row in rows]
    if not cells:
        return []
    widths = [max(len(row[at]) for row in cells) for at in range(len(cells[0]) - 1)]
    return [_line(row, widths) for row in cells]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
    return GAP.join([*padded, row[-1]]).rstrip()
