"""STOP, START, HELP: which texts mean them."""

from __future__ import annotations

from typing import Any

import pytest

from app.model.traffic import Inbound
from app.rules.opt_outs import meant, opted_out, scopes
from app.settings.opt_outs import OptOutSettings
from tests.support.settings import SMS, settings

NEW_YORK, MONTREAL = "+12125550101", "+15145550101"
USUAL = OptOutSettings()


def said(body: str | None, address: str = NEW_YORK, **parts: Any) -> Inbound:
    return Inbound("lab", "SM1", parts.pop("channel", "sms"), address, SMS, body=body, **parts)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("STOP", "stop"),
        ("stop", "stop"),
        ("  Stop.\n", "stop"),
        ("“STOP!”", "stop"),
        ("stop   all", "stop"),
        ("UNSUBSCRIBE", "stop"),
        ("Revoke", "stop"),
        ("start", "start"),
        ("YES!", "start"),
        ("help?", "help"),
        ("Info", "help"),
        ("please stop", None),
        ("STOP calling me at night", None),
        ("yes please", None),
        ("helpful", None),
        ("arret", None),
        ("", None),
        (None, None),
        ("stop" * 1000, None),
        (" " * 100, None),
        (".", None),
    ],
)
def test_a_text_means_it_when_it_is_nothing_else(body: str | None, kind: str | None) -> None:
    assert meant(USUAL, said(body)) == kind


@pytest.mark.parametrize(("body", "kind"), [("Arrêt", "stop"), ("ARRET", "stop"), ("aide", "help")])
def test_a_country_has_words_of_its_own(body: str, kind: str) -> None:
    assert meant(USUAL, said(body, MONTREAL)) == kind
    assert meant(USUAL, said(body, NEW_YORK)) is None
    assert meant(USUAL, said(body, "+99")) is None  # nobody's country
    assert meant(USUAL, said("STOP", MONTREAL)) == "stop"


@pytest.mark.parametrize("channel", ["whatsapp", "messenger", "rcs", "email", "chat", "viber"])
def test_only_texts_to_phone_numbers_are_words(channel: str) -> None:
    assert meant(USUAL, said("STOP", channel=channel)) is None


def test_a_picture_with_the_word_counts() -> None:
    assert meant(USUAL, said("STOP", channel="mms")) == "stop"


@pytest.mark.parametrize(
    ("mark", "kind"), [("STOP", "stop"), ("START", "start"), ("HELP", "help"), ("OTHER", None)]
)
def test_the_mark_of_advanced_opt_out_decides(mark: str, kind: str | None) -> None:
    assert meant(USUAL, said("Basta", form={"OptOutType": mark})) == kind
    assert meant(USUAL, said("STOP", form={"OptOutType": mark})) == kind


def test_a_sender_may_have_words_of_its_own_or_none() -> None:
    own = OptOutSettings(stop=("Basta",), countries={})
    assert meant(own, said("BASTA")) == "stop"
    assert meant(own, said("STOP")) is None
    assert meant(OptOutSettings(enabled=False), said("STOP")) is None


def test_we_answer_only_where_the_carrier_does_not() -> None:
    assert USUAL.reply("help") is None
    ours = OptOutSettings(replies="parley")
    assert (ours.reply("help") or "").startswith("Reply STOP")
    assert ours.reply("stop") is None


def test_the_senders_of_a_messaging_service_are_one() -> None:
    house = settings()
    sender = house.sender(SMS)
    assert sender is not None
    service = house.messaging_service_sid("default")
    assert scopes(house, sender) == (service, SMS)
    assert opted_out(house, sender, {service})
    assert opted_out(house, sender, {SMS})  # before it came into the service
    assert not opted_out(house, sender, {"+15005550999"})
    alone = sender.model_copy(update={"messaging_service": None})
    assert scopes(house, alone) == (SMS,)
    off = sender.model_copy(update={"opt_outs": OptOutSettings(enabled=False)})
    assert not opted_out(house, off, {service})
