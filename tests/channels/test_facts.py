"""The channel tables agree with the documented limits and with each other."""

from __future__ import annotations

import pytest

from app.channels.facts import FACTS, binding_type, channel_message_sid
from app.settings.address import CARRIED

HEX = "0123456789abcdef0123456789abcdef"
OTHER = "fedcba9876543210fedcba9876543210"


@pytest.mark.parametrize(
    ("channel", "body_chars", "media", "megabytes", "prefix", "type_"),
    [
        ("sms", 1600, 0, 0, "SM", "sms"),
        ("mms", 1600, 10, 5, "MM", "sms"),
        ("whatsapp", 1600, 1, 16, "WA", "whatsapp"),
        ("messenger", 1600, 1, 25, "SM", "messenger"),
        ("rcs", 1600, 1, 100, "SM", "rcs"),
        ("email", 32_768, 10, 18, "SM", "email"),
        ("chat", 32_768, 10, 150, None, "chat"),
    ],
)
def test_the_limits_are_the_documented_ones(
    channel: str, body_chars: int, media: int, megabytes: int, prefix: str | None, type_: str
) -> None:
    facts = FACTS[channel]
    assert facts.name == channel
    assert (facts.body_chars_max, facts.media_max) == (body_chars, media)
    assert facts.media_bytes_max == megabytes * 1024 * 1024
    assert (facts.sid_prefix, facts.binding_type) == (prefix, type_)


def test_documented_content_types_are_a_part_of_those_taken_relaxed() -> None:
    for facts in FACTS.values():
        assert facts.content_types <= facts.content_types_relaxed
        assert all(kind == kind.lower() for kind in facts.content_types_relaxed)


@pytest.mark.parametrize("channel", ["mms", "whatsapp"])
@pytest.mark.parametrize(
    "kind", ["image/jpeg", "image/png", "audio/mpeg", "audio/amr", "video/mp4", "application/pdf"]
)
def test_the_six_documented_file_types_are_taken(channel: str, kind: str) -> None:
    assert kind in FACTS[channel].content_types


def test_every_channel_that_an_address_can_name_has_its_facts() -> None:
    assert {carried for names in CARRIED.values() for carried in names} | {"chat"} == set(FACTS)


def test_only_what_is_metas_lets_nobody_write_out_of_the_blue() -> None:
    sessions = {name: facts.session_s for name, facts in FACTS.items() if facts.session_s}
    assert sessions == dict.fromkeys(("whatsapp", "messenger", "instagram"), 86_400)


def test_only_whatsapp_instagram_and_rcs_tell_that_a_message_was_read() -> None:
    read = [name for name, facts in FACTS.items() if "read" in facts.statuses]
    assert read == ["whatsapp", "instagram", "rcs"]
    assert FACTS["chat"].statuses == frozenset()


@pytest.mark.parametrize(
    ("channel", "external_id", "sid"),
    [
        ("sms", f"SM{HEX}", f"SM{HEX}"),
        ("mms", f"MM{HEX}", f"MM{HEX}"),
        ("whatsapp", f"SM{HEX}", f"WA{HEX}"),
        ("sms", f"SM{HEX.upper()}", f"SM{OTHER}"),
        ("whatsapp", "wamid.HBgLMTU1NTEyMzQ1NjcVAgAR", f"WA{OTHER}"),
        ("sms", "", f"SM{OTHER}"),
        ("sms", None, f"SM{OTHER}"),
        ("messenger", "m_1", f"SM{OTHER}"),
        ("rcs", "r_1", f"SM{OTHER}"),
        ("viber", "v_1", f"SM{OTHER}"),
        ("chat", "x", f"SM{OTHER}"),
    ],
)
def test_a_channel_message_sid_keeps_the_hex_of_a_carriers_sid(
    channel: str, external_id: str | None, sid: str
) -> None:
    assert channel_message_sid(channel, external_id, f"DY{OTHER}") == sid


def test_an_mms_binds_as_sms_and_a_channel_without_facts_as_itself() -> None:
    assert binding_type("mms") == "sms"
    assert binding_type("messenger") == "messenger"
    assert binding_type("viber") == "viber"
