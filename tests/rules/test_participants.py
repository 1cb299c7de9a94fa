"""The shapes of a participant; everything else by the original's codes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import Forbidden, Invalid, Refused
from app.rules.participants import Ours, Shape, shape

OURS = "+15005550006"
THEIRS = "+15551230001"
ANN, DESK = "ann@example.net", "desk@example.com"
TOLL_FREE, NO_MMS, ABROAD = "+18005550006", "+15005550007", "+442079460000"
SENDERS = frozenset(
    {OURS, "whatsapp:+15005550010", "12345", "messenger:900", TOLL_FREE, NO_MMS, ABROAD, DESK}
)


def made(
    identity: str | None = None,
    address: str | None = None,
    proxy: str | None = None,
    projected: str | None = None,
    mailing: str | None = None,
) -> Shape:
    ours = Ours(SENDERS, SENDERS - {NO_MMS}, mailing=mailing)
    return shape(identity, address, proxy, projected, ours=ours)


def test_mails_come_from_the_address_of_the_conversation() -> None:
    expected = Shape("pair", channel="email", address=ANN, proxy_address=DESK)
    assert made(address="ann@Example.NET", mailing="desk@Example.com") == expected


@pytest.mark.parametrize("mailing", [None, "", "bob@example.com", OURS])
def test_mails_come_from_a_sender_of_ours(mailing: str | None) -> None:
    with pytest.raises(Invalid) as refused:
        made(address=ANN, mailing=mailing)
    assert refused.value.code == 50407
    assert "Bindings.Email.Address" in str(refused.value.details)


def test_an_identity_alone_is_a_chat_participant() -> None:
    assert made(identity="agent@example.com") == Shape("chat", identity="agent@example.com")
    assert made(identity="x" * 256).identity == "x" * 256


@pytest.mark.parametrize(
    ("address", "proxy", "channel"),
    [
        (THEIRS, OURS, "sms"),
        (THEIRS, "12345", "sms"),
        ("whatsapp:+15551230001", "whatsapp:+15005550010", "whatsapp"),
        ("messenger:77", "messenger:900", "messenger"),
    ],
)
def test_an_address_and_a_proxy_address_are_a_pair(address: str, proxy: str, channel: str) -> None:
    expected = Shape("pair", channel=channel, address=address, proxy_address=proxy)
    assert made(address=address, proxy=proxy) == expected


def test_members_of_a_group_text_have_an_address_alone_or_a_projected_one() -> None:
    assert made(address=THEIRS) == Shape("native", channel="sms", address=THEIRS)
    gateway = Shape("projected", channel="sms", projected_address=OURS)
    assert made(projected="+1 500 555 0006") == gateway
    agent = Shape("projected", "ann", "sms", projected_address=OURS)
    assert made(identity="ann", projected=OURS) == agent


def test_an_address_may_be_as_long_as_the_limits_say() -> None:
    ours = Ours({"messenger:9"}, chars_max=20)
    address = "messenger:" + "7" * 10
    assert shape(None, address, "messenger:9", None, ours=ours).address == address
    for pair, code in (((address + "7", "messenger:9"), 50407), (("rcs:a", address + "7"), 50408)):
        with pytest.raises(Invalid) as refusal:
            shape(None, *pair, None, ours=ours)
        assert refusal.value.code == code


def test_addresses_are_normalised_before_they_are_compared() -> None:
    pair = made(address=" +1 555 123 0001", proxy="+1 500 555 0006")
    assert (pair.address, pair.proxy_address) == (THEIRS, OURS)


Case = tuple[str, tuple[str | None, ...], type[Refused], int, str]
REFUSALS: list[Case] = [
    ("nothing", (), Invalid, 20001, "Missing required parameter Identity or"),
    ("an empty identity", ("",), Invalid, 50204, "Identity not provided"),
    ("a long identity", ("x" * 257,), Invalid, 50207, "Identity too long"),
    ("a reserved identity", ("system",), Invalid, 50203, "Identity reserved"),
    (
        "an identity like a SID",
        ("US" + "a" * 32,),
        Invalid,
        50206,
        "Identity should not match user SID pattern",
    ),
    (
        "identity and address",
        ("ann", THEIRS, OURS),
        Invalid,
        50211,
        "Identity parameter not acceptable for this Participant",
    ),
    (
        "identity and proxy address",
        ("ann", None, OURS),
        Invalid,
        50211,
        "Identity parameter not acceptable for this Participant",
    ),
    ("an empty address", (None, "", OURS), Invalid, 50411, "Participant address is empty"),
    ("a proxy address alone", (None, None, OURS), Invalid, 50411, "Participant address is empty"),
    (
        "an empty proxy address",
        (None, THEIRS, " "),
        Invalid,
        50412,
        "Participant proxy address is empty",
    ),
    ("no number", (None, "ann", OURS), Invalid, 50407, "Invalid messaging binding address"),
    ("a long address", (None, "+" + "1" * 300, OURS), Invalid, 50407, "Invalid messaging"),
    (
        "an unknown prefix",
        (None, "pigeon:+15551230001", OURS),
        Invalid,
        50407,
        "Invalid messaging binding address",
    ),
    (
        "one of ours as theirs",
        (None, "12345", OURS),
        Invalid,
        50407,
        "Invalid messaging binding address",
    ),
    (
        "our other sender as theirs",
        (None, OURS, "12345"),
        Invalid,
        50407,
        "Invalid messaging binding address",
    ),
    ("a wrong proxy", (None, THEIRS, "x"), Invalid, 50408, "Invalid participant proxy address"),
    ("equal", (None, OURS, OURS), Invalid, 50409, "Participant address equals proxy address"),
    (
        "sms to WhatsApp",
        (None, THEIRS, "whatsapp:+15005550010"),
        Invalid,
        50414,
        "Participant address type does not match proxy address type",
    ),
    (
        "a foreign proxy",
        (None, THEIRS, "+15005550099"),
        Forbidden,
        50413,
        "Account is not authorized to use proxy address",
    ),
    (
        "a number of ours that WhatsApp does not know",
        (None, "whatsapp:+15551230001", f"whatsapp:{OURS}"),
        Invalid,
        50415,
        "Proxy address is not WhatsApp enabled sender",
    ),
    (
        "e-mail with a proxy",
        (None, "ann@example.com", OURS),
        Invalid,
        50453,
        "Proxy Address of participant is not supported for this channel",
    ),
    ("e-mail", (None, "ann@example.com"), Invalid, 50407, "Invalid messaging binding address"),
    (
        "WhatsApp without proxy",
        (None, "whatsapp:+15551230001"),
        Invalid,
        50412,
        "Participant proxy address is empty",
    ),
    ("abroad in a group", (None, "+442079460001"), Invalid, 50407, "Invalid messaging binding"),
    ("one of ours in a group", (None, OURS), Invalid, 50407, "Invalid messaging binding address"),
    (
        "a projected address beside an address",
        (None, THEIRS, None, OURS),
        Invalid,
        50443,
        "Failed to add a projected address to a participant",
    ),
    (
        "an empty projected address",
        (None, None, None, " "),
        Invalid,
        50434,
        "Participant projected address not provided",
    ),
    ("no number projected", (None, None, None, "x"), Invalid, 50407, "Invalid messaging binding"),
    (
        "a foreign number projected",
        ("ann", None, None, "+15005550099"),
        Forbidden,
        50439,
        "Account is not authorized to use the projected address",
    ),
    *(
        (f"{text} projected", (None, None, None, text), Invalid, 50435, "Group MMS activation")
        for text in (TOLL_FREE, ABROAD, "12345", "whatsapp:+15005550010")
    ),
    (
        "a sender that carries no mms projected",
        (None, None, None, NO_MMS),
        Forbidden,
        50452,
        f"Group MMS is not enabled for this Account: the sender {NO_MMS} does not carry mms,"
        " or its carrier does not send group texts",
    ),
]


@pytest.mark.parametrize(("label", "arguments", "kind", "code", "message"), REFUSALS)
def test_other_shapes_are_refused_by_code_and_words(
    label: str, arguments: tuple[str | None, ...], kind: type[Refused], code: int, message: str
) -> None:
    with pytest.raises(kind) as refusal:
        made(*arguments)
    assert refusal.value.code == code
    assert refusal.value.message.startswith(message)


def test_a_refused_address_says_which_parameter_and_why() -> None:
    with pytest.raises(Invalid) as refusal:
        made(address="15551230001", proxy=OURS)
    assert refusal.value.details is not None
    assert refusal.value.details["parameter"] == "MessagingBinding.Address"
    assert "%2B" in refusal.value.details["reason"]


texts = st.one_of(st.none(), st.text(max_size=8), st.sampled_from([OURS, THEIRS, "12345"]))


@settings(deadline=None)
@given(texts, texts, texts, texts)
def test_any_parameters_make_a_shape_or_are_refused(
    identity: str | None, address: str | None, proxy: str | None, projected: str | None
) -> None:
    try:
        result = made(identity, address, proxy, projected)
    except Refused:
        return
    given = [
        value is not None
        for value in (
            result.identity,
            result.address,
            result.proxy_address,
            result.projected_address,
        )
    ]
    assert (
        given
        in {
            "chat": [[True, False, False, False]],
            "pair": [[False, True, True, False]],
            "native": [[False, True, False, False]],
            "projected": [[False, False, False, True], [True, False, False, True]],
        }[result.kind]
    )
