"""Where URLs that users give may lead: the two tiers of addresses that are closed, and what the
file's own URLs say of that before anything is sent.

*Forbidden* (loopback, link-local and metadata, multicast, unspecified, reserved) is opened only by
an exact entry in `egress.open`, *private* (RFC 1918, CGNAT, unique local) by `egress.private` too.
What a name leads to is not asked here: `app/egress.py` does that when it connects.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Literal
from urllib.parse import urlsplit

from app.settings.document import Document, Steps

PRIVATE = tuple(
    ip_network(text)
    for text in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "fc00::/7",
        "fec0::/10",
        "64:ff9b:1::/48",
    )
)
NAT64 = IPv6Network("64:ff9b::/96")
LOOPBACK = "127.0.0.1"
INSIDE = (".local", ".internal", ".lan", ".home.arpa", ".localdomain")
"""Ends of names that only a private network knows, as names of one word are."""
CLOSED = {
    "private": "leads to a private address: set egress.private, or name its host in egress.open",
    "forbidden": "leads to an address that only an entry in egress.open opens: name its host there",
}
DOUBTFUL = (
    "warning: a name of a private network; unless it leads to a public address, nothing is sent"
    " there: set egress.private, or name it in egress.open"
)

Address = IPv4Address | IPv6Address
Tier = Literal["private", "forbidden"]


class Targets:
    """Which addresses may be connected to. `opened` are exact host names, addresses, networks."""

    def __init__(self, private: bool, opened: Sequence[str]) -> None:
        self._private = private
        self._networks = tuple(
            ip_network(entry, strict=False) for entry in opened if _is_network(entry)
        )
        self._hosts = frozenset(entry.lower() for entry in opened if not _is_network(entry))

    def closed(self, address: str, host: str = "") -> Tier | None:
        """Why an address is closed; None when it is open. `host` is the name that led there."""
        ip = unwrapped(address)
        if host in self._hosts or any(ip in net for net in self._networks):
            return None
        if any(ip in net for net in PRIVATE):
            return None if self._private else "private"
        forbidden = not ip.is_global or ip.is_multicast or ip.is_reserved
        return "forbidden" if forbidden else None

    def doubtful(self, host: str) -> bool:
        """Whether this name most likely leads to a private address, which is closed."""
        inside = "." not in host or host.endswith(INSIDE)
        return inside and not self._private and host not in self._hosts


def unwrapped(address: str) -> Address:
    """The IPv4 address inside an IPv6 one (mapped, 6to4, Teredo, NAT64), else the address."""
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv4Address):
        return ip
    if ip in NAT64:
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    teredo = ip.teredo[1] if ip.teredo else None
    return ip.ipv4_mapped or ip.sixtofour or teredo or ip


def check(document: Document) -> None:
    """No URL of a webhook, a rule, a sender or a flow leads to an address that is closed; those
    that most likely do are warned of."""
    private = document.get("egress", "private")
    opened = [document.text(*place) or "" for place in document.items("egress", "open")]
    targets = Targets(private is True, opened)
    for steps in _urls(document):
        host = _host(document.text(*steps) or "")
        if not host:
            continue
        literal = _literal(host)
        if literal is None:
            if targets.doubtful(host):
                document.warn(steps, DOUBTFUL)
        elif (tier := targets.closed(literal, host)) is not None:
            document.report(steps, CLOSED[tier])


def _urls(document: Document) -> Iterator[Steps]:
    """Where the file gives a URL that events, questions or messages are sent to."""
    for holder in ((), *document.items("accounts")):
        yield (*holder, "webhooks", "pre_url")
        yield (*holder, "webhooks", "post_url")
    for steps in document.items("senders"):
        yield (*steps, "webhook", "url")
    for steps in document.items("addresses"):
        yield (*steps, "auto_creation", "webhook_url")
    for name in document.names("flows"):
        yield ("flows", name, "url")


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return (parts.hostname or "").rstrip(".") if parts.scheme in ("http", "https") else ""


def _literal(host: str) -> str | None:
    """The address that a host is, in any spelling that a socket understands; None for a name."""
    if host == "localhost" or host.endswith(".localhost"):
        return LOOPBACK
    try:
        return str(ip_address(host.partition("%")[0]))
    except ValueError:
        pass
    try:  # decimal, octal, and with fewer dots
        return socket.inet_ntoa(socket.inet_aton(host)) if host[:1].isdigit() else None
    except OSError:
        return None


def _is_network(entry: str) -> bool:
    try:
        ip_network(entry, strict=False)
    except ValueError:
        return False
    return True
