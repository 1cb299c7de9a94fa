"""Where a server is reached: a Unix socket in a short private folder of its own, and its DSN.

Nothing listens on TCP. The socket is not in the data folder, because socket paths are limited to
107 bytes.
"""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
from pathlib import Path
from urllib.parse import quote

PORT = 5432  # only names the socket: nothing listens on TCP
ROLE = DATABASE = "parley"

_PREFIX = "parley-pg-"
_PARENT_BYTES = 60  # + prefix + "/.s.PGSQL.5432.lock" stays far below 107


def dsn(socket_dir: Path) -> str:
    """What a client connects to: our role and database, by the socket in this folder."""
    return f"postgresql://{ROLE}@/{DATABASE}?host={quote(str(socket_dir))}&port={PORT}"


def make_dir() -> Path:
    """A new short folder for a socket, private to us."""
    parent = tempfile.gettempdir()
    if len(os.fsencode(parent)) > _PARENT_BYTES:
        parent = "/tmp"  # noqa: S108 - mkdtemp makes it private
    return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))


def answers(socket_dir: Path) -> bool:
    """Whether a server accepts connections in this socket folder."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1.0)
        try:
            client.connect(str(_socket(socket_dir)))
        except OSError:
            return False
    return True


def remove_dir(old: Path) -> None:
    """Remove what a killed owner left, unless it is in use: our data may be somebody's copy."""
    if not old.name.startswith(_PREFIX) or answers(old):
        return
    with contextlib.suppress(OSError):
        _socket(old).unlink(missing_ok=True)
        _socket(old, ".lock").unlink(missing_ok=True)
        old.rmdir()


def _socket(socket_dir: Path, suffix: str = "") -> Path:
    return socket_dir / f".s.PGSQL.{PORT}{suffix}"
