"""Mails as they come, and what is read of them: texts, quotes, files, machines, reports."""

from __future__ import annotations

import hmac
from time import process_time

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, MultiDict

from app.carriers import email_text
from app.carriers.contract import Junk, Request
from app.carriers.email import Email
from app.carriers.email_options import Options
from app.model.traffic import Inbound, Status
from tests.support.canned_json import Noon
from tests.support.mails import ANN, BOUNDARY, DESK, PNG, form, mail, report

RECEIPT = "DY" + "0f" * 16
TOKEN = RECEIPT.lower()
HEAD = b"From: Ann <ann@example.net>\r\nTo: desk@example.com\r\nMessage-ID: <q1@example.net>\r\n"
OPTIONS = {
    "smtp": {"host": "127.0.0.1"},
    "form": {"secrets": "the-form-secret", "signing_keys": "k"},
}


def carrier(**options: object) -> Email:
    return Email("post", Options.model_validate(OPTIONS | options), Noon())


def read(
    raw: bytes, sender: str = ANN, to: tuple[str, ...] = (DESK,), **options: object
) -> Inbound:
    messages, statuses = carrier(**options).read_mail(raw, sender, to)
    assert statuses == []
    (message,) = messages
    return message


def request(body: bytes, kind: str | None = None, **form_fields: str) -> Request:
    kind = kind or f"multipart/form-data; boundary={BOUNDARY}"
    headers = CIMultiDict({"Content-Type": kind})
    fields = MultiDict(form_fields)
    return Request("POST", "https://talk.example.com/x", headers, MultiDict(), fields, body)


TEXTS: list[tuple[str, bytes, str | None]] = [
    ("plain", b"\r\nHello\r\nyou\r\n", "Hello\nyou"),
    ("nothing", b"\r\n", None),
    (
        "quoted-printable in Latin-1",
        b"Content-Type: text/plain; charset=iso-8859-1\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=FC=DFe =\r\nan dich",
        "Grüße an dich",
    ),
    (
        "base64",
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nSGkh",
        "Hi!",
    ),
    (
        "a charset that nobody knows",
        b"Content-Type: text/plain; charset=x-y\r\n\r\nHi \xff",
        "Hi �",
    ),
    ("a codec that is no charset", b"Content-Type: text/plain; charset=zlib\r\n\r\nHi", "Hi"),
    ("a slow codec", b"Content-Type: text/plain; charset=punycode\r\n\r\nHi-there", "Hi-there"),
    ("what no database holds", b"\r\nHi\x00 you", "Hi you"),
    (
        "broken base64",
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n*SGkh*",
        "Hi!",
    ),
    (
        "html alone",
        b"Content-Type: text/html\r\n\r\n<style>x</style><div>Hello&nbsp;<b>Ann</b></div>"
        b"<ul><li>one<li>two</ul><p>Bye<br>now</p><blockquote>old</blockquote>",
        "Hello Ann\none\ntwo\nBye\nnow",
    ),
    (
        "both: the text counts",
        b'Content-Type: multipart/alternative; boundary="b"\r\n\r\n'
        b"--b\r\nContent-Type: text/plain\r\n\r\nplain\r\n"
        b"--b\r\nContent-Type: text/html\r\n\r\n<p>html</p>\r\n--b--\r\n",
        "plain",
    ),
    (
        "an empty text beside html",
        b'Content-Type: multipart/alternative; boundary="b"\r\n\r\n'
        b"--b\r\nContent-Type: text/plain\r\n\r\n \r\n"
        b"--b\r\nContent-Type: text/html\r\n\r\n<p>html</p>\r\n--b--\r\n",
        "html",
    ),
    ("a boundary that never comes", b'Content-Type: multipart/mixed; boundary="b"\r\n\r\nHi', None),
    ("no boundary at all", b"Content-Type: multipart/mixed\r\n\r\nHi", None),
]


@pytest.mark.parametrize("case", TEXTS, ids=lambda case: case[0])
def test_a_text_is_read(case: tuple[str, bytes, str | None]) -> None:
    _, rest, body = case
    message = read(HEAD + rest)
    assert message.body == body
    assert (message.address, message.proxy_address) == (ANN, DESK)
    assert message.external_id == f"q1@example.net/{DESK}"


PIECEMEAL = "> Shall we?\nYes.\n> When?\nAt ten."
QUOTES: list[tuple[str, str, str]] = [
    ("nothing quoted", "Hi\nAnn", "Hi\nAnn"),
    (
        "a quote at the end",
        "Yes.\n\nOn Fri, 20 Nov 2026, Desk <desk@example.com> wrote:\n> Shall we?\n>\n> Desk\n",
        "Yes.",
    ),
    (
        "an introduction of two lines",
        "Yes.\n\nOn Fri, 20 Nov 2026 at 10:00, Desk\n<desk@example.com> wrote:\n\n> Shall we?",
        "Yes.",
    ),
    ("in German", "Ja.\n\nAm 20.11.2026 um 10:00 schrieb Desk:\n> Gehen wir?", "Ja."),
    ("a quote without introduction", "Yes.\n> Shall we?", "Yes."),
    (
        "answers between the quotes",
        "> Shall we?\nYes.\n> When?\nAt ten.",
        "> Shall we?\nYes.\n> When?\nAt ten.",
    ),
    ("nothing but a quote", "> Shall we?", "> Shall we?"),
    ("the other kind", "Yes.\n\n-----Original Message-----\nFrom: Desk\nShall we?", "Yes."),
    (
        "a line that only looks like it",
        "On Monday Bob wrote:\nbuy milk",
        "On Monday Bob wrote:\nbuy milk",
    ),
]


@pytest.mark.parametrize("case", QUOTES, ids=lambda case: case[0])
def test_the_quote_at_the_end_is_left_out(case: tuple[str, str, str]) -> None:
    _, text, kept = case
    assert email_text.without_quotes(text) == kept
    assert read(mail(text, message_id="a@b"), strip_quotes=False).body == text.strip()


def test_a_quote_in_html_is_left_out() -> None:
    html = (
        '<div dir="ltr">Yes.</div><br><div class="gmail_quote"><div class="gmail_attr">On Fri, 20'
        " Nov 2026 at 10:00 Desk wrote:<br></div><blockquote>Shall we?</blockquote></div>"
    )
    assert email_text.without_quotes(email_text.from_html(html)) == "Yes."


def test_headers_are_decoded() -> None:
    message = read(
        b"From: =?utf-8?q?J=C3=BCrgen?= <Ann@Example.NET>\r\nTo: desk@example.com\r\n"
        b"Subject: =?iso-8859-1?q?Gr=FC=DFe?=\r\n =?utf-8?b?4pyT?=\r\nMessage-ID: <a@b>\r\n"
        b"Date: Fri, 20 Nov 2026 10:00:00 +0100\r\n\r\nHi"
    )
    assert (message.subject, message.address) == ("Grüße✓", "Ann@example.net")
    assert message.channel_metadata is not None
    said = message.channel_metadata["data"]["context"]
    assert (said["ProfileName"], said["MessageId"]) == ("Jürgen", "a@b")
    assert message.sent_at is not None
    assert message.sent_at.isoformat() == "2026-11-20T10:00:00+01:00"


def test_files_keep_their_names_and_bytes() -> None:
    files = (("../../Grüße.png", "image/png", PNG), ("x.eml", "application/pdf", b"%PDF"))
    message = read(mail("See", message_id="a@b", files=files))
    assert [(one.filename, one.content_type, one.content) for one in message.attachments] == [
        ("Grüße.png", "image/png", PNG),
        ("x.eml", "application/pdf", b"%PDF"),
    ]


def test_a_mail_within_a_mail_is_a_file() -> None:
    inner = mail("inner", sender="bob@example.org", message_id="i@b")
    outer = (
        HEAD
        + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nSee below\r\n'
        + b"--b\r\nContent-Type: message/rfc822\r\n\r\n"
        + inner
        + b"\r\n--b--\r\n"
    )
    message = read(outer)
    assert (message.address, message.body) == (ANN, "See below")
    (file,) = message.attachments
    assert file.content_type == "message/rfc822"
    assert b"bob@example.org" in file.content


def test_a_mail_without_an_id_is_known_by_what_it_says() -> None:
    one = read(mail("Hi"), to=(DESK,))
    again = read(b"Received: by mx2\r\n" + mail("Hi"), to=(DESK,))
    other = read(mail("Ho"), to=(DESK,))
    assert one.external_id == again.external_id != other.external_id
    assert len(read(HEAD.replace(b"q1@", b"q" * 5000 + b"@") + b"\r\nHi").external_id) < 300


@pytest.mark.parametrize("part", ["", ".1", ".49"])
def test_the_conversation_is_named_by_address_and_by_references(part: str) -> None:
    plus = f"desk+{TOKEN}{part}@Example.com"
    references = f"<x@y> <dy{'1' * 32}@example.com> <dy{'2' * 32}{part}@example.com>"
    raw = mail("Hi", message_id="a@b", References=references, In_Reply_To=f"<dy{'3' * 32}@x.y>")
    message = read(raw, to=(plus,))
    assert message.proxy_address == DESK
    assert message.answers == (RECEIPT, *(f"DY{digit * 32}" for digit in "321"))


def test_one_mail_to_two_addresses_is_two_messages() -> None:
    to = (DESK, "sales@example.com", DESK, "no address", f"desk+{TOKEN}@example.com")
    messages, _ = carrier().read_mail(mail("Hi", message_id="a@b"), ANN, to)
    assert [one.proxy_address for one in messages] == [DESK, "sales@example.com"]
    assert len({one.external_id for one in messages}) == 2


MACHINES: list[tuple[str, dict[str, str], str | None]] = [
    ("a person", {}, None),
    ("a person who says so", {"Auto_Submitted": "no"}, None),
    ("a vacation", {"Auto_Submitted": "auto-replied; owner=ann"}, "Auto-Submitted"),
    ("a cron job", {"Auto_Submitted": "auto-generated"}, "Auto-Submitted"),
    ("bulk", {"Precedence": "Bulk"}, "bulk"),
    ("junk", {"Precedence": "junk"}, "junk"),
    ("a list", {"List_Id": "<all.example.net>"}, "List-Id"),
    ("a loop", {"X_Loop": "x"}, "X-Loop"),
    ("a mail of ours", {"X_Parley_Loop": "example.com"}, "X-Parley-Loop"),
]


@pytest.mark.parametrize("case", MACHINES, ids=lambda case: case[0])
def test_machines_are_known(case: tuple[str, dict[str, str], str | None]) -> None:
    _, headers, why = case
    guard = read(mail("Hi", message_id="a@b", **headers)).guard
    assert (guard is None) == (why is None)
    assert (why or "") in (guard or "")


def test_a_mail_without_a_sender_and_one_of_ours_are_known() -> None:
    assert read(mail("Hi", message_id="a@b"), sender="").guard is not None
    assert read(mail("Hi", message_id=f"{TOKEN}@example.com")).guard is not None


REPORTS: list[tuple[str, str, str, str | None, int | None]] = [
    ("it arrived", "delivered", "2.0.0", "delivered", None),
    ("another server has it", "relayed", "2.0.0", "sent", None),
    ("it takes longer", "delayed", "4.4.7", None, None),
    ("nobody there", "failed", "5.1.1", "undelivered", 30005),
    ("a full mailbox", "failed", "5.2.2", "undelivered", 30003),
    ("given up", "failed", "4.4.7", "undelivered", 30036),
    ("without a reason", "failed", "5.0.0", "undelivered", 30005),
]


@pytest.mark.parametrize("case", REPORTS, ids=lambda case: case[0])
@pytest.mark.parametrize("by", ["address", "envelope", "message"])
@pytest.mark.parametrize("part", ["", ".2"])
def test_a_report_is_about_a_send(
    case: tuple[str, str, str, str | None, int | None], by: str, part: str
) -> None:
    _, action, code, status, error = case
    sent, token = RECEIPT + part, TOKEN + part
    named = f"{token}@example.com" if by == "message" else "other@example.com"
    said = report(named, action, envelope_id=sent if by == "envelope" else None, status=code)
    to = f"desk+{token}@example.com" if by == "address" else DESK
    messages, statuses = carrier().read_mail(said, "", (to,))
    assert list(messages) == []
    (one,) = statuses
    assert (one.external_id, one.receipt_sid) == (named, sent)
    assert (one.status, one.error_code) == (status, error)
    assert ANN not in (one.error_message or "")


def test_a_report_about_nobody_s_mail_says_nothing() -> None:
    said = report("x@y", "failed", envelope_id=None, status="5.1.1").replace(b"<x@y>", b"")
    assert carrier().read_mail(said, "", (DESK,)) == ([], [])
    assert carrier().read_mail(said.replace(b"delivery-status", b"x"), "", (DESK,)) == ([], [])


def test_a_parsed_form_of_mailgun() -> None:
    headers = orjson.dumps(
        [["Message-Id", "<m1@example.net>"], ["In-Reply-To", f"<{TOKEN}@example.com>"], ["X", 1]]
    ).decode()
    fields = {
        "recipient": f"desk+{TOKEN}@example.com",
        "sender": "bounce@example.net",
        "from": f"Ann <{ANN}>",
        "subject": "Grüße",
        "body-plain": "Hello",
        "message-headers": headers,
    }
    kind = "application/x-www-form-urlencoded"
    (message,) = carrier().parse_inbound(request(b"", kind, **fields))
    assert (message.proxy_address, message.subject, message.body) == (DESK, "Grüße", "Hello")
    assert message.external_id == f"m1@example.net/{DESK}"
    assert message.answers == (RECEIPT,)


def test_a_signature_is_of_one_key_and_some_hours() -> None:
    one = carrier()
    stamp = str(int(Noon().now().timestamp()))

    def signed(stamp: str, key: bytes = b"k") -> Request:
        made = hmac.digest(key, (stamp + "t").encode(), "sha256").hex()
        return request(form(timestamp=stamp, token="t", signature=made, email=b"x: y\r\n\r\n"))

    assert one.verify(signed(stamp)) == "valid"
    assert one.verify(signed(str(int(stamp) - 9 * 3600))) == "invalid"
    assert one.verify(signed(stamp, b"other")) == "invalid"
    assert one.verify(signed("soon")) == "invalid"
    assert one.verify(request(b"x")) == "invalid"
    assert Email("post", Options.model_validate({"smtp": {"host": "h"}})).verify(signed(stamp)) == (
        "invalid"
    )


HEADERS = st.sampled_from(
    [
        *("From", "To", "Cc", "Sender", "Subject", "Date", "Message-ID", "References"),
        *("In-Reply-To", "Return-Path", "Auto-Submitted", "Content-Type"),
        *("Content-Transfer-Encoding", "Content-Disposition"),
    ]
)
VALUES = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        [
            *(ANN, DESK, "<a@b>", "=?utf-8?q?=C3?=", "=?x?z?y?=", "multipart/mixed; boundary=b"),
            *("multipart/report; boundary=b", "message/delivery-status", "message/rfc822"),
            *("text/html; charset*=x''%ff", "attachment; filename*0*=utf-8''%c3", "base64", "uu"),
            *("Fri, 99 Xxx 99999999 99:99:99 +9999", '"<', "a:b;,c@d", "(((", "text/plain; a=b;=;"),
        ]
    ),
)
PIECES = st.one_of(
    st.binary(max_size=80),
    st.sampled_from([b"--b\r\n", b"--b--\r\n", b"\r\n\r\n", b"Content-Type: text/html\r\n\r\n<a"]),
    st.sampled_from([b"Content-Type: message/delivery-status\r\n\r\n", b"Action: failed\r\n"]),
)


@given(heads=st.lists(st.tuples(HEADERS, VALUES), max_size=12), body=st.lists(PIECES, max_size=12))
def test_whatever_a_mail_says_it_is_read_or_junk(
    heads: list[tuple[str, str]], body: list[bytes]
) -> None:
    lines = [f"{name}: {text}".encode("utf-8", "surrogateescape") for name, text in heads]
    raw = b"\r\n".join([*lines, b""]) + b"\r\n" + b"".join(body)
    one = carrier()
    try:
        messages, statuses = one.read_mail(raw, "", (DESK,))
    except Junk as junk:
        assert str(junk)
        return
    for message in messages:
        assert isinstance(message, Inbound)
        orjson.dumps([message.form, message.channel_metadata, message.body, message.subject])
        assert "\x00" not in repr((message.form, message.channel_metadata, message.body))
    assert all(isinstance(status, Status) for status in statuses)


@given(raw=st.binary(max_size=400), boundary=st.sampled_from([BOUNDARY, "", "a b", "b" * 300]))
def test_whatever_a_form_says_it_is_read_or_junk(raw: bytes, boundary: str) -> None:
    one = carrier()
    wanted = request(raw, f"multipart/form-data; boundary={boundary}")
    assert one.verify(wanted) == "invalid"
    for parse in (one.parse_inbound, one.parse_status):
        try:
            parse(wanted)
        except Junk as junk:
            assert str(junk)


def test_a_mail_of_a_thousand_layers_is_read_or_junk() -> None:
    layers = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (at, at)
        for at in range(1500)
    )
    with pytest.raises(Junk):
        read(HEAD + layers)


HTML = b"Content-Type: text/html\r\n\r\n"
LONG: list[tuple[str, bytes]] = [
    ("parameters", b"Content-Type: text/plain; " + b"a=b;" * 200_000 + b"\r\n\r\nhi"),
    ("comments in names", b"Cc: " + b"(" * 200_000 + b"\r\n\r\nhi"),
    ("comments", HTML + b"<!--" * 75_000),
    ("sections", HTML + b"<![CDATA[" * 30_000),
    ("tags", HTML + b"<a " * 100_000),
    ("elements", HTML + b"<div>" * 60_000),
    ("a number", HTML + b"&#" + b"9" * 250_000 + b";"),
    ("quotes", b"\r\nOn " + b"schrieb " * 100_000 + b"\n> x"),
]


@pytest.mark.parametrize("case", LONG, ids=lambda case: case[0])
def test_no_mail_takes_long_to_read(case: tuple[str, bytes]) -> None:
    before = process_time()
    read(HEAD + case[1])
    assert process_time() - before < 8, "on a slow machine a tenth of it"
