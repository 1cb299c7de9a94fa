"""The table of widgets."""

from __future__ import annotations

from app.flows.widgets import discover, table


def test_the_table_has_every_widget_once() -> None:
    named = [line for line in table.lines() if not line.startswith(" ")]
    words = [word for line in named for word in line.split(", ")]
    assert sorted(words) == sorted([*discover.kinds(), *discover.REFUSED])


def test_no_widget_is_run_and_refused() -> None:
    assert not set(discover.kinds()) & set(discover.REFUSED)
    assert len(discover.kinds()) == sum(len(one.types) for one in discover.declared())
