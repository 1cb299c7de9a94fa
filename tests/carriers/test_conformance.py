"""What every carrier holds, whatever it is called: one suite over all discovered kinds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.carriers import discover
from app.carriers.contract import Junk, Templating
from app.model.traffic import ContentTemplate
from app.settings.models import CarrierSettings
from tests.carriers import cases
from tests.carriers.cases import ADDRESS, PROXY_ADDRESS, Case

RECEIPT = "DY" + "0f" * 16
IMAGE = "https://media.example.com/a.png"


@pytest.fixture(params=sorted(cases.KINDS))
def case(request: pytest.FixtureRequest) -> Case:
    return cases.case(request.param)


def test_every_discovered_kind_has_a_case() -> None:
    assert set(discover.kinds()) == set(cases.KINDS)


def test_a_carrier_knows_its_name_and_kind(case: Case) -> None:
    carrier = case.carrier()
    assert (carrier.name, carrier.kind) == ("lab", case.kind)


def test_an_unknown_kind_is_refused_with_a_suggestion() -> None:
    settings = CarrierSettings.model_validate({"kind": "twillio"})
    with pytest.raises(LookupError, match="did you mean 'twilio'"):
        discover.build("lab", settings, {})


def test_an_unknown_option_is_refused(case: Case) -> None:
    with pytest.raises(ValidationError, match="acount_sid"):
        discover.build("lab", case.settings, case.options | {"acount_sid": "AC"})


def test_a_signed_request_is_valid(case: Case) -> None:
    for wire in (case.inbound(case.new_id(1)), case.status(case.new_id(1), receipt_sid=RECEIPT)):
        assert case.carrier().verify(wire.request()) == "valid"


def test_a_forged_or_unsigned_request_is_invalid(case: Case) -> None:
    wire = case.inbound(case.new_id(1))
    assert case.carrier().verify(case.forged(wire).request()) == "invalid"
    assert case.carrier().verify(case.unsigned(wire).request()) == "invalid"


def test_a_signature_is_of_one_url_and_one_body(case: Case) -> None:
    wire, other = case.inbound(case.new_id(1)), case.inbound(case.new_id(2))
    moved = cases.Wire("POST", wire.target, wire.headers, other.body)
    for part, request in (
        ("body", moved.request()),
        ("url", wire.request("https://other.example.com")),
    ):
        expected = "invalid" if part in case.signs else "valid"
        assert case.carrier().verify(request) == expected, part


def test_a_message_is_read(case: Case) -> None:
    (inbound,) = case.carrier().parse_inbound(case.inbound(case.new_id(7), body="Hi").request())
    assert inbound.carrier == "lab"
    assert inbound.external_id == case.new_id(7)
    assert (inbound.address, inbound.proxy_address) == (case.address, case.proxy_address)
    assert (inbound.channel, inbound.body, inbound.media) == (case.channel, "Hi", ())
    assert inbound.form["From"] == case.address


def test_a_message_with_media_is_an_mms(case: Case) -> None:
    wire = case.inbound(case.new_id(7), body="", media=(IMAGE,))
    (inbound,) = case.carrier().parse_inbound(wire.request())
    assert (inbound.channel, inbound.body) == (case.media_channel, None)
    assert case.files(inbound) == [(IMAGE, "image/png")]


def test_a_whatsapp_message_is_read(case: Case) -> None:
    if "whatsapp" not in case.carrier().channels:
        pytest.skip("carries no whatsapp")
    addresses = {"address": f"whatsapp:{ADDRESS}", "proxy_address": f"whatsapp:{PROXY_ADDRESS}"}
    wire = case.inbound(case.new_id(7), **addresses, media=(IMAGE,))
    (inbound,) = case.carrier().parse_inbound(wire.request())
    assert (inbound.channel, inbound.address) == ("whatsapp", f"whatsapp:{ADDRESS}")


def test_the_same_request_gives_the_same_external_id(case: Case) -> None:
    request = case.inbound(case.new_id(3)).request()
    carrier = case.carrier()
    assert carrier.parse_inbound(request) == carrier.parse_inbound(request)


@pytest.mark.parametrize(
    ("word", "known"),
    [("sent", "sent"), ("delivered", "delivered"), ("read", "read"), ("queued", None)],
)
def test_a_status_is_read(case: Case, word: str, known: str | None) -> None:
    if word in case.unspoken:
        pytest.skip("the provider has no word for it")
    wire = case.status(case.new_id(3), status=word, receipt_sid=RECEIPT)
    (status,) = case.carrier().parse_status(wire.request())
    assert (status.external_id, status.status) == (case.new_id(3), known)
    assert status.receipt_sid == RECEIPT


def test_a_failure_keeps_its_code(case: Case) -> None:
    theirs, ours = case.failure
    wire = case.status(case.new_id(3), status="undelivered", error_code=theirs)
    (status,) = case.carrier().parse_status(wire.request())
    assert (status.status, status.error_code) == ("undelivered", ours)


def test_an_unknown_status_word_is_ignored(case: Case) -> None:
    wire = case.status(case.new_id(3), status="pondered")
    assert case.carrier().parse_status(wire.request()) == []


def test_a_receipt_that_is_no_sid_is_not_believed(case: Case) -> None:
    wire = case.status(case.new_id(3), receipt_sid="DY1")
    assert case.carrier().parse_status(wire.request())[0].receipt_sid is None


def test_the_answer_to_a_carrier_is_not_a_message(case: Case) -> None:
    answer = case.carrier().answer([])
    assert answer.content_type in ("text/xml", "application/json")
    assert len(answer.body) < 100


NAMED = {
    "twilio": {"sid": "HX" + "1" * 32},
    "meta": {"name": "hello"},
    "vonage": {"name": "hello"},
    "sandbox": {},
}
"""Who sends templates as such, and by which name."""


def test_a_carrier_knows_the_templates_that_it_has_a_name_for(case: Case) -> None:
    carrier = case.carrier()
    assert isinstance(carrier, Templating) == (case.kind in NAMED)
    if not isinstance(carrier, Templating):
        return
    named = ContentTemplate("HX2", "en", {}, names={"lab": NAMED[case.kind]})
    assert carrier.knows(named)
    assert carrier.knows(ContentTemplate("HX2", "en", {}, names={})) == (not NAMED[case.kind])


def test_junk_is_junk(case: Case) -> None:
    for body in case.junk:
        with pytest.raises(Junk):
            case.carrier().parse_inbound(case.signed("inbound", body).request())
        with pytest.raises(Junk):
            case.carrier().parse_status(case.signed("status", body).request())


def test_the_text_about_junk_does_not_repeat_it(case: Case) -> None:
    wire = case.inbound(case.new_id(1), address="+1555867531099999999999")
    with pytest.raises(Junk) as junk:
        case.carrier().parse_inbound(wire.request())
    assert "5558675310" not in str(junk.value)


def test_a_text_that_no_database_holds_is_made_storable(case: Case) -> None:
    wire = case.inbound(case.new_id(1), body="a\x00b")
    (inbound,) = case.carrier().parse_inbound(wire.request())
    assert inbound.body == "ab"
    assert "\x00" not in "".join(inbound.form.values())


@pytest.mark.parametrize("kind", sorted(cases.KINDS))
@given(data=st.data())
def test_whatever_comes_is_a_message_or_junk(kind: str, data: st.DataObject) -> None:
    case = cases.case(kind)
    good = case.inbound(case.new_id(1), media=(IMAGE,)).body
    start, end = sorted(
        data.draw(st.tuples(st.integers(0, len(good)), st.integers(0, len(good))), label="hole")
    )
    filling = data.draw(st.binary(max_size=60) | st.text(max_size=20).map(str.encode))
    request = case.signed("inbound", good[:start] + filling + good[end:]).request()
    carrier = case.carrier()
    carrier.verify(request)
    for parse in (carrier.parse_inbound, carrier.parse_status):
        try:
            parse(request)
        except Junk as junk:
            assert str(junk)
