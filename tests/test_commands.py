"""The command line as a user has it: a process, its words and its exit status."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import pytest

from tests.support.settings import ACCOUNT, SMS

RELOADED = "parley_config_last_reload_success"
CONFIG = f"""
account: {{sid: {ACCOUNT}, auth_token: a-secret-word}}
server: {{port: 0}}
database: {{folder: FOLDER}}
carriers: {{lab: {{kind: sandbox}}}}
senders: [{{address: "{SMS}", carrier: lab}}]
addresses: [{{address: "{SMS}"}}]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "parley.yaml"
    path.write_text(CONFIG.replace("FOLDER", str(tmp_path / "postgres")))
    return path


async def parley(*arguments: str) -> tuple[int, str, str]:
    """Run a command to its end."""
    process = await start(*arguments)
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def start(*arguments: str, out: int = asyncio.subprocess.PIPE) -> asyncio.subprocess.Process:
    """Start a command."""
    environment = {key: value for key, value in os.environ.items() if key != "PARLEY_DATABASE_URL"}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app",
        *arguments,
        stdout=out,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
        cwd=Path(__file__).parents[1],
    )


async def serving(process: asyncio.subprocess.Process) -> str:
    """The URL at which it says it serves."""
    assert process.stderr is not None
    async with asyncio.timeout(60):
        while True:
            line = await process.stderr.readline()
            assert line, "it ended before it served"
            said = json.loads(line)
            if said["event"] == "serving":
                url: str = said["detail"].split()[0]
                return url


async def test_check_config_says_every_problem_and_exits_1(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("account: {sid: x, auth_token: t}\nsendrs: []\n")
    status, out, _ = await parley("check-config", str(path))
    assert status == 1
    assert out.splitlines() == [
        f"{path}:1:16: account.sid: should be AC and 32 hexadecimal digits",
        f"{path}:2:1: sendrs: unknown key (did you mean senders?)",
    ]


async def test_check_config_is_content_with_a_good_file(config: Path) -> None:
    assert await parley("check-config", str(config)) == (
        0,
        f"{config}: ok (1 carrier, 1 sender, 1 address configuration)\n",
        "",
    )


async def test_the_schema_is_json(config: Path) -> None:
    status, out, _ = await parley("check-config", "--schema")
    assert status == 0
    assert "carriers" in json.loads(out)["properties"]


@pytest.mark.parametrize(
    "command", ["widgets", "check-config --schema", "--help", "serve --role x"]
)
async def test_a_command_ends_quietly_when_nobody_reads_it(command: str) -> None:
    """As before `| head`: what it says is short or long, and said by us or by the parser."""
    reader, writer = os.pipe()
    os.close(reader)
    process = await start(*command.split(), out=writer)
    os.close(writer)
    assert await process.communicate() == (None, b"")
    assert process.returncode in (0, 141)


async def test_a_command_that_cannot_says_why_in_one_line(tmp_path: Path) -> None:
    status, _, err = await parley("serve", "--config", str(tmp_path / "none.yaml"))
    assert status == 1
    assert err.count("\n") == 1
    assert "does not exist" in err
    assert (await parley("serve", "--role", "cook", "--config", str(tmp_path)))[0] != 0
    said = "parley: trace wants a SID, or the carrier's id of a message\n"
    assert await parley("trace", "") == (2, "", said)


async def test_no_role_is_not_every_role(config: Path) -> None:
    status, out, _ = await parley("serve", "--config", str(config), "--role", "")
    assert status == 2
    assert out == "parley: no such role: ; there are api, inbound, worker, jobs\n"


async def test_a_database_that_refuses_us_is_named_in_one_line(tmp_path: Path, dsn: str) -> None:
    url = urlsplit(dsn)
    path = tmp_path / "parley.yaml"
    for wrong, said in (
        (url._replace(path="/nowhere"), 'database "nowhere" does not exist'),
        (url._replace(netloc="nobody@", query=url.query), 'role "nobody" does not exist'),
    ):
        path.write_text(CONFIG.replace("folder: FOLDER", f"url: '{urlunsplit(wrong)}'"))
        status, out, err = await parley("migrate", "--config", str(path))
        assert (status, out) == (1, "")
        assert err == f"parley: the database refuses us: {said}\n"


async def test_serve_explain_trace_and_the_end(config: Path) -> None:
    process = await start("serve", "--config", str(config))
    url = await serving(process)
    async with aiohttp.ClientSession() as http:
        text = {"to": SMS, "body": "hello"}
        phone = f"{url}/carriers/lab/world/phones/+15551230001/send"
        async with http.post(phone, json=text) as response:
            texted = await response.json()
    ask = ("--config", str(config))
    status, out, _ = await parley("explain", *ask, "--to", SMS, "--from", "+15551239999")
    assert status == 0
    assert "address" in out
    status, out, _ = await parley("trace", *ask, texted["id"])
    assert status == 0
    assert "created" in out
    assert "+15551230001" not in out, "numbers are masked"
    status, _, err = await parley("trace", *ask, "CH" + "0" * 32)
    assert status == 1
    assert "nothing is known" in err
    process.send_signal(signal.SIGTERM)
    out_bytes, err_bytes = await process.communicate()
    assert process.returncode == 0
    assert b"a-secret-word" not in out_bytes + err_bytes
    assert b"+15551230001" not in out_bytes + err_bytes


async def test_flows_are_read_again_when_it_hangs_up(config: Path, tmp_path: Path) -> None:
    sid = "FW" + "5" * 32
    headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT, "a-secret-word")}
    file = tmp_path / "bots.json"
    bots = (Path(__file__).parents[1] / "config" / "flows" / "bots.json").read_text()
    file.write_text(bots)
    config.write_text(config.read_text() + f"flows: {{{sid}: {{file: bots.json}}}}\n")
    process = await start("serve", "--config", str(config))
    url = await serving(process)
    assert process.stderr is not None
    async with aiohttp.ClientSession(headers=headers) as http:

        async def seen() -> tuple[int, str]:
            async with http.get(f"{url}/v2/Flows/{sid}") as response:
                revision = (await response.json())["revision"]
            async with http.get(f"{url}/metrics") as response:
                page = await response.text()
            [line] = [one for one in page.splitlines() if one.startswith(RELOADED)]
            return revision, line.removeprefix(RELOADED)

        async def said_again(text: str) -> str:
            file.write_text(text)
            process.send_signal(signal.SIGHUP)
            async with asyncio.timeout(20):
                while b"reading flows again" not in (line := await process.stderr.readline()):
                    assert line
            return line.decode()

        assert await seen() == (1, " 1.0")
        assert "bots.json:1:" in await said_again("{ no flow")
        assert await seen() == (1, " 0.0")
        await said_again(bots.replace("Hi, do you like bots?", "Do you like robots?"))
        assert await seen() == (2, " 1.0")
    process.send_signal(signal.SIGTERM)
    await process.communicate()
    assert process.returncode == 0


async def test_the_demo_goes_as_expected() -> None:
    status, out, _ = await parley("demo")
    assert status == 0, out
    assert out.endswith("Everything went as expected.\n")


async def test_a_port_that_is_taken_is_named_with_its_setting(config: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = f"cannot listen at 127.0.0.1:{port}: Address already in use"
        status, out, err = await parley("demo", "--serve", "--port", str(port))
        assert (status, out, err) == (1, "", f"parley: --port: {said}\n")
        text = config.read_text()
        for setting, more in (
            ("server.port", text.replace("port: 0", f"port: {port}")),
            ("ops.port", f"{text}ops: {{port: {port}}}\n"),
            ("carriers.mail.listen", mailing(text, port)),
        ):
            config.write_text(more)
            status, _, err = await parley("serve", "--config", str(config))
            assert status == 1
            assert f"parley: {setting}: {said}" in err.splitlines()  # logs may come behind it
            assert "Traceback" not in err


def mailing(config: str, port: int) -> str:
    """A configuration with a carrier of e-mail that listens at this port."""
    mail = f"mail: {{kind: email, smtp: {{host: localhost}}, listen: {{port: {port}}}}}"
    return config.replace("{lab: {kind: sandbox}}", f"{{lab: {{kind: sandbox}}, {mail}}}")


async def test_the_embedded_database_of_a_killed_service_is_there_again(config: Path) -> None:
    process = await start("serve", "--config", str(config))
    url = await serving(process)
    async with aiohttp.ClientSession() as http:
        phone = f"{url}/carriers/lab/world/phones/+15551230001/send"
        async with http.post(phone, json={"to": SMS, "body": "hello"}) as response:
            texted = await response.json()
    assert texted["acknowledged"]
    process.kill()
    await process.communicate()
    status, out, _ = await parley("trace", "--config", str(config), texted["id"])
    assert status == 0
    assert "created" in out
