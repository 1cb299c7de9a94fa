"""The embedded PostgreSQL, with real servers: starting, sharing, and coming back from the dead."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
import pytest

from app.store import embedded
from app.store.embedded import Embedded, EmbeddedError, privileges

ROOT = Path(__file__).parents[2]
Start = Callable[[Path], Awaitable[Embedded]]

# what another Parley process does: start or attach, say so, wait for a line, stop
OTHER = """
import sys
from pathlib import Path
from app.store import embedded
server = embedded.start_sync(Path(sys.argv[1]))
print(server.owned, server.dsn, flush=True)
sys.stdin.readline()
server.stop_sync()
"""


@contextmanager
def other_process(data: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", OTHER, str(data)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        yield process
    finally:
        process.communicate("\n" if process.poll() is None else None)


def answer_of(process: subprocess.Popen[str]) -> tuple[bool, str]:
    assert process.stdout is not None
    owned, dsn = process.stdout.readline().split()
    return owned == "True", dsn


@pytest.fixture(autouse=True)
def _leave_no_cluster(tmp_path: Path) -> Iterator[None]:
    """pytest keeps the folders of three runs; forty megabytes for each test are too many."""
    yield
    shutil.rmtree(tmp_path)


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """`embedded.start` whose servers are stopped when the test ends."""
    started: list[Embedded] = []

    async def begin(data: Path) -> Embedded:
        started.append(await embedded.start(data))
        return started[-1]

    yield begin
    for server in reversed(started):
        await server.stop()


@pytest.fixture
def public_path() -> Iterator[Path]:
    """A folder that every account can reach, unlike tmp_path."""
    path = Path(tempfile.mkdtemp(prefix="parley-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@asynccontextmanager
async def session(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def ask(dsn: str, question: str) -> object:
    async with session(dsn) as connection:
        return await connection.fetchval(question)


def socket_dir_of(dsn: str) -> Path:
    return Path(dsn.split("host=")[1].split("&")[0])


def postmaster(data: Path) -> int:
    return int((data / "18" / "postmaster.pid").read_text().split()[0])


def capabilities(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("CapEff:")[1].split()[0], 16)


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


async def test_a_first_start_gives_a_private_utf8_postgresql_18(tmp_path, start) -> None:
    data = tmp_path / "postgres"
    server = await start(data)
    assert server.owned
    assert str(await ask(server.dsn, "show server_version")).startswith("18.")
    assert await ask(server.dsn, "select upper('é')") == "É"
    assert await ask(server.dsn, "show server_encoding") == "UTF8"
    assert await ask(server.dsn, "select current_user || '/' || current_database()") == (
        "parley/parley"
    )
    assert await ask(server.dsn, "show listen_addresses") == ""
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    socket_dir = Path(str(await ask(server.dsn, "show unix_socket_directories")).strip('"'))
    assert stat.S_IMODE(socket_dir.stat().st_mode) == 0o700
    await server.stop()
    assert not socket_dir.exists()


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes", "synchronous_commit"])
async def test_nothing_that_keeps_commits_safe_is_off(tmp_path, start, setting) -> None:
    server = await start(tmp_path / "postgres")
    assert await ask(server.dsn, f"show {setting}") == "on"


async def test_a_setting_of_the_caller_overrules_ours_but_not_the_socket(tmp_path) -> None:
    settings = {"max_connections": "17", "listen_addresses": "*", "port": "1"}
    server = await embedded.start(tmp_path / "postgres", settings=settings)
    try:
        assert await ask(server.dsn, "show max_connections") == "17"
        assert await ask(server.dsn, "show listen_addresses") == ""
    finally:
        await server.stop()


async def test_a_warm_start_is_quick_and_keeps_the_data(tmp_path, start) -> None:
    data = tmp_path / "postgres"
    first = await start(data)
    await ask(first.dsn, "create table kept as select 7 as n")
    await first.stop()
    began = time.monotonic()
    second = await start(data)
    assert time.monotonic() - began < 3.0
    assert await ask(second.dsn, "select n from kept") == 7


async def test_a_very_long_path_works(tmp_path, start) -> None:
    data = tmp_path / ("long-" * 20) / ("longer " * 20) / "postgres"
    assert len(str(data)) > 150
    server = await start(data)
    assert await ask(server.dsn, "select 1") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to change its account")
async def test_below_a_private_folder_of_root_no_mode_is_loosened(public_path, start) -> None:
    private = public_path / "private"
    private.mkdir(mode=0o700)
    data = private / "var" / "postgres"
    data.parent.mkdir()
    parents = [*data.parents, *embedded.pg_home().parents]
    before = [(path, path.stat().st_mode, path.stat().st_uid) for path in parents]
    server = await start(data)
    assert await ask(server.dsn, "select 1") == 1
    assert before == [(path, path.stat().st_mode, path.stat().st_uid) for path in parents]
    assert data.stat().st_uid != 0
    pid = postmaster(data)
    assert Path(f"/proc/{pid}").stat().st_uid != 0
    assert capabilities(pid) in (1 << 1, 1 << 2)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to change its account")
def test_programs_below_a_private_folder_of_root_find_each_other(public_path) -> None:
    """As initdb does: it asks by access(2) whether it may run what lies beside it."""
    private = public_path / "private"
    private.mkdir(mode=0o700)
    program = private / "postgres"
    program.touch(mode=0o755)
    asks = [sys.executable, "-c", "import os, sys; sys.exit(not os.access(sys.argv[1], os.X_OK))"]
    account = privileges.account_for(public_path)
    command = privileges.wrap([*asks, str(program)], account, [program])
    assert subprocess.run(command, check=False).returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to change its account")
async def test_where_everybody_may_pass_no_capability_is_kept(public_path, start) -> None:
    closed = [path for path in embedded.pg_home().parents if not path.stat().st_mode & stat.S_IXOTH]
    if closed:
        pytest.skip(f"the programs lie below the private folder {closed[0]}")
    await start(public_path / "postgres")
    assert capabilities(postmaster(public_path / "postgres")) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give folders away")
async def test_the_owner_of_an_existing_folder_runs_the_server(public_path, start) -> None:
    data = public_path / "postgres"
    data.mkdir()
    owner = next(entry for entry in pwd.getpwall() if entry.pw_uid and entry.pw_name != "nobody")
    os.chown(data, owner.pw_uid, owner.pw_gid)
    await start(data)
    assert Path(f"/proc/{postmaster(data)}").stat().st_uid == owner.pw_uid
    assert (data / "server.log").stat().st_uid == owner.pw_uid


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give folders away")
@pytest.mark.parametrize("owner", [0, 54321])
async def test_a_cluster_that_root_or_a_nameless_user_left_there_is_taken_over(
    tmp_path, start, owner
) -> None:
    data = tmp_path / "postgres"
    await (await start(data)).stop()
    for path in (data, *data.rglob("*")):
        os.chown(path, owner, owner)
    assert await ask((await start(data)).dsn, "select 1") == 1


async def test_a_second_process_attaches_and_leaves_the_server_running(tmp_path, start) -> None:
    data = tmp_path / "postgres"
    mine = await start(data)
    with other_process(data) as other:
        assert answer_of(other) == (False, mine.dsn)
    assert await ask(mine.dsn, "select 1") == 1


async def test_simultaneous_first_starts_give_one_server(tmp_path) -> None:
    data = tmp_path / "postgres"
    with other_process(data) as one, other_process(data) as two, other_process(data) as three:
        answers = [answer_of(process) for process in (one, two, three)]
        assert sorted(owned for owned, _ in answers) == [False, False, True]
        assert len({dsn for _, dsn in answers}) == 1
        for owned in (False, True):  # the owner last
            for process, answer in zip((one, two, three), answers, strict=True):
                if answer[0] is owned:
                    process.communicate("\n")


async def test_a_second_start_in_one_process_attaches(tmp_path, start) -> None:
    mine = await start(tmp_path / "postgres")
    again = await start(tmp_path / "postgres")
    assert (again.owned, again.dsn) == (False, mine.dsn)
    assert await again.ensure_running() is False


async def test_the_server_leaves_with_a_killed_owner_and_the_next_start_has_the_data(
    tmp_path, start
) -> None:
    data = tmp_path / "postgres"
    with other_process(data) as owner:
        _, dsn = answer_of(owner)
        pid = postmaster(data)
        await ask(dsn, "create table kept as select 7 as n")
        owner.kill()
        owner.wait()
        server = await start(data)  # at once, while the old one may still be leaving
        assert gone(pid)
        assert server.owned
        assert await ask(server.dsn, "select n from kept") == 7
    assert not socket_dir_of(dsn).exists()


async def test_the_server_leaves_with_a_killed_owner_although_nobody_starts_it(tmp_path) -> None:
    data = tmp_path / "postgres"
    with other_process(data) as owner:
        _, dsn = answer_of(owner)
        pid = postmaster(data)
        owner.kill()
        await until(lambda: gone(pid), 10.0)
        assert "received fast shutdown request" in (data / "server.log").read_text()
    shutil.rmtree(socket_dir_of(dsn))


async def test_owner_and_server_killed_together_leave_nothing_that_stops_a_start(
    tmp_path, start
) -> None:
    data = tmp_path / "postgres"
    with other_process(data) as owner:
        _, dsn = answer_of(owner)
        await ask(dsn, "create table kept as select 7 as n")
        os.kill(postmaster(data), signal.SIGKILL)
        owner.kill()
        owner.wait()
        server = await start(data)
        assert await ask(server.dsn, "select n from kept") == 7
    assert not socket_dir_of(dsn).exists()


async def test_a_copied_folder_does_not_disturb_the_server_it_was_copied_from(
    tmp_path, start
) -> None:
    original = await start(tmp_path / "original")
    shutil.copytree(tmp_path / "original", tmp_path / "copy", ignore=shutil.ignore_patterns("18"))
    copy = await start(tmp_path / "copy")
    assert copy.owned
    assert copy.dsn != original.dsn
    assert await ask(original.dsn, "select 1") == 1


async def test_a_stale_pid_that_now_belongs_to_somebody_else_does_not_stop_a_start(
    tmp_path, start
) -> None:
    data = tmp_path / "postgres"
    server = await start(data)
    pid_file = data / "18" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    await server.stop()
    with subprocess.Popen(["sleep", "60"]) as stranger:
        if os.geteuid() == 0:
            stranger.kill()
            stranger.wait()
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:], ""]))
        os.chown(pid_file, data.stat().st_uid, data.stat().st_gid)
        again = await start(data)
        assert await ask(again.dsn, "select 1") == 1
        stranger.kill()


async def test_a_killed_postmaster_is_revived_on_the_same_dsn(tmp_path, start) -> None:
    data = tmp_path / "postgres"
    server = await start(data)
    await ask(server.dsn, "create table kept as select 7 as n")
    assert await server.ensure_running() is False
    pid = postmaster(data)
    os.kill(pid, signal.SIGKILL)
    await until(lambda: gone(pid))
    assert await server.ensure_running() is True
    assert await ask(server.dsn, "select n from kept") == 7
    await server.stop()
    assert await server.ensure_running() is False


async def test_keep_revives_by_itself_until_stop(tmp_path, start) -> None:
    data = tmp_path / "postgres"
    server = await start(data)
    async with asyncio.TaskGroup() as group:
        keeper = group.create_task(server.keep())
        for _ in range(2):
            pid = postmaster(data)
            os.kill(pid, signal.SIGKILL)
            await until(lambda pid=pid: ready_pid(data) not in (None, pid))
            assert await ask(server.dsn, "select 1") == 1
        await server.stop()
        await keeper


async def test_keep_gives_up_on_a_server_that_dies_again_and_again(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(embedded, "_RESTARTS_MAX", 1)
    data = tmp_path / "postgres"
    server = await embedded.start(data)
    try:
        async with asyncio.TaskGroup() as group:
            keeper = group.create_task(expect_error(server.keep()))
            pid = postmaster(data)
            os.kill(pid, signal.SIGKILL)
            await until(lambda: ready_pid(data) not in (None, pid))
            os.kill(postmaster(data), signal.SIGKILL)
        assert "dies again and again" in keeper.result()
    finally:
        await server.stop()


async def expect_error(work: Awaitable[None]) -> str:
    with pytest.raises(EmbeddedError) as caught:
        await work
    return str(caught.value)


def ready_pid(data: Path) -> int | None:
    """The postmaster's process, once it takes clients; from one reading, since it may change."""
    try:
        lines = (data / "18" / "postmaster.pid").read_text().splitlines()
        return int(lines[0]) if lines[7].strip() == "ready" else None
    except (OSError, IndexError):
        return None


async def test_a_half_made_cluster_is_made_again(tmp_path, start) -> None:
    data = tmp_path / "postgres"
    half = data / "18.new-crashed"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    (data / "owner.lock").touch()
    server = await start(data)
    assert await ask(server.dsn, "select 1") == 1
    assert not half.exists()


async def test_an_owner_killed_while_it_makes_the_cluster_does_not_stop_the_next(
    tmp_path, start
) -> None:
    data = tmp_path / "postgres"
    with other_process(data) as owner:
        await until(lambda: any(data.glob("18.new-*/base")))
        owner.kill()
        owner.wait()
        server = await start(data)
        assert await ask(server.dsn, "select 1") == 1


async def test_a_folder_with_other_things_in_it_is_refused_and_left_alone(tmp_path) -> None:
    (tmp_path / "thesis.txt").touch()
    tmp_path.chmod(0o755)
    with pytest.raises(EmbeddedError, match="neither empty nor a data folder of Parley"):
        await embedded.start(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


async def test_a_start_that_fails_says_why_and_can_be_repeated(tmp_path, start) -> None:
    data = tmp_path / "postgres"
    await (await start(data)).stop()
    with pytest.raises(EmbeddedError, match=r'(?s)set database\.url.*"shared_buffers": "lots"'):
        await embedded.start(data, settings={"shared_buffers": "lots"})
    assert await ask((await start(data)).dsn, "select 1") == 1


async def test_the_log_holds_no_values_and_stays_small(tmp_path, start, monkeypatch) -> None:
    data = tmp_path / "postgres"
    server = await start(data)
    await ask(server.dsn, "create table once (number text primary key)")
    await ask(server.dsn, "insert into once values ('+15558675310')")
    with pytest.raises(asyncpg.UniqueViolationError):
        await ask(server.dsn, "insert into once values ('+15558675310')")
    log = data / "server.log"
    await until(lambda: "duplicate key" in log.read_text())
    assert "+15558675310" not in log.read_text()
    await server.stop()
    monkeypatch.setattr(embedded.folder, "_LOG_BYTES_MAX", 1000)
    monkeypatch.setattr(embedded.folder, "_LOG_BYTES_KEPT", 100)
    before = log.stat().st_size
    await start(data)
    assert log.stat().st_size < before


def test_the_programs_of_version_18_are_found() -> None:
    version = [str(embedded.pg_bin("pgbench")), "--version"]
    answer = subprocess.run(version, capture_output=True, text=True, check=True)
    assert "(PostgreSQL) 18." in answer.stdout
    with pytest.raises(EmbeddedError, match="no program unheard-of"):
        embedded.pg_bin("unheard-of")


def test_a_wheel_without_version_18_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(embedded.binaries, "MAJOR", 99)
    with pytest.raises(EmbeddedError, match=r"has no PostgreSQL 99 \(only \[.*18.*\]\)"):
        embedded.pg_home.__wrapped__()
