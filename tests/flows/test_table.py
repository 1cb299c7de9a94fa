"""README's table of widgets is the one that the widgets print."""

from __future__ import annotations

from pathlib import Path

from app.flows.widgets import discover, table

README = Path(__file__).parents[2] / "README.md"


def test_readme_has_the_table_of_widgets() -> None:
    assert "\n".join(table.lines()) in README.read_text(), (
        "print it anew: python -m app.flows.widgets.table"
    )


def test_no_widget_is_run_and_refused() -> None:
    assert not set(discover.kinds()) & set(discover.REFUSED)
    assert len(discover.kinds()) == sum(len(one.types) for one in discover.declared())
