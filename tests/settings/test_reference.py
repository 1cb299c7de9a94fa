"""config/parley.yaml is the manual: it loads, it is complete, and its defaults are the models'."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree
from typing import Any, get_args, get_origin

import jsonschema
import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from ruamel.yaml import YAML

from app.carriers import discover
from app.settings.command import check, print_schema
from app.settings.load import load
from app.settings.models import Settings
from app.settings.schema import schema
from tests.settings.sample import ENVIRONMENT, GOOD, KINDS, write
from tests.support.mail_server import certificate
from tests.support.vonage_stand_in import PRIVATE_KEY

TWO = ("PARLEY_AUTH_TOKEN", "TWILIO_AUTH_TOKEN")
REFERENCE = Path(__file__).parents[2] / "config" / "parley.yaml"
TEXT = REFERENCE.read_text()
# A setting that is off: a # that is not followed by exactly one space, within a section.
FULL = re.sub(r"^( +)#(?! [^ ])", r"\1", TEXT, flags=re.MULTILINE)
SECRETS = {
    "PARLEY_AUTH_TOKEN": "a-token",
    "TWILIO_AUTH_TOKEN": "b-token",
    "TWILIO_SUBACCOUNT_TOKEN": "c-token",
    "SANDBOX_SECRET": "d-token",
    "ACME_TOKEN": "h-token",
    "META_APP_SECRET": "h-secret",
    "META_VERIFY_TOKEN": "i-word",
    "META_ACCESS_TOKEN": "j-token",
    "META_PAGE_TOKEN": "k-token",
    "PARLEY_SECOND_TOKEN": "f-token",
    "PARLEY_SECOND_SECRET": "g-token",
    "PARLEY_WEBHOOK_SECRET": "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "PARLEY_SECOND_WEBHOOK_SECRET": "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "TELNYX_API_KEY": "h-token",
    "BANDWIDTH_PASSWORD": "i-token",
    "BANDWIDTH_CALLBACK_PASSWORD": "j-callback-token",
    "VONAGE_PRIVATE_KEY": PRIVATE_KEY,
    "VONAGE_SIGNATURE_SECRET": "k-token",
    "SMTP_PASSWORD": "l-token",
    "MAIL_SECRET": "mail-token",
    "MAILGUN_SIGNING_KEY": "n-token",
    "PARLEY_SECRET_KEY": "h" * 32,
}
# Sections of entries that are examples: what is written out there may differ from the default.
EXAMPLES = {"accounts", "carriers", "senders", "messaging_services", "services", "addresses"}
EXAMPLES |= {"flows"}


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """The reference with every setting on."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "api-key").write_text("e-token\n")
    copytree(REFERENCE.with_name("flows"), tmp_path / "flows")
    return write(tmp_path, FULL)


def plain(text: str) -> Any:
    """The YAML as values, read by somebody else than us."""
    return YAML(typ="safe", pure=True).load(text)


def model_of(annotation: Any) -> type[BaseModel] | None:
    """The model that a field holds: itself, optional, or in a list or mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in get_args(annotation) if (model := model_of(part))), None)


def fields(value: Any, annotation: Any) -> Iterator[tuple[str, Any]]:
    """Every `Model.field` in the value of such a field, and its value there."""
    model = model_of(annotation)
    if model is None or not isinstance(value, dict | list):
        return
    entries = [value] if isinstance(value, dict) else value
    if get_origin(annotation) is dict:
        entries = list(value.values())
    for entry in entries:
        for name in {*(entry or {})} & {*model.model_fields}:
            yield f"{model.__name__}.{name}", entry[name]
            yield from fields(entry[name], model.model_fields[name].annotation)


def declared(model: type[BaseModel]) -> Iterator[tuple[str, Any]]:
    """Every `Model.field` that there is, and its default."""
    for name, field in model.model_fields.items():
        yield f"{model.__name__}.{name}", field.get_default(call_default_factory=True)
        nested = model_of(field.annotation)
        if nested is not None:
            yield from declared(nested)


def test_it_loads_with_nothing_but_its_secrets() -> None:
    settings = load(REFERENCE, discover.kinds(), SECRETS)
    assert settings.server.port == 8080


def test_the_file_to_start_with_needs_two_secrets() -> None:
    settings = load(REFERENCE.with_name("start.yaml"), discover.kinds(), dict.fromkeys(TWO, "t"))
    assert [sender.carrier for sender in settings.senders] == list(settings.carriers)


def test_it_loads_with_every_setting_on(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(full.parent)
    made, key = certificate(full.parent)
    for name, path in {"ca.pem": made, "mail.crt": made, "mail.key": key}.items():
        (full.parent / name).write_bytes(path.read_bytes())
    settings = load(full, discover.kinds(), SECRETS)
    assert settings.account.api_keys[0].secret.get_secret_value() == "e-token"


def test_every_setting_is_in_it() -> None:
    known = {name for name, _ in declared(Settings)}
    assert known - {name for name, _ in fields(plain(FULL), Settings)} == set()


def test_every_option_of_every_kind_of_carrier_is_in_it() -> None:
    shown = {entry["kind"]: entry for entry in plain(FULL)["carriers"].values()}
    for kind, options in discover.kinds().items():
        assert set(options.model_fields) - set(shown[kind]) == set(), kind


def test_the_values_shown_are_the_defaults() -> None:
    defaults = dict(declared(Settings))
    active, everything = plain(TEXT), plain(FULL)
    written = {name for section in EXAMPLES for name, _ in section_fields(active, section)}
    for section in everything:
        for name, value in section_fields(everything, section):
            default = defaults[name]
            if default in (None, (), {}, PydanticUndefined) or isinstance(default, BaseModel):
                continue
            if section not in EXAMPLES or name not in written:
                shown = tuple(value) if isinstance(value, list) else value
                assert shown == default, name


def section_fields(tree: Any, section: str) -> Iterator[tuple[str, Any]]:
    """The fields of one section of a tree, each with its value there."""
    return fields(tree[section], Settings.model_fields[section].annotation)


def test_the_options_shown_off_are_the_kinds_defaults() -> None:
    active, everything = plain(TEXT)["carriers"], plain(FULL)["carriers"]
    for name, entry in everything.items():
        options = discover.kinds()[entry["kind"]].model_fields
        for key in set(entry) & set(options) - set(active.get(name, ())):
            default = options[key].get_default(call_default_factory=True)
            if not (default in (None, {}, (), PydanticUndefined) or isinstance(default, BaseModel)):
                assert entry[key] == default, f"{name}.{key}"


def test_the_schema_takes_it(full: Path) -> None:
    made = schema(discover.kinds())
    validator = jsonschema.Draft202012Validator(made)
    validator.check_schema(made)
    validator.validate(plain(TEXT))
    validator.validate(plain(FULL))


def test_the_schema_takes_the_good_file() -> None:
    jsonschema.Draft202012Validator(schema(KINDS)).validate(plain(GOOD))


WRONG = [
    "bogus: 1",
    "server: {port: x}",
    "server: {port: 65536}",
    "server: {bogus: 1}",
    "carriers: {a: {}}",
    "carriers: {a: {kind: lob}}",
    "carriers: {a: {kind: lab, bogus: 1}}",
    "carriers: {a: {kind: wire}}",
    "carriers: {A B: {kind: lab}}",
    "senders: [{address: '+15005550006'}]",
    "flows: {FW1: {url: 'http://a'}}",
    "webhooks: {filters: [onNothing]}",
    "database: {url: {file: a, b: c}}",
]


@pytest.mark.parametrize("line", WRONG)
def test_the_schema_refuses_what_is_wrong(line: str) -> None:
    value = {**plain(GOOD), **plain(line)}
    assert not jsonschema.Draft202012Validator(schema(KINDS)).is_valid(value)


GIVEN = [
    "server: {port: '${PORT}', host: {file: a}, public_url: }",
    "carriers: {a: {kind: wire, auth_token: {file: a}, timeout_s: '${T}', signature: '${S}'}}",
    "ops: {log_level: '${L}', port: '${P:-1}'}",
    "hooks: {waits_s: ['${W}']}",
    "services: {a: }",
    "senders:",
]


@pytest.mark.parametrize("line", GIVEN)
def test_the_schema_takes_values_from_outside(line: str) -> None:
    value = {**plain(GOOD), **plain(line)}
    jsonschema.Draft202012Validator(schema(KINDS)).validate(value)


def test_check_prints_every_problem_and_gives_1(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace("rate: 30/m", "rate: 5").replace("type: webhook", "typ: x"))
    out = io.StringIO()
    assert check(path, KINDS, out, ENVIRONMENT) == 1
    assert out.getvalue() == (
        f"{path}:9:54: senders[0].rate: should be a rate like 1/s, 30/m or 1000/h, in quotes\n"
        f"{path}:18:21: addresses[0].auto_creation.typ: unknown key (did you mean type?)\n"
    )


def test_check_says_what_a_good_file_declares_and_gives_0(tmp_path: Path) -> None:
    path, out = write(tmp_path, GOOD), io.StringIO()
    assert check(path, KINDS, out, ENVIRONMENT) == 0
    assert out.getvalue() == (
        f"{path}: ok (2 carriers, 2 senders, 1 messaging service, 2 services,"
        " 1 address configuration)\n"
    )


def test_check_warns_of_what_is_most_likely_not_meant_and_gives_0(tmp_path: Path) -> None:
    path, out = write(tmp_path, GOOD.replace("a.example.com", "app")), io.StringIO()
    assert check(path, KINDS, out, ENVIRONMENT) == 0
    warning, good = out.getvalue().splitlines()
    assert warning.startswith(f"{path}:18:49: addresses[0].auto_creation.webhook_url: warning: a")
    assert good.startswith(f"{path}: ok (")


def test_the_schema_is_printed_as_json() -> None:
    out = io.StringIO()
    assert print_schema(KINDS, out) == 0
    assert json.loads(out.getvalue()) == schema(KINDS)
