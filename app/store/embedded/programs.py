"""Starts PostgreSQL's programs as the folder's account, apart from our terminal and our secrets.

What they say goes into the folder's log.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from app.store.embedded.binaries import pg_home
from app.store.embedded.folder import POLL_S, Folder
from app.store.embedded.privileges import wrap

# The kernel's "tell me when my parent dies" means the thread that forked, so servers are started
# by a thread that lives exactly as long as the process.
_KEEPER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedded-postgres")


def run(folder: Folder, argv: Sequence[str], *, deadline: float, statement: str = "") -> None:
    """Run one of PostgreSQL's programs to its end; EmbeddedError when it fails or is too late."""
    position = folder.log_size()
    process = spawn(folder, argv, stdin=subprocess.PIPE)
    left_s = max(deadline - time.monotonic(), POLL_S)
    try:
        process.communicate(f"{statement}\n".encode(), timeout=left_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.returncode != 0:
        raise folder.error(f"cannot be set up ({Path(argv[0]).name} failed)", position)


def spawn(
    folder: Folder,
    argv: Sequence[str],
    *,
    needs: Sequence[Path] = (),
    stdin: int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start a program as the folder's account, apart from our terminal's Ctrl-C.

    `needs` are the paths that it must reach besides PostgreSQL's own and the data folder.
    """
    home = pg_home()
    reached = [Path(argv[0]), home / "share", home / "lib", folder.path, *needs]
    command = wrap(argv, folder.account, reached)
    with folder.open_log() as log:
        return _KEEPER.submit(_popen, command, stdin, log).result()


def options(settings: Mapping[str, str]) -> list[str]:
    """PostgreSQL's settings as words of its command line."""
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]


def _popen(command: Sequence[str], stdin: int, log: int) -> subprocess.Popen[bytes]:
    # our environment holds secrets, and PG* variables that would mislead a server
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return subprocess.Popen(  # noqa: S603 - our own launcher
        command,
        stdin=stdin,
        stdout=log,
        stderr=log,
        cwd="/",
        env={**kept, "LC_ALL": "C", "TZ": "UTC"},
        start_new_session=True,
    )
