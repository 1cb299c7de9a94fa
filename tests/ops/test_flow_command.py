"""`parley flow`: a definition checked with its lines, and a talk with it in the terminal."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from app.errors import ParleyError
from app.ops import flow_command
from tests.flows.flowing import BOTS, State, definition, say, state
from tests.test_commands import parley

INNER = "FW" + "9" * 32


async def run(file: Path, *flags: str) -> tuple[int, list[str]]:
    """What `parley flow run FILE FLAGS` says, and its exit status."""
    said: list[str] = []
    parser = argparse.ArgumentParser()
    for names, details in flow_command.ARGUMENTS:
        parser.add_argument(*names, **details)
    status = await flow_command.run(parser.parse_args(["run", str(file), *flags]), said.append)
    return status, said


async def talk(folder: Path, text: str, lines: list[str], *flags: str) -> tuple[int, list[str]]:
    """A talk with a definition, by a script of lines."""
    file, script = folder / "flow.json", folder / "lines"
    file.write_text(text)
    script.write_text("\n".join(["# a remark", "", *lines]))
    return await run(file, "--script", str(script), *flags)


async def test_widgets_are_listed() -> None:
    status, out, _ = await parley("widgets")
    assert status == 0
    assert "\nsend-message\n    Sends a message into the conversation" in out
    assert "    leaves by: sent, failed\n" in out


async def test_the_configuration_may_stand_between_what_to_do_and_of_what() -> None:
    status, _, said = await parley("flow", "trace", "--config", "none.yaml", "FW" + "0" * 32)
    assert status == 1
    assert "none.yaml:1:1: file: does not exist" in said


async def test_the_documented_flow_is_checked_and_talked_with(tmp_path: Path) -> None:
    status, out, _ = await parley("flow", "check", str(BOTS))
    assert (status, out) == (
        0,
        f"{BOTS}: ok (6 states; begins at incomingConversationMessage)\n",
    )
    script = tmp_path / "lines"
    script.write_text("Hello\nyes\n")
    status, out, _ = await parley("flow", "run", str(BOTS), "--script", str(script))
    assert status == 0
    assert out.splitlines() == [
        "you: Hello",
        "flow: Hi, do you like bots?",
        "you: yes",
        "flow: 🤖",
        "(completed)",
    ]


async def test_mistakes_are_said_with_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "flow.json"
    file.write_text(definition(state("it", "say-play"), say("b", "{{ x")))
    status, out, _ = await parley("flow", "check", str(file))
    assert status == 1
    lines = out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"{file}:16: it (say-play): states[1].type: say-play is about voice")
    status, said = await run(file)
    assert (status, said) == (1, lines)


async def test_a_file_that_is_not_there_is_one_line() -> None:
    status, _, err = await parley("flow", "check", "no/such/file.json")
    assert (status, err) == (1, "parley: no/such/file.json: does not exist\n")


async def test_a_file_that_cannot_be_a_script_is_named(tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\x7fELF\xff\xfe")
    for file, said in (
        (binary, "is not UTF-8 text"),
        (tmp_path, "is a directory"),
        (tmp_path / "none", "does not exist"),
    ):
        with pytest.raises(ParleyError, match=f"^{file}: {said}$"):
            await run(BOTS, "--script", str(file))
    with pytest.raises(ParleyError, match=f"^{tmp_path}: is a directory$"):
        await run(tmp_path)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["hi", "/timeout"], ["flow: Hi, do you like bots?", "(completed)"]),
        (["hi", "/undelivered"], ["flow: Hi, do you like bots?", "(the flow is still waiting)"]),
        (["hi"], ["flow: Hi, do you like bots?", "(the flow is still waiting)"]),
        (["hi", "/quit", "yes"], ["flow: Hi, do you like bots?", "(the flow is still waiting)"]),
        ([], []),
    ],
)
async def test_time_may_pass_and_lines_may_end(
    tmp_path: Path, lines: list[str], said: list[str]
) -> None:
    status, heard = await talk(tmp_path, BOTS.read_text(), lines)
    assert (status, [line for line in heard if not line.startswith("you:")]) == (0, said)


async def test_variables_can_be_looked_at(tmp_path: Path) -> None:
    _, said = await talk(tmp_path, BOTS.read_text(), ["hi", "/variables", "no"])
    shown = json.loads(next(line for line in said if line.startswith("{")))
    assert shown["widgets"]["send_and_reply_1"]["outbound"]["Body"] == "Hi, do you like bots?"
    assert said[-2:] == ["flow: 👽", "(completed)"]


def calls(url: str) -> tuple[State, ...]:
    """Calls a URL, and says what it answers."""
    ways = {"success": "well", "failed": "ill"}
    return (
        state("call", "make-http-request", ways, url=url),
        say("well", "Hello {{widgets.call.parsed.name}}"),
        say("ill", "No answer {{widgets.call.status_code}}"),
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('200 {"name": "Ann"}', "flow: Hello Ann"),
        ("404 no", "flow: No answer 404"),
        ("/fail", "flow: No answer"),
    ],
)
async def test_offline_the_person_answers_requests(tmp_path: Path, line: str, said: str) -> None:
    text = definition(*calls("https://x.example/"))
    status, heard = await talk(tmp_path, text, ["hi", line], "--offline")
    assert status == 0
    assert "(GET https://x.example/)" in heard
    assert [one.rstrip() for one in heard][-2:] == [said, "(completed)"]


async def test_an_answer_that_is_none_and_a_command_that_is_none_are_said(tmp_path: Path) -> None:
    text = definition(*calls("https://x.example/"), say("a", "x"))
    lines = ["/bogus", "//hi", '{"ready":1}', '200 {"name": "Ann"}']
    status, heard = await talk(tmp_path, text, lines, "--offline")
    assert status == 0
    said = [line for line in heard if not line.startswith("you:")]
    assert said[0].startswith("(/bogus means nothing here; there are /timeout")
    assert said[1] == "(GET https://x.example/)"
    assert said[2] == said[3]
    assert "200" in said[2]
    assert said[-2:] == ["flow: Hello Ann", "(completed)"]


async def test_a_subflow_that_is_missing_is_said(tmp_path: Path) -> None:
    sid = "FW" + "1" * 32
    sub = state("sub", "run-subflow", {"failed": None}, flow_sid=sid)
    status, heard = await talk(tmp_path, definition(sub), ["hi"])
    assert heard[1:] == [
        f"(there is no flow {sid} here: give it by --flow {sid}=FILE)",
        "(completed)",
    ]
    file = tmp_path / "flow.json"
    file.write_text(definition(state("sub", "run-subflow", {"failed": None}, flow_sid="FWx")))
    status, heard = await run(file)
    assert status == 1
    assert heard[0].endswith("should be FW and 32 hexadecimal digits")


async def test_requests_are_really_made_through_the_guard(tmp_path: Path) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"name": request.query["who"]})

    application = web.Application()
    application.router.add_get("/", answer)
    async with TestServer(application) as server:
        text = definition(*calls(f"http://127.0.0.1:{server.port}/?who=Bo"))
        _, heard = await talk(tmp_path, text, ["hi"])
        assert "forbidden address" in heard[1]
        assert heard[-2].startswith("flow: No answer")
        status, heard = await talk(tmp_path, text, ["hi"], "--open", "127.0.0.1")
    assert status == 0
    assert heard[-2:] == ["flow: Hello Bo", "(completed)"]


async def test_parameters_begin_a_request_and_other_flows_are_entered(tmp_path: Path) -> None:
    inner = tmp_path / "inner.json"
    variables = [{"key": "k", "value": "from {{trigger.parent.parameters.who}}"}]
    inner.write_text(
        definition(
            state("set", "set-variables", {"next": None}, variables=variables),
            event="incomingParent",
        )
    )
    pairs = [{"key": "who", "value": "{{flow.data.name}}"}]
    text = definition(
        state(
            "sub",
            "run-subflow",
            {"completed": "say"},
            flow_sid=INNER,
            parameters=pairs,
        ),
        say("say", "{{widgets.sub.k}}", "add"),
        state("add", "add-participant", {"success": None}, identity="ann"),
        event="incomingRequest",
    )
    flags = ("--param", "name=Bo", "--flow", f"{INNER}={inner}")
    status, heard = await talk(tmp_path, text, [], *flags)
    assert (status, heard) == (
        0,
        ["flow: from Bo", "(adds ann to the conversation)", "(completed)"],
    )


async def test_a_flow_that_fails_gives_1(tmp_path: Path) -> None:
    status, heard = await talk(tmp_path, definition(say("it", "{{ 1 | divided_by: 0 }}")), ["hi"])
    assert status == 1
    assert heard[-1].startswith("(failed: it: Liquid")


@pytest.mark.parametrize("flags", [("--param", "x"), ("--flow", "=y"), ("--open", "http://x/y z")])
async def test_what_is_typed_wrong_is_said(tmp_path: Path, flags: tuple[Any, ...]) -> None:
    with pytest.raises(ParleyError, match="should be"):
        await talk(tmp_path, BOTS.read_text(), ["hi"], *flags)
