"""The addresses of mails: ours with the receipt that an answer is to find, and what of an address
SMTP takes as it is.

The reference of a send (its receipt's SID; of a further mail of the same message with `.1`, `.2`
behind it) stands in the local part of a plus-address (RFC 5233), `desk+dy0f...@example.com`, in the
Message-ID of its mail, `<dy0f...@example.com>`, and in the envelope id that reports repeat.
"""

from __future__ import annotations

import re

from app.model.parts import is_reference, referred

LOCAL_CHARS_MAX = 64  # RFC 5321 4.5.3.1.1

_REFERENCE = r"dy[0-9a-f]{32}(?:\.[1-9][0-9]?)?"
_PLUS = re.compile(rf"(?P<name>[^@]+)\+(?P<token>{_REFERENCE})@(?P<domain>[^@]+)", re.IGNORECASE)
_OURS = re.compile(rf"<?({_REFERENCE})@[^\s<>]+>?", re.IGNORECASE)
_MENTIONED = re.compile(rf"<({_REFERENCE})@[^\s<>]+>", re.IGNORECASE)
_LOCAL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}")
_DOMAIN = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")


def domain_of(address: str) -> str:
    """What stands behind the @."""
    return address.rpartition("@")[2]


def message_id(reference: str, address: str) -> str:
    """The Message-ID of a send, without its brackets: the same in every attempt."""
    return f"{reference.lower()}@{domain_of(address)}"


def plus(address: str, reference: str) -> str | None:
    """Our address with the reference in it; None when it gets too long for that."""
    name, _, domain = address.rpartition("@")
    local = f"{name}+{reference.lower()}"
    return f"{local}@{domain}" if len(local) <= LOCAL_CHARS_MAX else None


def unplus(address: str) -> tuple[str, str | None]:
    """The address without the reference that a plus-address of ours names, and that reference."""
    match = _PLUS.fullmatch(address)
    if match is None:
        return address, None
    return f"{match['name']}@{match['domain']}", receipt(match["token"])


def receipt(text: str) -> str | None:
    """A reference as mails write it; None for what is none."""
    reference = text[:2].upper() + text[2:].lower()
    return reference if is_reference(reference) else None


def receipt_of(named: str) -> str | None:
    """The reference of the mail with this Message-ID; None when it is none of ours."""
    match = _OURS.fullmatch(named.strip())
    return receipt(match[1]) if match else None


def mentioned(text: str) -> list[str]:
    """The receipts whose Message-IDs stand in this header, in their order."""
    named = (receipt(word) for word in _MENTIONED.findall(text))
    return [referred(one)[0] for one in named if one is not None]


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
