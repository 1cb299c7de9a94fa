"""Why a mail is not posted: a machine wrote it, and to answer it may begin a loop (RFC 3834)."""

from __future__ import annotations

from app.carriers import email_address
from app.carriers.email_compose import LOOP
from app.carriers.email_mail import Mail

PRECEDENCES = frozenset({"bulk", "list", "junk", "auto_reply"})
LISTS = ("List-Id", "List-Unsubscribe-Post")
LOOPS = ("X-Loop", "X-Autoreply", "X-Autorespond", "X-Auto-Response-For")


def reason(mail: Mail) -> str | None:
    """Why this mail is not to be posted; None when it is."""
    submitted = mail.says("Auto-Submitted").partition(";")[0].strip().lower()
    if submitted and submitted != "no":
        return "Auto-Submitted says that a machine wrote it"
    if mail.sender == "" or mail.raw("Return-Path").strip() == "<>":
        return "it has no sender to answer (a report or an automatic answer)"
    if mail.headers.get(LOOP) is not None:
        return f"it has our own header {LOOP}: a mail of ours came back"
    if email_address.receipt_of(mail.raw("Message-ID")) is not None:
        return "its Message-ID is one of ours: a mail of ours came back"
    precedence = mail.says("Precedence").lower()
    if precedence in PRECEDENCES:
        return f"Precedence is {precedence}"
    found = next((name for name in (*LISTS, *LOOPS) if mail.headers.get(name) is not None), None)
    if found is not None:
        return f"it has the header {found}"
    if mail.headers.get_content_type() == "multipart/report":
        return "it is a report"
    return None
