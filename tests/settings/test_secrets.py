"""Secrets are never echoed, and no file makes anything but settings or ConfigErrors."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from app.settings.load import load
from app.settings.models import AccountSettings, Settings
from app.settings.problems import ConfigErrors
from tests.settings.sample import AC, ENVIRONMENT, GOOD, KINDS, read, write, wrong

HEAD = f"account: {{sid: {AC}, auth_token: t}}\n"
# Where a secret can be written out.
PLACES = [
    "account: {{sid: {0}, auth_token: {0}}}",
    "account: {{sid: AC1, auth_token: {0}, api_keys: [{{sid: SK1, secret: {0}}}]}}",
    "database: {{url: {0}}}",
    "carriers: {{acme: {{kind: wire, auth_token: {0}, region: us1}}}}",
    "carriers: {{acme: {{kind: wire, auth_token: {0}, region: eu1}}}}",
    "carriers: {{acme: {{kind: wire, auth_token: {0}, timeout_s: x}}}}",
]
# Where a value from outside can be put.
OUTSIDE = [
    *PLACES,
    "account: {0}",
    "server: {{port: {0}, host: {0}, public_url: {0}, drain_s: {0}}}",
    "carriers: {{acme: {{kind: {0}, signature: {0}, region: {0}}}}}",
    "carriers: {{acme: {{kind: wire, region: {0}, timeout_s: {0}, extra: {0}}}}}",
    "senders: [{{address: {0}, carrier: {0}, channels: [{0}], rate: {0}, messaging_service: {0}}}]",
    "senders: [{{address: '+15005550006', carrier: lab, channels: [{0}], webhook: {{url: {0}}}}}]",
    "addresses: [{{address: {0}, auto_creation: {{type: {0}, service: {0}, webhook_url: {0}}}}}]",
    "services: {{a: {{sid: {0}, default: {0}, friendly_name: {0}}}}}",
    "webhooks: {{filters: [{0}], post_url: {0}, method: {0}}}",
    "egress: {{private: {0}, open: [{0}]}}",
    "ops: {{log_level: {0}}}",
    "unknown: {0}",
]
LETTERS = st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zl", "Zp"))
SECRETS = st.text(LETTERS, min_size=6, max_size=40).map(lambda text: f"bad{text}Zq9")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as name:
        yield Path(name)


def words(folder: Path, text: str, environment: dict[str, str]) -> str:
    """Everything that can be seen of loading this text."""
    try:
        loaded = load(write(folder, text), KINDS, environment)
    except ConfigErrors as errors:
        seen = "".join(traceback.format_exception(errors))
        return f"{errors} {errors!r} {errors.problems} {seen}"
    return "".join(f"{part!r} {part}" for part in parts(loaded))


def parts(loaded: Settings) -> Iterator[object]:
    """The settings and every model within."""
    stack: list[object] = [loaded]
    while stack:
        part = stack.pop()
        if isinstance(part, BaseModel):
            yield part
            stack += [getattr(part, name) for name in type(part).model_fields]
        elif isinstance(part, dict):
            stack += part.values()
        elif isinstance(part, tuple):
            stack += part


@given(secret=SECRETS, place=st.sampled_from(OUTSIDE), good=st.booleans())
@settings(deadline=None)
def test_a_value_from_outside_is_never_echoed(
    folder: Path, secret: str, place: str, good: bool
) -> None:
    (folder / "secret").write_text(secret)
    for value in ('"${S}"', '"x${S}y"', '"${S:-y}"', "{file: secret}"):
        line = place.format(value) + "\n"
        text = line if not good else merged(line)
        assert secret not in words(folder, text, {**ENVIRONMENT, "S": secret})


def merged(line: str) -> str:
    """The good file with this line for its section."""
    section = line.partition(":")[0]
    lines = GOOD.splitlines()
    starts = [n for n, each in enumerate(lines) if each[:1].isalpha()] + [len(lines)]
    kept = [
        each
        for start, end in pairwise(starts)
        for each in lines[start:end]
        if not lines[start].startswith(f"{section}:")
    ]
    return "\n".join([*kept, line])


@given(secret=st.from_regex(r"bad[A-Za-z0-9]{8,30}", fullmatch=True), place=st.sampled_from(PLACES))
@settings(deadline=None)
def test_a_secret_in_the_file_is_never_echoed(folder: Path, secret: str, place: str) -> None:
    line = place.format(secret).replace(f"sid: {secret}", "sid: AC2") + "\n"
    for text in (line, merged(line), line.replace(": bad", ":bad"), line.replace(" bad", " *bad")):
        assert secret not in words(folder, text, ENVIRONMENT)


def test_a_repr_names_keys_only() -> None:
    account = AccountSettings.model_validate({"sid": AC, "auth_token": "t0p"})
    assert repr(account) == "AccountSettings(auth_token=…, sid=…)"


def test_an_error_of_pydantic_shows_no_input() -> None:
    with pytest.raises(ValidationError) as caught:
        AccountSettings.model_validate({"sid": "s3cret", "auth_token": 4711})
    assert "s3cret" not in str(caught.value) and "4711" not in str(caught.value)


SHARDS = [
    *("${", "${TOKEN}", "${NOPE}", "{file: p.yaml}", "{file: }", "{", "}", "[", "]", ": ", "- "),
    *(
        "\n",
        "\t",
        "&a ",
        "*a",
        "<<: ",
        "? ",
        "! ",
        "!!str ",
        "!!binary x",
        "%YAML 1.1\n---\n",
        "|\n",
    ),
    *("null", "~", "true", "yes", "-1", "1e999", ".inf", "9" * 50, "0x", "2024-01-01", '"', "'"),
    *("\\ud800", '"\\ud83d"', '"\\0"', "\u2028", "\x85", "\ufeff", "\x00", "#", "---\n", "...\n"),
    *(
        "sid",
        "default",
        "+15005550006",
        "account:\n",
        '"\\U99999999"',
        "%TAG ! x\n",
        ">9\n",
        "=",
        "@",
    ),
]


@given(
    edits=st.lists(
        st.tuples(
            st.integers(0, len(GOOD)),
            st.integers(0, 30),
            st.one_of(st.sampled_from(SHARDS), st.text(max_size=5), st.just("")),
        ),
        min_size=1,
        max_size=4,
    )
)
@example(edits=[(0, 0, "%YAML 99.1\n---\n")])
@example(edits=[(11, 11, "<<: ")])
@example(edits=[(0, len(GOOD), "&a {<<: *a}")])
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_any_change_of_a_good_file_loads_or_is_refused(
    folder: Path, edits: list[tuple[int, int, str]]
) -> None:
    text = GOOD
    for start, length, shard in edits:
        text = text[:start] + shard + text[start + length :]
    path = folder / "p.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        load(path, KINDS, ENVIRONMENT)
    except ConfigErrors as errors:
        assert errors.problems
        assert all(problem.line > 0 and problem.column > 0 for problem in errors.problems)
        assert len(str(errors).split("\n")) == len(errors.problems)


TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=6)
    | st.sampled_from(["+15005550006", "lab", "wire", "default", "${TOKEN}", "webhook", AC]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["kind", "address", "carrier", "sid", "file", "default", "type", "url", "channels"]
            )
            | st.text(min_size=1, max_size=4),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(
    tree=st.dictionaries(st.sampled_from(sorted(Settings.model_fields)), TREES, max_size=6),
)
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_any_tree_loads_or_is_refused(folder: Path, tree: dict[str, object]) -> None:
    path = folder / "p.yaml"
    path.write_text(json.dumps(tree))
    try:
        load(path, KINDS, ENVIRONMENT)
    except ConfigErrors as errors:
        assert errors.problems


KEYS = [
    ("", {}, ()),
    ("", {"PARLEY_SECRET_KEY": "e" * 32}, ("e" * 32,)),
    ("secrets: {key: %s}" % ("f" * 32), {"PARLEY_SECRET_KEY": "e" * 32}, ("f" * 32,)),
    ("secrets: {key: ['${A}', '${B}']}", {"A": "a" * 32, "B": "b" * 40}, ("a" * 32, "b" * 40)),
    ("secrets: {key_file: x}", {"PARLEY_SECRET_KEY": "e" * 32}, ("e" * 32,)),
]


@pytest.mark.parametrize(("line", "environment", "keys"), KEYS)
def test_the_key_of_the_vault_is_the_files_or_else_the_environments(
    tmp_path: Path, line: str, environment: dict[str, str], keys: tuple[str, ...]
) -> None:
    settings = read(tmp_path, f"{HEAD}{line}\n", environment)
    assert settings.secrets.keys == keys


def test_a_short_key_is_refused_and_not_repeated(tmp_path: Path) -> None:
    said = wrong(tmp_path, HEAD + "secrets: {key: '${A}'}\n", {"A": "tooshort"})
    assert [line.partition(" ")[0] for line in said] == ["2:16:"] * len(said)
    assert said
    assert "tooshort" not in str(said)
