"""What a good file becomes."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from app import ids
from app.settings.models import AddressSettings, SenderSettings, Settings, per_s
from app.settings.problems import ConfigErrors
from tests.settings.sample import AC, GOOD, read

HEAD = f"account: {{sid: {AC}, auth_token: t}}\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return read(tmp_path, GOOD)


def test_addresses_are_kept_normalised(settings: Settings) -> None:
    assert [sender.address for sender in settings.senders] == [
        "+15005550006",
        "whatsapp:+15005550010",
    ]


def test_a_sender_is_found_by_its_normalised_address(settings: Settings) -> None:
    assert settings.sender("+15005550006") is settings.senders[0]
    assert settings.sender("whatsapp:+15005550006") is None


@pytest.mark.parametrize(("rate", "messages"), [("1/s", 1.0), ("30/m", 0.5), ("36/h", 0.01)])
def test_a_rate_is_messages_per_second(rate: str, messages: float) -> None:
    assert per_s(rate) == messages


@pytest.mark.parametrize(
    ("text", "channels"),
    [
        ("+15005550006", ("sms", "mms")),
        ("whatsapp:+15005550006", ("whatsapp",)),
        ("messenger:123", ("messenger",)),
        ("rcs:brand_agent", ("rcs",)),
        ("Desk@Example.COM", ("email",)),
    ],
)
def test_without_channels_a_sender_has_those_of_its_address(
    text: str, channels: tuple[str, ...]
) -> None:
    assert SenderSettings(address=text, carrier="lab").effective_channels == channels


def test_given_channels_are_kept() -> None:
    sender = SenderSettings(address="+15005550006", carrier="lab", channels=("sms",))
    assert sender.effective_channels == ("sms",)


def test_sids_are_the_same_for_ever(settings: Settings) -> None:
    assert settings.service_sid("front") == ids.stable("IS", AC, "service", "front")
    assert settings.messaging_service_sid("pool") == ids.stable(
        "MG", AC, "messaging_service", "pool"
    )
    assert settings.address_configuration_sid("+15005550006") == ids.stable(
        "IG", AC, "address", "+15005550006"
    )
    assert settings.service_sid("front") == "IS" + "fdbdf686c7b6e8c707e6ac27d2af6c74"


def test_a_given_sid_wins(tmp_path: Path) -> None:
    sid = "IS" + "ab" * 16
    assert read(tmp_path, HEAD + f"services: {{a: {{sid: {sid}}}}}").service_sid("a") == sid


def test_a_name_that_is_not_declared_has_no_sid(settings: Settings) -> None:
    with pytest.raises(KeyError):
        settings.service_sid("nobody")


@pytest.mark.parametrize(
    ("services", "name"),
    [
        ("", "default"),
        ("services: {}", "default"),
        ("services: {only: }", "only"),
        ("services: {a: {default: true}, b: {}}", "a"),
        ("services: {a: {}, default: {}}", "default"),
        ("services: {a: {default: true}, default: {}}", "a"),
    ],
)
def test_one_service_is_the_default(tmp_path: Path, services: str, name: str) -> None:
    settings = read(tmp_path, HEAD + services)
    assert settings.default_service == name
    assert settings.service_sid(name) == ids.stable("IS", AC, "service", name)


def test_a_key_without_a_value_is_absent_and_a_section_is_empty(tmp_path: Path) -> None:
    text = (
        HEAD
        + "server:\nsenders:\ncarriers:\n  lab:\n    kind: lab\n    signature:\nops: {port: }\n"
    )
    settings = read(tmp_path, text)
    assert settings.server.port == 8080
    assert settings.senders == ()
    assert settings.carriers["lab"].signature == "enforce"
    assert settings.ops.port is None


def test_part_of_a_schedule_leaves_the_rest_at_its_default(settings: Settings) -> None:
    assert settings.hooks.waits_s == (1, 2.5)
    assert settings.hooks.jitter == 0.2
    assert settings.delivery.timeout_s == 15


def test_a_carrier_keeps_its_own_options(settings: Settings) -> None:
    assert settings.carrier_options("acme") == {"auth_token": "token-from-outside", "region": "us1"}
    assert settings.carriers["lab"].signature == "report"


def test_a_flow_is_found_by_its_sid_in_either_case(tmp_path: Path) -> None:
    upper, lower = "FW" + "A" * 32, "FW" + "a" * 32
    rule = GOOD.replace("type: webhook, webhook_url", f"studio_flow_sid: {lower}, webhook_url")
    flows = f'flows: {{{upper}: {{url: "https://flows.example.com/x"}}}}\n'
    settings = read(tmp_path, rule + flows)
    assert settings.addresses[0].auto_creation.studio_flow_sid == lower
    assert settings.flows[lower].url == "https://flows.example.com/x"


def test_values_come_from_the_environment(tmp_path: Path) -> None:
    text = (
        f"account: {{sid: '${{SID:-{AC}}}', auth_token: 'a-${{TOKEN}}-$${{b}}'}}\n"
        "server: {port: '${PORT}', host: '${EMPTY:-::1}', drain_s: '${PORT}'}\n"
        "egress: {private: '${YES}'}\n"
        "carriers: {acme: {kind: wire, auth_token: x, timeout_s: '${PORT}'}}\n"
    )
    settings = read(tmp_path, text)
    assert settings.account.auth_token == SecretStr("a-token-from-outside-${b}")
    assert (settings.server.port, settings.server.host) == (9090, "::1")
    assert settings.server.drain_s == 9090.0
    assert settings.egress.private is True


def test_what_comes_from_the_environment_is_not_filled_in_again(tmp_path: Path) -> None:
    settings = read(tmp_path, f"account: {{sid: {AC}, auth_token: '${{A}}'}}", {"A": "${B}"})
    assert settings.account.auth_token.get_secret_value() == "${B}"


def test_values_come_from_files_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "token").write_text("s3cret \n")
    (tmp_path / "port").write_text("81\r\n")
    text = (
        f"account: {{sid: {AC}, auth_token: {{file: 'secrets/${{NAME}}'}}}}\n"
        "server: {port: {file: port}}\n"
    )
    settings = read(tmp_path, text, {"NAME": "token"})
    assert settings.account.auth_token.get_secret_value() == "s3cret "
    assert settings.server.port == 81


def test_a_carrier_may_be_called_file(tmp_path: Path) -> None:
    assert set(read(tmp_path, HEAD + "carriers: {file: {kind: lab}}").carriers) == {"file"}


def test_the_database_of_the_environment_wins(tmp_path: Path) -> None:
    url = "postgresql://a@b/c"
    for text in (HEAD, HEAD + "database: {url: 'postgresql://x'}", HEAD + "database:"):
        settings = read(tmp_path, text, {"PARLEY_DATABASE_URL": url})
        assert settings.database.url == SecretStr(url)


def test_a_wrong_variable_of_the_environment_is_named(tmp_path: Path) -> None:
    for text in (HEAD, HEAD + "database: {folder: x}"):
        with pytest.raises(ConfigErrors) as raised:
            read(tmp_path, text, {"PARLEY_DATABASE_URL": "garbage"})
        [problem] = raised.value.problems
        assert problem.key == "database.url"
        assert problem.message.startswith("PARLEY_DATABASE_URL should be a URL like postgresql://")


def test_yaml_is_1_2(tmp_path: Path) -> None:
    text = HEAD + (
        "services: {yes: {friendly_name: no}, b: {friendly_name: 12:30:45, default: TRUE}}\n"
        "server: {port: 0o17, body_bytes_max: 0x10, drain_s: 1e1}\n"
    )
    settings = read(tmp_path, text)
    assert settings.services["yes"].friendly_name == "no"
    assert settings.services["b"].friendly_name == "12:30:45"
    assert settings.services["b"].default is True
    assert (settings.server.port, settings.server.body_bytes_max) == (15, 16)
    assert settings.server.drain_s == 10.0


def test_anchors_aliases_and_merges_work(tmp_path: Path) -> None:
    text = HEAD + (
        "carriers:\n"
        "  a: &a {kind: lab, signature: report}\n"
        "  b: {<<: *a, signature: off}\n"
        "  c: {<<: [{on_unknown: fail}, *a]}\n"
        "  d: *a\n"
    )
    carriers = read(tmp_path, text).carriers
    assert [carriers[name].signature for name in "abcd"] == ["report", "off", "report", "report"]
    assert carriers["c"].on_unknown == "fail"


def test_a_public_url_has_no_slash_at_its_end(settings: Settings) -> None:
    assert settings.server.public_url == "https://talk.example.com"


def test_settings_made_in_code_are_normalised_too() -> None:
    assert AddressSettings(address="+1 500 555 0006").address == "+15005550006"
