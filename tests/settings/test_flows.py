"""Flows that the file declares: their definitions are files of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.settings.load import load
from app.settings.problems import ConfigErrors
from tests.settings.sample import ENVIRONMENT, GOOD, KINDS, write

FLOW = "FW" + "0" * 32
BOTS = Path(__file__).parents[2] / "config" / "flows" / "bots.json"


def with_flow(folder: Path, flow: str, definition: str | None = None) -> Path:
    """A file that names a flow, and the definition beside it."""
    if definition is not None:
        (folder / "bots.json").write_text(definition)
    return write(folder, f"{GOOD}\nflows:\n  {FLOW}: {flow}\n")


def test_a_flow_is_read_from_the_file_beside(tmp_path: Path) -> None:
    path = with_flow(tmp_path, "{file: bots.json}", BOTS.read_text())
    flow = load(path, KINDS, ENVIRONMENT).flows[FLOW]
    assert (flow.definition, flow.url) == (BOTS.read_text(), None)


def test_what_is_wrong_with_a_definition_is_said_with_its_own_line(tmp_path: Path) -> None:
    definition = BOTS.read_text().replace('"next": "split_1"', '"next": "split_2"')
    line = definition[: definition.index("split_2")].count("\n") + 1
    with pytest.raises(ConfigErrors) as errors:
        load(with_flow(tmp_path, "{file: bots.json}", definition), KINDS, ENVIRONMENT)
    [problem] = errors.value.problems
    assert (problem.file, problem.line) == (str(tmp_path / "bots.json"), line)
    assert "send_and_reply_1 (send-and-wait-for-reply)" in str(problem)


@pytest.mark.parametrize(
    ("flow", "said"),
    [
        ("{file: nowhere.json}", "'nowhere.json' is not a file"),
        ("{}", "should have a file (it runs here) or a url"),
        ("{file: bots.json, url: 'https://a.example.com'}", "should have a file"),
        ("{file: bots.json, account: AC" + "9" * 32 + "}", "no such account"),
    ],
)
def test_what_is_wrong_with_a_flow_is_said(tmp_path: Path, flow: str, said: str) -> None:
    with pytest.raises(ConfigErrors) as errors:
        load(with_flow(tmp_path, flow, BOTS.read_text()), KINDS, ENVIRONMENT)
    assert said in str(errors.value)
