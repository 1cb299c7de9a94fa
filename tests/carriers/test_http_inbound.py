"""What comes from a described provider: messages and statuses."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.carriers.contract import Junk
from app.model.traffic import MediaPart
from tests.carriers.http_sample import INBOUND, STATUS, provider, request

MESSAGE = {"id": "m1", "from": "+15558675310", "to": "+15005550006", "text": "Hi"}
RECEIPT = "DY" + "0f" * 16


def read(said: Any, numbers: str = "e164", strip: tuple[str, ...] = (), **fields: Any) -> list[Any]:
    carrier = provider(inbound=INBOUND | fields, numbers=numbers, strip=strip)
    return list(carrier.parse_inbound(request(orjson.dumps(said))))


def test_messages_are_taken_out_of_a_list_by_dotted_paths() -> None:
    said = {
        "meta": {"to": "+15005550006"},
        "entry": [
            {"kind": "message", "data": {"id": 7, "from": {"n": "+15558675310"}, "text": "a"}},
            {"kind": "status", "data": {"id": 8}},
            {"kind": "message", "data": {"id": 9, "from": {"n": "+15558675311"}, "text": None}},
        ],
    }
    found = read(
        said,
        messages="entry",
        when={"kind": ["message", "reply"]},
        id="data.id",
        to="$.meta.to",
        body="data.text",
        metadata=["kind", "$.meta", "data.nothing"],
        **{"from": ["data.wrong", "data.from.n"]},
    )
    assert [(one.external_id, one.address, one.proxy_address, one.body) for one in found] == [
        ("7", "+15558675310", "+15005550006", "a"),
        ("9", "+15558675311", "+15005550006", None),
    ]
    context = {"kind": "message", "$.meta": {"to": "+15005550006"}}
    assert found[0].channel_metadata == {"type": "sms", "data": {"context": context}}


def test_lists_within_lists_are_reached_with_a_star() -> None:
    said = {"a": [{"b": [MESSAGE]}, {"b": []}, {"b": [MESSAGE | {"id": "m2"}]}]}
    assert [one.external_id for one in read(said, messages="a.*.b")] == ["m1", "m2"]


ADDRESSES: list[tuple[str, str, Any, str]] = [
    ("e164", "sms", "+15558675310", "+15558675310"),
    ("e164", "sms", "24365", "24365"),
    ("digits", "sms", "15558675310", "+15558675310"),
    ("digits", "sms", 15558675310, "+15558675310"),
    ("digits", "sms", "+15558675310", "+15558675310"),
    ("digits", "sms", "24365", "24365"),
    ("digits", "sms", "tel:15558675310", "+15558675310"),
    ("digits", "sms", "TEL:+1 555 867 5310", "+15558675310"),
]


@pytest.mark.parametrize(("numbers", "channel", "given", "address"), ADDRESSES)
def test_numbers_are_normalised(numbers: str, channel: str, given: Any, address: str) -> None:
    (inbound,) = read(MESSAGE | {"from": given}, numbers=numbers, strip=("tel:",))
    assert inbound.address == address


@pytest.mark.parametrize("written", ["15558675310", "whatsapp:+15558675310", "+15558675310"])
def test_the_channels_word_makes_the_prefix(written: str) -> None:
    said = MESSAGE | {"kind": "wa", "from": written, "to": "15005550006"}
    (inbound,) = read(said, numbers="digits", channel="kind")
    assert (inbound.channel, inbound.address) == ("whatsapp", "whatsapp:+15558675310")
    assert inbound.proxy_address == "whatsapp:+15005550006"


def test_files_are_found_and_make_an_mms() -> None:
    said = MESSAGE | {
        "files": [{"u": "https://m/1.png", "t": "image/png"}, {"u": "https://m/2.pdf"}]
    }
    (inbound,) = read(said, media={"in": "files", "url": "u", "type": "t"})
    assert inbound.channel == "mms"
    assert inbound.media == (
        MediaPart("https://m/1.png", "image/png"),
        MediaPart("https://m/2.pdf", "application/pdf"),
    )
    assert inbound.form["NumMedia"] == "2"


def test_a_plain_list_of_urls_is_files_too() -> None:
    (inbound,) = read(MESSAGE | {"urls": ["https://m/1", "https://m/2"]}, media={"url": "urls"})
    assert [part.url for part in inbound.media] == ["https://m/1", "https://m/2"]


def test_a_group_has_others() -> None:
    said = MESSAGE | {"cc": [{"n": "+15551230009"}, {"n": "+15005550006"}]}
    (inbound,) = read(said, others="cc.*.n")
    assert inbound.others == ("+15551230009",)


def test_a_form_is_read_by_the_names_of_its_fields() -> None:
    fields = {"Id": "m1", "a.from": "15558675310", "To": "15005550006", "Media1": "https://m/1.png"}
    fields |= {
        "Media0": "https://m/0.png",
        "Type": "image/gif",
        "Media": "https://m/no",
        "Body": "",
    }
    names = {"format": "form", "id": "Id", "from": "a.from", "to": "To", "body": ["Text", "Body"]}
    media = {"url": "Media{n}", "type": "Type"}
    carrier = provider(inbound=names | {"media": media}, numbers="digits")
    (inbound,) = carrier.parse_inbound(request(form=fields))
    assert [part.url for part in inbound.media] == ["https://m/0.png", "https://m/1.png"]
    assert (inbound.address, inbound.body, inbound.media[0].content_type) == (
        "+15558675310",
        None,
        "image/gif",
    )


JUNK: list[tuple[str, Any, dict[str, Any]]] = [
    ("not an object", [MESSAGE], {}),
    ("no id", MESSAGE | {"id": None}, {}),
    ("an id that is a list", MESSAGE | {"id": ["m1"]}, {}),
    ("an id with a line end", MESSAGE | {"id": "a\nb"}, {}),
    ("an endless id", MESSAGE | {"id": "x" * 256}, {}),
    ("no sender", MESSAGE | {"from": ""}, {}),
    ("a sender that is no address", MESSAGE | {"from": "Acme"}, {}),
    ("different channels", MESSAGE | {"from": "whatsapp:+15558675310"}, {}),
    ("a text that is none", MESSAGE | {"text": {"a": 1}}, {}),
    ("an unknown channel", MESSAGE | {"kind": "fax"}, {"channel": "kind"}),
    ("no list of messages", MESSAGE, {"messages": "data"}),
    ("a list of other things", {"data": [1, 2]}, {"messages": "data"}),
    ("a file that is no URL", MESSAGE | {"m": ["ftp://x"]}, {"media": {"url": "m"}}),
    ("too many files", MESSAGE | {"m": ["https://m/1"] * 21}, {"media": {"url": "m"}}),
    ("too many others", MESSAGE | {"cc": ["+15551230009"] * 51}, {"others": "cc"}),
    ("too many messages", {"data": [MESSAGE] * 1001}, {"messages": "data"}),
]


@pytest.mark.parametrize(
    ("said", "fields"), [row[1:] for row in JUNK], ids=[row[0] for row in JUNK]
)
def test_what_is_no_message_is_junk(said: Any, fields: dict[str, Any]) -> None:
    with pytest.raises(Junk) as junk:
        read(said, **fields)
    assert "5558675310" not in str(junk.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["id", "from", "to", "text", "m", "url", "state"]), inner)
    ),
    max_leaves=12,
)


@given(said=JSON, data=st.data())
def test_whatever_json_comes_is_read_or_junk(said: Any, data: st.DataObject) -> None:
    path = st.sampled_from(
        ["id", "from", "m.*", "m.0", "$.id", "*", "m.*.url", "text", "$.m", ".", "9"]
    )
    names = {name: data.draw(path, label=name) for name in ("id", "from", "to", "body", "channel")}
    names |= {"messages": data.draw(st.none() | path), "media": {"in": "m", "url": "url"}}
    names |= {"metadata": ["m", "id"], "others": data.draw(path)}
    carrier = provider(
        inbound={"format": "json"} | names,
        status=STATUS | {"id": names["id"], "code": "m.0", "message": "text"},
    )
    came = request(orjson.dumps(said, default=str) if _jsonable(said) else b"{}")
    for parse in (carrier.parse_inbound, carrier.parse_status):
        try:
            parse(came)
        except Junk as junk:
            assert str(junk)


@given(form=st.dictionaries(st.sampled_from(["id", "from", "to", "text", "m0", "m9"]), st.text()))
def test_whatever_form_comes_is_read_or_junk(form: dict[str, str]) -> None:
    media = {"url": "m{n}", "type": "text"}
    carrier = provider(inbound=INBOUND | {"format": "form", "media": media}, numbers="digits")
    try:
        carrier.parse_inbound(request(form=form))
    except Junk as junk:
        assert str(junk)


def _jsonable(said: Any) -> bool:
    try:
        orjson.dumps(said)
    except (TypeError, ValueError):  # an integer over 64 bits
        return False
    return True


def statuses(said: Any, query: dict[str, str] | None = None, **changes: Any) -> list[Any]:
    fields = changes.pop("fields", {})
    carrier = provider(status=STATUS | fields, **changes)
    return list(carrier.parse_status(request(orjson.dumps(said), query=query)))


def test_words_become_our_statuses_and_codes_the_originals() -> None:
    fields = {"code": "error.code", "message": "error.text"}
    said = {"id": "m1", "state": "no", "error": {"code": 17, "text": "barred"}}
    (status,) = statuses(said, {"receipt": RECEIPT}, fields=fields, codes={17: 21408})
    assert (status.status, status.error_code, status.error_message) == (
        "undelivered",
        21408,
        "barred",
    )
    assert (status.carrier, status.external_id, status.receipt_sid) == ("acme", "m1", RECEIPT)


def test_a_code_that_is_not_translated_stays_in_the_text() -> None:
    said = {"id": "m1", "state": "no", "error": {"code": 99, "text": "barred"}}
    (status,) = statuses(said, fields={"code": "error.code", "message": "error.text"})
    assert (status.error_code, status.error_message) == (None, "code 99: barred")


def test_statuses_come_in_lists_and_unknown_words_are_passed_over() -> None:
    said = {"data": [{"id": 1, "state": word} for word in ("wait", "out", "ok", "pondered")]}
    found = statuses(said, fields={"statuses": "data"})
    assert [status.status for status in found] == [None, "sent", "delivered"]


def test_a_reference_of_ours_in_the_report_names_the_receipt() -> None:
    fields = {"reference": "custom"}
    (status,) = statuses({"id": "m1", "state": "ok", "custom": RECEIPT}, fields=fields)
    assert status.receipt_sid == RECEIPT
    (status,) = statuses({"id": "m1", "state": "ok", "custom": "DY1"}, fields=fields)
    assert status.receipt_sid is None


@pytest.mark.parametrize("said", [{"id": "m1"}, {"state": "ok"}, {"id": "m1", "state": {}}, 5])
def test_what_is_no_status_is_junk(said: Any) -> None:
    with pytest.raises(Junk):
        statuses(said)


def test_without_a_section_there_are_no_statuses() -> None:
    with pytest.raises(Junk, match="reports no statuses"):
        provider(status=None).parse_status(request(b"{}"))


def test_one_door_takes_both_and_each_parser_its_own() -> None:
    carrier = provider(
        one_door=True,
        inbound=INBOUND | {"messages": "messages", "when": {"$.type": "in"}},
        status=STATUS | {"statuses": "reports", "when": {"$.type": "report"}},
    )
    message = request(orjson.dumps({"type": "in", "messages": [MESSAGE]}))
    report = request(orjson.dumps({"type": "report", "reports": [{"id": "m1", "state": "ok"}]}))
    assert [len(carrier.parse_inbound(one)) for one in (message, report)] == [1, 0]
    assert [len(carrier.parse_status(one)) for one in (message, report)] == [0, 1]


def test_the_reply_is_what_the_provider_wants() -> None:
    answer = provider(reply={"body": "OK", "content_type": "text/plain"}).answer([])
    assert (answer.body, answer.content_type) == ("OK", "text/plain")
