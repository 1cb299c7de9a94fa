"""The addresses of mails: ours with the receipt that an answer is to find, and what of an address
SMTP takes as it is.

A receipt stands in the local part of a plus-address (RFC 5233), `desk+dy0f...@example.com`, in the
Message-ID of its mail, `<dy0f...@example.com>`, and in the envelope id that reports repeat.
"""

from __future__ import annotations

import re

from app import ids

LOCAL_CHARS_MAX = 64  # RFC 5321 4.5.3.1.1

_PLUS = re.compile(r"(?P<name>[^@]+)\+(?P<token>dy[0-9a-f]{32})@(?P<domain>[^@]+)", re.IGNORECASE)
_OURS = re.compile(r"<?(dy[0-9a-f]{32})@[^\s<>]+>?", re.IGNORECASE)
_MENTIONED = re.compile(r"<(dy[0-9a-f]{32})@[^\s<>]+>", re.IGNORECASE)
_LOCAL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}")
_DOMAIN = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")


def domain_of(address: str) -> str:
    """What stands behind the @."""
    return address.rpartition("@")[2]


def message_id(receipt_sid: str, address: str) -> str:
    """The Message-ID of a send, without its brackets: the same in every attempt."""
    return f"{receipt_sid.lower()}@{domain_of(address)}"


def plus(address: str, receipt_sid: str) -> str | None:
    """Our address with the receipt in it; None when it gets too long for that."""
    name, _, domain = address.rpartition("@")
    local = f"{name}+{receipt_sid.lower()}"
    return f"{local}@{domain}" if len(local) <= LOCAL_CHARS_MAX else None


def unplus(address: str) -> tuple[str, str | None]:
    """The address without the receipt that a plus-address of ours names, and that receipt's SID."""
    match = _PLUS.fullmatch(address)
    if match is None:
        return address, None
    return f"{match['name']}@{match['domain']}", receipt(match["token"])


def receipt(text: str) -> str | None:
    """The SID of a receipt as mails write it; None for what is none."""
    sid = text[:2].upper() + text[2:].lower()
    return sid if ids.is_sid(sid, ids.RECEIPT) else None


def receipt_of(named: str) -> str | None:
    """The receipt whose mail has this Message-ID; None when it is none of ours."""
    match = _OURS.fullmatch(named.strip())
    return receipt(match[1]) if match else None


def mentioned(text: str) -> list[str]:
    """The receipts whose Message-IDs stand in this header, in their order."""
    return [sid for word in _MENTIONED.findall(text) if (sid := receipt(word)) is not None]


def wire(address: str) -> str | None:
    """The address as SMTP takes it without extensions (RFC 5321), its domain in ASCII; None for
    one that it does not take."""
    local, _, domain = address.rpartition("@")
    if not domain.isascii():
        try:
            domain = domain.encode("idna").decode()
        except UnicodeError:
            return None
    good = _LOCAL.fullmatch(local) and _DOMAIN.fullmatch(domain) and len(domain) <= 255
    return f"{local}@{domain}" if good else None
