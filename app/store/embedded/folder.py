"""The data folder: it holds everything that stays.

    18/            the cluster; it has this name only once it is complete
    18.new-*/      a cluster being made; left over by a crash, removed by the next start
    server.log     what PostgreSQL says; trimmed, never more than a few megabytes
    owner.lock     locked by the one process that owns the server; names the socket's folder

The server that runs in it is known by the cluster's postmaster.pid.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from app.store.embedded import sockets
from app.store.embedded.binaries import MAJOR, EmbeddedError
from app.store.embedded.privileges import Account, account_for, give

POLL_S = 0.01  # between two looks at a folder that somebody else is changing

_LOG_BYTES_MAX, _LOG_BYTES_KEPT = 4 << 20, 64 << 10
_HARMLESS = {"lost+found"}


class Postmaster(NamedTuple):
    """What PostgreSQL writes into postmaster.pid."""

    pid: int
    socket_dir: Path
    ready: bool


@dataclass(frozen=True)
class Folder:
    """The data folder, and the account that owns it and runs the server (None: ourselves)."""

    path: Path
    account: Account | None

    @classmethod
    def prepare(cls, path: Path) -> Folder:
        """Make the folder, private, or make sure that an existing one is ours to use."""
        path = path.resolve()
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            names = {entry.name for entry in path.iterdir() if not entry.name.startswith(".")}
            folder = cls(path, account_for(path))
            if names - _HARMLESS and folder.lock.name not in names:
                raise folder.error("is neither empty nor a data folder of Parley")
            folder.own(path)
            path.chmod(0o700)
        except OSError as error:
            raise EmbeddedError(
                f"the data folder {path} cannot be used: {error}. Start Parley as the user who "
                "owns that folder, name another one, or set database.url"
            ) from error
        return folder

    @property
    def cluster(self) -> Path:
        return self.path / str(MAJOR)

    @property
    def log(self) -> Path:
        return self.path / "server.log"

    @property
    def lock(self) -> Path:
        return self.path / "owner.lock"

    @property
    def pid_file(self) -> Path:
        return self.cluster / "postmaster.pid"

    def own(self, target: Path | int) -> None:
        """Give one file or folder to the account that runs the server."""
        if self.account is not None:
            os.chown(target, *self.account)

    def own_cluster(self) -> None:
        """Take over a cluster that somebody else put here, such as a copy that root restored."""
        if self.account is not None and self.cluster.stat().st_uid != self.account.uid:
            give(self.cluster, self.account)

    def open(self, path: Path, flags: int) -> int:
        """A descriptor of one of our files; never through a link that somebody placed there."""
        made = os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags | made, 0o600)
        self.own(descriptor)
        return descriptor

    def try_lock(self) -> int | None:
        """The locked descriptor that makes us the owner, or None while somebody else is."""
        try:
            descriptor = self.open(self.lock, os.O_RDWR)
        except OSError as error:
            raise self.error(f"cannot be locked: {error}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def postmaster(self) -> Postmaster | None:
        """What postmaster.pid says; the process may be long gone."""
        try:
            lines = self.pid_file.read_text().splitlines()
            return Postmaster(int(lines[0]), Path(lines[4]), lines[7].strip() == "ready")
        except (OSError, ValueError, IndexError):
            return None

    def runs(self, pid: int) -> bool:
        """Whether this process is a server of our cluster, and not a later one with its number."""
        if not _exists(pid):
            return False
        if not Path("/proc/self").exists():
            return True
        try:
            words = os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).split("\0")
            return "-D" in words and Path(words[words.index("-D") + 1]).samefile(self.cluster)
        except OSError:
            return False

    def served_at(self) -> Path | None:
        """The socket folder of a server that is ready for clients."""
        found = self.postmaster()
        if found is None or not found.ready or not self.runs(found.pid):
            return None
        return found.socket_dir if sockets.answers(found.socket_dir) else None

    def remove_foreign_pid(self) -> None:
        """Drop a postmaster.pid whose number now belongs to an unrelated process (containers)."""
        found = self.postmaster()
        if found and _exists(found.pid) and not self.runs(found.pid):
            self.pid_file.unlink(missing_ok=True)

    def log_size(self) -> int:
        """The log's length in bytes."""
        return self.log.stat().st_size if self.log.exists() else 0

    @contextlib.contextmanager
    def open_log(self) -> Iterator[int]:
        """A descriptor to append to the log, while the block runs."""
        log = self.open(self.log, os.O_WRONLY | os.O_APPEND)
        try:
            yield log
        finally:
            os.close(log)

    def trim_log(self) -> None:
        """Keep only the end of a log that became long; PostgreSQL goes on appending to it."""
        if self.log_size() <= _LOG_BYTES_MAX:
            return
        descriptor = self.open(self.log, os.O_RDWR | os.O_APPEND)
        try:
            kept = os.pread(descriptor, _LOG_BYTES_KEPT, self.log_size() - _LOG_BYTES_KEPT)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, kept)
        finally:
            os.close(descriptor)

    def log_since(self, position: int, lines: int = 12) -> str:
        """The last lines that the log got after this position."""
        with contextlib.suppress(OSError), self.log.open("rb") as log:
            log.seek(max(position, self.log_size() - _LOG_BYTES_KEPT))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])
        return ""

    def error(self, what: str, position: int = 0) -> EmbeddedError:
        """The error that says this of our PostgreSQL, and quotes the log after this position."""
        quoted = self.log_since(position)
        return EmbeddedError(
            f"the embedded PostgreSQL in {self.path} {what}. Look into {self.log}, name another "
            "data folder, or set database.url to a server of your own."
            + (f" The last lines of the log:\n{quoted}" if quoted else "")
        )


def pause() -> None:
    """Wait a moment before the next look."""
    threading.Event().wait(POLL_S)


def _exists(pid: int) -> bool:
    """Whether this process is there and may be signalled, as a server of ours always may."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
