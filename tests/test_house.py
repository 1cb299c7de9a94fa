"""The house's conventions, as far as a machine can read them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.ops.metrics import Metrics

ROOT = Path(__file__).parents[1]
APP = sorted((ROOT / "app").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
REVISIONS = sorted((ROOT / "migrations" / "versions").glob("[0-9]*.py"))
LOCKING = 19
"""Up to this revision some indexes were made while their tables were locked: nothing had been
released."""
LINES_MAX = 350
FUNCTION_LINES_MAX = 60
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "base", "core"}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", APP, ids=name)
def test_a_module_says_in_its_first_line_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), f"{name(path)} has no docstring"


@pytest.mark.parametrize("path", APP, ids=name)
def test_public_functions_and_classes_have_docstrings(path: Path) -> None:
    tree = ast.parse(path.read_text())
    bare = [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert bare == []


@pytest.mark.parametrize("path", APP, ids=name)
def test_files_and_functions_stay_small(path: Path) -> None:
    lines = path.read_text().count("\n")
    assert lines <= LINES_MAX, f"which second noun hides in {name(path)} ({lines} lines)?"
    long = [
        function.name
        for function in functions(path)
        if (function.end_lineno or 0) - function.lineno >= FUNCTION_LINES_MAX
    ]
    assert long == []


def test_no_file_is_named_after_nothing() -> None:
    assert [name(path) for path in APP if path.stem in EMPTY_NAMES] == []


def test_sql_lies_beside_the_module_that_asks_it() -> None:
    asked = "\n".join(path.read_text() for path in APP)
    for path in (ROOT / "app").rglob("*.sql"):
        assert f'"{path.name}"' in asked, f"nobody asks {name(path)}"


def test_tests_wait_on_observations() -> None:
    """A look every few hundredths of a second is one; only faults and loads choose moments."""
    sleeping = re.compile(r"(?:asyncio|time)\.sleep\((?P<seconds>[0-9.]+)\)")
    found = [
        f"{name(path)}:{number}"
        for path in TESTS
        if not {"bench", "faults"} & set(path.parts)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if (sleep := sleeping.search(line)) and float(sleep["seconds"]) > 0.05
    ]
    assert found == []


def test_nothing_of_ours_is_patched() -> None:
    patching = re.compile(r"\bmock\.patch|from unittest import mock|MagicMock")
    assert [name(path) for path in TESTS if patching.search(path.read_text())] == [
        "tests/test_house.py"
    ]


def test_metrics_are_named_by_the_convention() -> None:
    names = re.findall(r"^# TYPE (\S+) (\S+)", Metrics(["lab"]).page().decode(), re.MULTILINE)
    ours = [(one, kind) for one, kind in names if not one.startswith(("process_", "python_"))]
    assert ours
    for one, kind in ours:
        assert one.startswith("parley_"), one
        assert kind != "counter" or one.endswith("_total"), one


def test_no_page_of_the_repository_names_its_workplace() -> None:
    words = re.compile(r"\.\./shared|/work/|\.library|subagent", re.IGNORECASE)
    pages = [*APP, *(ROOT / "config").iterdir(), ROOT / "README.md", ROOT / "pyproject.toml"]
    pages += [path for path in TESTS if path.name != "test_house.py"]
    found = [name(path) for path in pages if path.is_file() and words.search(path.read_text())]
    assert found == []


@pytest.mark.parametrize("path", REVISIONS[LOCKING:], ids=name)
def test_a_revision_locks_no_table_while_it_makes_an_index(path: Path) -> None:
    """Only those of tables that it makes itself, where nothing is yet."""
    text = path.read_text()
    new = set(re.findall(r'create_table\(\s*"(\w+)"', text))
    indexed = re.findall(r'create_index\(\s*(?:op\.f\()?"\w+"\)?,\s*"(\w+)"', text)
    assert set(indexed) <= new
    assert not re.search(r"CREATE (UNIQUE )?INDEX (?!CONCURRENTLY)", text)
