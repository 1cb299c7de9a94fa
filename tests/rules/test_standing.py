"""Sessions, and who is not written to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.rules.content import Deliver, Fail
from app.rules.standing import Approved, allowed, expires_at, is_open

NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)
TEXT = Deliver("whatsapp", "hi")
TOO_LONG = Fail("sms", 21617, "too long")


@pytest.mark.parametrize("channel", ["whatsapp", "messenger"])
def test_a_session_is_open_for_a_day_to_the_microsecond(channel: str) -> None:
    assert expires_at(channel, NOON) == NOON + DAY
    assert is_open(channel, NOON, NOON)
    assert is_open(channel, NOON, NOON + DAY - timedelta(microseconds=1))
    assert not is_open(channel, NOON, NOON + DAY)
    assert not is_open(channel, None, NOON)
    assert expires_at(channel, None) is None


@pytest.mark.parametrize("channel", ["sms", "mms", "rcs", "email", "chat", "viber"])
def test_other_channels_know_no_sessions(channel: str) -> None:
    assert is_open(channel, None, NOON)
    assert expires_at(channel, NOON) is None


@pytest.mark.parametrize(
    ("content", "opted_out", "session", "code"),
    [
        (TEXT, False, True, None),
        (TEXT, False, False, 63016),
        (TEXT, True, True, 21610),
        (TEXT, True, False, 21610),
        (TOO_LONG, False, True, 21617),
        (TOO_LONG, False, False, 21617),
        (TOO_LONG, True, True, 21610),
    ],
)
def test_opting_out_comes_first_then_what_the_channel_carries_then_the_session(
    content: Deliver | Fail, opted_out: bool, session: bool, code: int | None
) -> None:
    result = allowed(content, opted_out=opted_out, session=session)
    if code is None:
        assert result is content
        return
    assert isinstance(result, Fail)
    assert (result.channel, result.code) == (content.channel, code)
    assert result.reason


@pytest.mark.parametrize(
    ("template", "session", "said"),
    [
        (None, True, None),
        (None, False, "since the recipient last wrote"),
        (Approved("tw", sent=True), True, None),
        (Approved("tw", sent=True), False, None),
        (Approved("tw", sent=False), True, None),  # as words
        (Approved("tw", sent=False), False, "carrier tw cannot send the template"),
    ],
)
def test_what_is_approved_needs_no_session_where_its_carrier_can_send_it(
    template: Approved | None, session: bool, said: str | None
) -> None:
    result = allowed(TEXT, opted_out=False, session=session, template=template)
    if said is None:
        assert result is TEXT
        return
    assert isinstance(result, Fail)
    assert (result.code, said in result.reason) == (63016, True)
