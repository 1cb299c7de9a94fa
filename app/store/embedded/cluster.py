"""Makes a new cluster with our role and database; a crash leaves nothing that passes for one."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from app.store.embedded import programs
from app.store.embedded.binaries import MAJOR, pg_bin
from app.store.embedded.folder import Folder
from app.store.embedded.sockets import DATABASE, ROLE

_INITDB = (
    f"--username={ROLE}",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--auth-local=trust",  # the socket's folder is the guard
    "--auth-host=reject",
    "--no-instructions",
)
_HALF_MADE = f"{MAJOR}.new-"


def make(folder: Folder, settings: Mapping[str, str], *, deadline: float) -> None:
    """initdb and the database, under another name until both are on disk."""
    new = Path(tempfile.mkdtemp(prefix=_HALF_MADE, dir=folder.path))
    folder.own(new)
    initdb = [str(pg_bin("initdb")), "-D", str(new), *_INITDB]
    programs.run(folder, initdb, deadline=deadline)
    options = programs.options({**settings, "exit_on_error": "on"})
    single = [str(pg_bin("postgres")), "--single", "-D", str(new), *options, "postgres"]
    programs.run(folder, single, deadline=deadline, statement=f"CREATE DATABASE {DATABASE}")
    new.rename(folder.cluster)
    _sync(folder.path)


def remove_half_made(folder: Folder) -> None:
    """Remove what a crash left of clusters that were being made."""
    for rest in folder.path.glob(f"{_HALF_MADE}*"):
        shutil.rmtree(rest, ignore_errors=True)


def _sync(path: Path) -> None:
    """Make a rename in this folder survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
