"""What the check of the file says of a described provider: every mistake, at its place."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.carriers import discover
from app.carriers.http import Http
from app.carriers.http_options import Options
from app.settings.load import load
from app.settings.problems import ConfigErrors
from tests.carriers.http_sample import options

ENVIRONMENT = {"TOKEN": "s3{cret", "LINES": "a\nb"}
GOOD = """\
account: {sid: AC11111111111111111111111111111111, auth_token: t}
carriers:
  acme:
    kind: http
    channels: {sms: sms, mms: mms}
    secrets: {token: "${TOKEN}"}
    send:
      url: https://api.acme.example/{secret.token}/messages
      headers: {Authorization: "Bearer {secret.token}"}
      json:
        to: ["{to}"]
        text: "{body}"
        media: [{url: "{media.url}"}]
    answer: {id: id, outcomes: [{status: [4xx, 409], when: {code: [5, true]}, means: throttled}]}
    look_up: {url: "https://api.acme.example/find", query: {ref: "{reference}"}, id: id}
    inbound: {format: json, id: id, from: from, to: to, media: {in: m, url: u}}
    status: {format: json, id: id, status: s, words: {ok: sent}}
    verify: {scheme: token, header: X-Token, secret: token}
"""
MISTAKES: list[tuple[str, str, str]] = [
    (
        '"{to}"',
        '"{too}"',
        "11:14: send.json.to[0]: field 1 of the template does not exist here (did you mean {to}?)",
    ),
    (
        '["{to}"]',
        "{to}",
        '11:13: send.json.to: is empty; a field is written in quotes, like "{to}"',
    ),
    (
        '"{body}"',
        '"{body"',
        "12:15: send.json.text: a single brace: fields are written {name}, plain braces {{ and }}",
    ),
    ('"{body}"', '"hello"', "8:7: send: nothing in it names {body}: the text would be lost"),
    ('["{to}"]', "anybody", "8:7: send: nothing in it names {to}: nobody would get the message"),
    (
        "Bearer {secret.token}",
        "Bearer {body}",
        "9:32: send.headers.Authorization: field 1 of the template does not exist here",
    ),
    (
        "Bearer {secret.token}",
        "Bearer {secret.tokn}",
        "9:32: send.headers.Authorization: names a secret that is not in secrets (known: token)",
    ),
    ("Authorization:", "Host:", "9:23: send.headers.Host: is no header that can be set here"),
    ("Authorization:", '"A B":', "9:24: send.headers.A B: is no header that can be set here"),
    (
        "https://api.acme.example/{",
        "https://{to}/{",
        "8:12: send.url: should begin with http:// or https:// and a host",
    ),
    (
        "https://api.acme.example/{",
        "https://{secret.token}.acme.example/{",
        "8:12: send.url: should begin with http:// or https:// and a host",
    ),
    (
        "https://api.acme.example/{",
        "ftp://api.acme.example/{",
        "8:12: send.url: should begin with http:// or https:// and a host",
    ),
    (
        "https://api.acme.example/{",
        "https://u:p@api.acme.example/{",
        "8:12: send.url: should begin with http:// or https:// and a host",
    ),
    (
        "https://api.acme.example/{",
        "https://api.acme.example/{body}{",
        "8:12: send.url: field 1 of the template does not exist here",
    ),
    (
        "      json:",
        "      method: GET\n      json:",
        "10:15: send.method: a GET has no body: use query",
    ),
    (
        "      json:",
        '      form: {to: "{to}"}\n      json:',
        "12:9: send.json: there is a form already: a request has one body",
    ),
    (
        "      json:",
        "      form:",
        "13:16: send.form.media: a field of a form is text or a list of texts",
    ),
    ("      json:", "      jsn:", "10:7: send.jsn: unknown key (did you mean json?)"),
    ("id: id, outcomes", "idd: id, outcomes", "14:14: answer.idd: unknown key (did you mean id?)"),
    (
        "answer: {id: id,",
        "answer: {id: id, text: [OK],",
        "14:29: answer.text[0]: takes out {id}, {code} or {message}, and at least one of them",
    ),
    (
        "answer: {id: id,",
        'answer: {id: id, text: ["{id}{code}"],',
        "14:29: answer.text[0]: needs text between two fields",
    ),
    (
        "answer: {id: id,",
        'answer: {id: id, text: ["{id} {id}"],',
        "14:29: answer.text[0]: names a field twice",
    ),
    (
        "[4xx, 409]",
        "[4x]",
        "14:43: answer.outcomes[0].status[0]: should be a status like 404 or 5xx",
    ),
    (
        "means: throttled",
        "means: throtled",
        "14:86: answer.outcomes[0].means: should be one of accepted, temporary",
    ),
    (
        '{ref: "{reference}"}',
        '{ref: "1"}',
        "15:14: look_up: nothing in it names {reference} or {to}: it would find every message",
    ),
    (
        "inbound: {format: json",
        "inbound: {format: form",
        "16:69: inbound.media.in: a form has no levels and is one message: leave this out",
    ),
    (
        "words: {ok: sent}",
        "words: {ok: arrived}",
        "17:59: status.words.ok: should be one of queued, sent, delivered",
    ),
    (
        "scheme: token, header: X-Token",
        "scheme: token",
        "18:22: verify.scheme: token needs header or query beside it, one of them",
    ),
    (
        "scheme: token, header: X-Token",
        "scheme: hmac",
        "18:22: verify.scheme: hmac needs header beside it",
    ),
    (
        "scheme: token, header: X-Token",
        "scheme: basic",
        "18:22: verify.scheme: basic needs username beside it",
    ),
    (", secret: token}", "}", "18:22: verify.scheme: token needs secret beside it"),
    (
        ", secret: token}",
        ", secret: tokn}",
        "18:54: verify.secret: names a secret that is not in secrets (known: token)",
    ),
    (
        ", secret: token}",
        ', secret: token, over: "{boddy}"}',
        "18:67: verify.over: field 1 of the template does not exist here (did you mean {body}?)",
    ),
    ("${TOKEN}", "${LINES}", "6:22: secrets.token: holds a line end or another control character"),
    (
        "    verify:",
        "    one_door: true\n    verify:",
        "18:15: one_door: needs inbound.when, which tells the two apart",
    ),
    (
        "    verify:",
        '    media_access: {origin: "https://m.example", headers: {X: "{to}"}}\n    verify:',
        "18:62: media_access.headers.X: only secrets can be named here",
    ),
    (
        "    verify:",
        '    send_as: {whatsapp: {url: "https://a", query: {t: "{to}", b: "{body}"}}}\n    verify:',
        "18:25: send_as.whatsapp: is not in channels",
    ),
]


def wrong(folder: Path, text: str) -> list[str]:
    """What is wrong, each as `line:column: key: message`; keys start below the carrier."""
    path = folder / "p.yaml"
    path.write_text(text)
    with pytest.raises(ConfigErrors) as caught:
        load(path, discover.kinds(), ENVIRONMENT)
    lines = str(caught.value).split("\n")
    return [line.removeprefix(f"{path}:").replace("carriers.acme.", "") for line in lines]


def test_a_described_provider_is_good(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(GOOD)
    settings = load(path, discover.kinds(), ENVIRONMENT)
    options = settings.carrier_options("acme")
    carrier = discover.build("acme", settings.carriers["acme"], options)
    assert (carrier.channels, carrier.can_look_up) == (frozenset({"sms", "mms"}), True)


@pytest.mark.parametrize(("there", "instead", "said"), MISTAKES)
def test_a_mistake_is_named_with_its_key_and_place(
    tmp_path: Path, there: str, instead: str, said: str
) -> None:
    assert there in GOOD
    found = wrong(tmp_path, GOOD.replace(there, instead, 1))
    assert any(line.startswith(said) for line in found), found


def test_no_message_repeats_a_secret(tmp_path: Path) -> None:
    found = wrong(tmp_path, GOOD.replace("Bearer {secret.token}", "Bearer ${TOKEN}"))
    assert found == [
        "9:32: send.headers.Authorization:"
        " a single brace: fields are written {name}, plain braces {{ and }}"
    ]


def test_every_mistake_in_a_body_is_named_at_once(tmp_path: Path) -> None:
    text = GOOD.replace('"{to}"', '"{a}"').replace('"{body}"', '"{b}"')
    assert [line.partition(":  ")[0].split(": ")[1] for line in wrong(tmp_path, text)] == [
        "send.json.to[0]",
        "send.json.text",
    ]


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 500)
    | st.sampled_from(["", "{", "{to}", "{x}", "https://a.example", "{secret.key}", "5xx", "GET"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "url", "json", "to", "{to}"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(data=st.data())
def test_whatever_is_described_is_good_or_refused(data: st.DataObject) -> None:
    described: Any = options(look_up={"url": "https://a.example/{reference}", "id": "id"})
    place = described
    for _ in range(data.draw(st.integers(0, 2), label="depth")):
        inner = [one for one in place.values() if isinstance(one, dict) and one]
        place = data.draw(st.sampled_from(inner), label="place") if inner else place
    place[data.draw(st.sampled_from([*place, "json", "answer"]), label="key")] = data.draw(JUNK)
    with contextlib.suppress(ValidationError):
        Http("acme", Options.model_validate(described))
