"""A mail as a form: what providers of e-mail post for each one that comes (inbound parse).

SendGrid's fields and Mailgun's, parsed (text, html, files) or with the whole mail in one field:
https://www.twilio.com/docs/sendgrid/for-developers/parsing-email/setting-up-the-inbound-parse-webhook
and https://documentation.mailgun.com/docs/mailgun/user-manual/receive-forward-store/. Others that
call their fields the same work as well.
"""

from __future__ import annotations

import hmac
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from email.utils import getaddresses

import orjson

from app.carriers import email_mail, email_text
from app.carriers.contract import Junk, Request
from app.carriers.email_mail import FILES_MAX, UNREADABLE, Mail
from app.model.traffic import Attachment, SignatureResult

RAW = ("email", "body-mime")
TEXTS, HTMLS = ("text", "body-plain"), ("html", "body-html")
HEADERS, SENDERS = ("headers", "message-headers"), ("envelope-from", "sender")
RECIPIENTS = ("recipient",)
SINGLE = {"From": "from", "To": "to", "Cc": "cc", "Subject": "subject"}
PARTS_MAX = 200
HEAD_BYTES_MAX = 16_384
# Of the mails that it could not bring at once, a provider keeps the time of the first try.
SIGNED_WITHIN_S = 8 * 3600

_BOUNDARY = re.compile(r"""boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Keys:
    """Who may bring mails, as `Options.form` says."""

    secrets: tuple[str, ...] = ()
    signing: tuple[str, ...] = ()


def admitted(keys: Keys, request: Request) -> bool:
    """Whether it names one of our passwords: the one of its URL's user, or `?secret=`."""
    given = [request.query.get("secret", ""), _password(request.headers.get("Authorization", ""))]
    return any(_same(one, secret) for one in given for secret in keys.secrets)


def verify(keys: Keys, request: Request, now_s: float) -> SignatureResult:
    """Whether it names one of our passwords, or its fields signature, timestamp and token are by
    one of the signing keys, and not older than hours."""
    if admitted(keys, request):
        return "valid"
    if not keys.signing:
        return "invalid"
    try:
        fields = _fields(request)
    except Junk:
        return "invalid"
    stamp, token, given = (_text(fields, (name,)) for name in ("timestamp", "token", "signature"))
    if not (stamp.isascii() and stamp.isdecimal() and len(stamp) <= 12):
        return "invalid"
    if not token or abs(now_s - int(stamp)) > SIGNED_WITHIN_S:
        return "invalid"
    text = (stamp + token).encode("utf-8", "replace")
    made = (hmac.digest(key.encode(), text, "sha256").hex() for key in keys.signing)
    return "valid" if any(_same(one, given) for one in made) else "invalid"


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))


def read(request: Request) -> Mail:
    """The mail in this form. Raises Junk."""
    fields = _fields(request)
    sender, recipients = _envelope(fields)
    raw = next((fields[name].content for name in RAW if name in fields), None)
    if raw is not None:
        return email_mail.read(raw, sender, recipients)
    charsets = _object(_text(fields, ("charsets",)))
    head = _headers(fields, charsets)
    text = _text(fields, TEXTS, charsets)
    if not text.strip():
        text = email_text.from_html(_text(fields, HTMLS, charsets))
    if not head.get("From"):
        raise Junk("the form has no field from")
    files = [
        Attachment(one.content, one.content_type, email_mail.named(one.filename))
        for one in fields.values()
        if one.filename is not None and one.content
    ]
    left_out = max(0, len(files) - FILES_MAX)
    return Mail(head, text, tuple(files[:FILES_MAX]), sender, recipients, left_out)


@dataclass(frozen=True, slots=True)
class _Field:
    content: bytes
    content_type: str = "text/plain"
    filename: str | None = None
    charset: str | None = None


def _fields(request: Request) -> Mapping[str, _Field]:
    """The fields by their names, the first of each; files that share a name get another."""
    if request.form:
        form = request.form.items()
        return {name: _Field(text.encode("utf-8", "replace")) for name, text in form}
    given = request.headers.get("Content-Type", "")
    match = _BOUNDARY.search(given)
    if not given.lower().startswith("multipart/form-data") or match is None:
        raise Junk("the body is no form")
    found: dict[str, _Field] = {}
    for at, (name, field) in enumerate(_parts(request.body, (match[1] or match[2]).encode())):
        unique = f"{name} {at}" if field.filename is not None and name in found else name
        found.setdefault(unique, field)
    if not found:
        raise Junk("the form has no fields")
    return found


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[str, _Field]]:
    """RFC 7578, RFC 2046 5.1.1."""
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary, PARTS_MAX + 1)
    if len(pieces) > PARTS_MAX + 1:
        raise Junk(f"the form has more than {PARTS_MAX} fields")
    for piece in pieces[1:]:
        if piece.startswith(b"--"):
            return
        head, gap, content = piece.lstrip(b" \t").partition(b"\r\n\r\n")
        if not gap or len(head) > HEAD_BYTES_MAX:
            raise Junk("a field of the form has no head")
        try:
            part = email_mail.headers(head.lstrip(b"\r\n") + b"\r\n\r\n")
            name = part.get_param("name", "", "content-disposition")
            charset = part.get_content_charset()
            kind, filename = part.get_content_type(), part.get_filename()
        except UNREADABLE:
            raise Junk("the head of a field cannot be read") from None
        if isinstance(name, str) and name:
            yield name, _Field(content, kind, filename, str(charset) if charset else None)


def _envelope(fields: Mapping[str, _Field]) -> tuple[str | None, tuple[str, ...]]:
    """From whom and for whom the mail server took it; None and nothing where nobody says."""
    said = _object(_text(fields, ("envelope",)))
    sender, to = said.get("from"), said.get("to")
    if isinstance(to, str):
        to = [to]
    if isinstance(to, list) and to:
        known = sender if isinstance(sender, str) else None
        return known, tuple(one for one in to if isinstance(one, str))
    found = next((name for name in SENDERS if name in fields), None)
    named = getaddresses([_text(fields, RECIPIENTS)[: email_mail.HEADER_CHARS_MAX]])
    recipients = tuple(address for _, address in named if address)
    return (_text(fields, (found,)).strip() if found else None), recipients


def _headers(fields: Mapping[str, _Field], charsets: Mapping[str, object]) -> Message:
    """All headers where they are given, and those that have a field of their own."""
    said = _text(fields, HEADERS, charsets)
    if said.lstrip().startswith("["):
        head = Message()
        for name, text in _pairs(said):
            head[name] = text
    else:
        head = email_mail.headers(said.encode("utf-8", "replace"))
    for name, own in SINGLE.items():
        if head.get(name) is None and own in fields:
            head[name] = " ".join(_text(fields, (own,), charsets).split())
    if head.get("Message-ID") is None and "Message-Id" in fields:
        head["Message-ID"] = " ".join(_text(fields, ("Message-Id",)).split())
    return head


def _pairs(said: str) -> Iterator[tuple[str, str]]:
    try:
        listed = orjson.loads(said)
    except orjson.JSONDecodeError:
        raise Junk("message-headers is not JSON") from None
    for one in listed if isinstance(listed, list) else ():
        match one:
            case [str(name), str(text)] if re.fullmatch(r"[!-9;-~]+", name):
                yield name, " ".join(text.split())


def _text(
    fields: Mapping[str, _Field],
    names: Sequence[str],
    charsets: Mapping[str, object] | None = None,
) -> str:
    """The first of these fields that there is, as text."""
    for name in names:
        if (field := fields.get(name)) is not None:
            told = (charsets or {}).get(name)
            charset = told if isinstance(told, str) else field.charset
            return email_mail.in_charset(field.content, charset)
    return ""


def _object(said: str) -> Mapping[str, object]:
    try:
        found = orjson.loads(said) if said.strip() else {}
    except orjson.JSONDecodeError:
        raise Junk("a field that should be JSON is not") from None
    return found if isinstance(found, dict) else {}


def _password(header: str) -> str:
    scheme, _, given = header.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return b64decode(given, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""
