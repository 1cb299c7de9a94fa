"""The server that we own: started after whatever a predecessor left, watched, revived, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from app.store.embedded import cluster, programs, sockets
from app.store.embedded.binaries import EmbeddedError, pg_bin
from app.store.embedded.folder import POLL_S, Folder, pause

_STOP_S = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0))
_LOG_CHECK_S = 60.0
# what PostgreSQL says while processes of a killed predecessor are still leaving
_TRANSIENT = ("is still in use", 'lock file "postmaster.pid" already exists')


class Server:
    """The server of a folder whose lock we hold, from `open` to `stop`."""

    def __init__(self, folder: Folder, settings: Mapping[str, str], lock: int) -> None:
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
            cluster.remove_half_made(self.folder)
            self.folder.trim_log()
            if self.folder.cluster.exists():
                self.folder.own_cluster()
            else:
                cluster.make(self.folder, self.settings, deadline=deadline)
            old = self._make_socket_dir()
            self._launch(deadline)
            sockets.remove_dir(old)  # not before: a killed server's last processes hold it
        except BaseException as error:
            self.stop()
            if isinstance(error, OSError | subprocess.SubprocessError):
                raise self.error(f"cannot be started: {error}") from error
            raise

    def revive(self) -> bool:
        """Start a server that died again; False when it runs, or was stopped."""
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
        """The folder's error: it says this of our server, and quotes the log."""
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
            pause()

    def _make_socket_dir(self) -> Path:
        """The socket's folder, named in the lock file for our successor; gives the old name."""
        self.socket_dir = sockets.make_dir()
        self.folder.own(self.socket_dir)
        assert self._lock is not None
        old = os.pread(self._lock, 4096, 0)
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, os.fsencode(self.socket_dir), 0)
        return Path(os.fsdecode(old))

    def _launch(self, deadline: float) -> None:
        """Start the server and wait until it takes clients; again while a predecessor leaves."""
        while not self.stopping.is_set():
            self.folder.remove_foreign_pid()
            position = self.folder.log_size()
            self._process = programs.spawn(self.folder, self._command(), needs=[self.socket_dir])
            if self._is_ready(self._process, deadline):
                return
            if time.monotonic() > deadline:
                self._halt()
                raise self.error("is not ready in time", position)
            if not any(words in self.folder.log_since(position) for words in _TRANSIENT):
                raise self.error("does not start", position)
            pause()

    def _command(self) -> list[str]:
        """The server with the caller's settings, then those that the DSN depends on."""
        fixed = {
            "listen_addresses": "",
            "port": str(sockets.PORT),
            "unix_socket_directories": f'"{self.socket_dir}"',
            "unix_socket_permissions": "0700",
        }
        served = programs.options({**self.settings, **fixed})
        return [str(pg_bin("postgres")), "-D", str(self.folder.cluster), *served]

    def _is_ready(self, process: subprocess.Popen[bytes], deadline: float) -> bool:
        """Wait for the server's own word in postmaster.pid; False when it ended, or too late."""
        while time.monotonic() < deadline and not self.stopping.is_set():
            found = self.folder.postmaster()
            if found and found.ready and found.pid == process.pid:
                return True
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(POLL_S)
                return False
        return False

    def _halt(self) -> None:
        """End the server: fast shutdown, and less and less politely when it does not follow."""
        process = self._process
        for number, patience_s in _STOP_S:
            if process is None or process.poll() is not None:
                return
            process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(patience_s)
