"""What may change of how a participant is reached, as a table."""

from __future__ import annotations

from typing import Any

import pytest

from app.errors import Refused
from app.model import Participant
from app.rules.participants import Ours, new_identity, new_projected, new_proxy

OURS, TOO, WHATSAPP = "+15005550006", "+15005550009", "whatsapp:+15005550010"
PERSON = "+15558675310"
SENDERS = Ours({OURS, TOO, WHATSAPP}, {OURS, TOO})
SHAPES: dict[str, dict[str, str]] = {
    "chat": {"identity": "ann"},
    "pair": {"address": PERSON, "proxy_address": OURS},
    "native": {"address": PERSON},
    "agent": {"identity": "ann", "projected_address": OURS},
    "gateway": {"projected_address": OURS},
}

# shape, what is asked for (None: cleared), what comes of it: a value or a code
IDENTITIES = [
    ("chat", "ann", "ann"),
    ("chat", "bob", 50444),
    ("chat", None, 50204),
    ("pair", "ann", 50444),
    ("pair", None, None),
    ("native", "ann", 50444),
    ("agent", "ann", "ann"),
    ("agent", "bob", 50444),
    ("agent", None, None),
    ("gateway", "ann", "ann"),
    ("gateway", "system", 50203),
    ("gateway", None, None),
]
PROXIES = [
    ("pair", OURS, OURS),
    ("pair", f" {OURS} ", OURS),
    ("pair", TOO, TOO),
    ("pair", WHATSAPP, 50414),
    ("pair", "+15005550099", 50413),
    ("pair", PERSON, 50409),
    ("pair", None, 50440),
    ("native", OURS, OURS),
    ("chat", None, 50440),
    ("chat", OURS, 50441),
    ("gateway", OURS, 50441),
]
PROJECTED = [
    ("chat", None, 50442),
    ("chat", OURS, OURS),
    ("chat", "+15005550099", 50439),
    ("chat", WHATSAPP, 50435),
    ("pair", OURS, 50443),
    ("native", OURS, 50443),
    ("agent", OURS, OURS),
    ("agent", TOO, 50443),
    ("agent", None, None),
    ("gateway", None, 50442),
]


def came(change: Any, *asked: Any) -> Any:
    """What came of it: the value, or the code of the refusal."""
    try:
        return change(*asked)
    except Refused as refused:
        return refused.code


@pytest.mark.parametrize(("shape", "wanted", "expected"), IDENTITIES)
def test_an_identity_comes_and_goes_beside_a_projected_address(shape, wanted, expected) -> None:
    assert came(new_identity, Participant(**SHAPES[shape]), wanted) == expected


@pytest.mark.parametrize(("shape", "wanted", "expected"), PROXIES)
def test_a_proxy_address_changes_where_there_is_an_address(shape, wanted, expected) -> None:
    assert came(new_proxy, Participant(**SHAPES[shape]), wanted, SENDERS) == expected


@pytest.mark.parametrize(("shape", "wanted", "expected"), PROJECTED)
def test_a_projected_address_goes_where_an_identity_stays(shape, wanted, expected) -> None:
    assert came(new_projected, Participant(**SHAPES[shape]), wanted, SENDERS) == expected
