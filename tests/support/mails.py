"""Mails as the world writes them, reports on ours, and the forms in which providers bring them."""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP

ANN, DESK = "ann@example.net", "desk@example.com"
BOUNDARY = "xYzZY"
PNG = b"\x89PNG\r\n\x1a\n" + b"p" * 3000


def mail(
    body: str | bytes,
    *,
    sender: str = ANN,
    to: str = DESK,
    message_id: str | None = None,
    files: tuple[tuple[str, str, bytes], ...] = (),
    **headers: str,
) -> bytes:
    """A mail in bytes; `files` are names, types and contents."""
    made = EmailMessage(policy=SMTP)
    made["From"], made["To"] = f"Ann Lee <{sender}>", to
    made["Subject"] = headers.pop("Subject", "A question")
    made["Date"] = "Fri, 20 Nov 2026 10:00:00 +0000"
    if message_id is not None:
        made["Message-ID"] = f"<{message_id}>"
    for name, text in headers.items():
        made[name.replace("_", "-")] = text
    made.set_content(body if isinstance(body, str) else body.decode("latin-1"))
    for name, kind, content in files:
        main, _, sub = kind.partition("/")
        made.add_attachment(content, main, sub, filename=name)
    return made.as_bytes()


def report(
    named: str, action: str, *, envelope_id: str | None, status: str, to: str = DESK
) -> bytes:
    """A delivery status notification about the mail with this Message-ID."""
    about = f"Original-Envelope-Id: {envelope_id}\r\n" if envelope_id else ""
    return (
        "From: MAILER-DAEMON@mx.example.net\r\n"
        f"To: {to}\r\n"
        "Subject: Delivery report\r\n"
        "Message-ID: <report-1@mx.example.net>\r\n"
        "Auto-Submitted: auto-replied\r\n"
        "MIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="r"\r\n\r\n'
        "--r\r\nContent-Type: text/plain\r\n\r\nAbout your mail.\r\n"
        "--r\r\nContent-Type: message/delivery-status\r\n\r\n"
        f"Reporting-MTA: dns; mx.example.net\r\n{about}\r\n"
        f"Final-Recipient: rfc822; {ANN}\r\nAction: {action}\r\nStatus: {status}\r\n"
        f"Diagnostic-Code: smtp; 550 {status} <{ANN}> says no\r\n\r\n"
        "--r\r\nContent-Type: text/rfc822-headers\r\n\r\n"
        f"From: {DESK}\r\nMessage-ID: <{named}>\r\n\r\n"
        "--r--\r\n"
    ).encode()


def form(boundary: str = BOUNDARY, **fields: str | bytes | tuple[str, str, bytes]) -> bytes:
    """A multipart form; a file is its name, type and content. `_` in a name stands for -."""
    body = b""
    for name, content in fields.items():
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name.replace("_", "-")}"'
        if isinstance(content, tuple):
            head += f'; filename="{content[0]}"\r\nContent-Type: {content[1]}'
            content = content[2]
        body += head.encode() + b"\r\n\r\n"
        body += content if isinstance(content, bytes) else content.encode()
        body += b"\r\n"
    return body + f"--{boundary}--\r\n".encode()
