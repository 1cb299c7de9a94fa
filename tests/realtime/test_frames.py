"""Frames: bytes that a client takes, and bytes that are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.realtime import entities, events
from app.realtime.entities import INFO, MINE, ROSTER, Kind, Named
from app.realtime.events import ADDED, REMOVED, Event
from app.realtime.frames import Malformed, message, pack, unpack
from app.realtime.wire import payloads

SEEN = (
    b"TWILSOCK V3.0 117\r\n"
    b'{"method":"reply","id":"TM1","status":{"code":200,"status":"OK"},'
    b'"payload_type":"application/json","payload_size":10}\r\n{"t":"\xc3\xa9"}'
)


def test_a_frame_is_what_the_sdk_reads() -> None:
    header = {"method": "reply", "id": "TM1", "status": {"code": 200, "status": "OK"}}
    assert pack(header, '{"t":"é"}'.encode()) == SEEN
    frame = unpack(SEEN)
    assert (frame.method, frame.id, frame.payload) == ("reply", "TM1", '{"t":"é"}'.encode())


def test_a_frame_without_payload_ends_with_a_line_break() -> None:
    packed = pack({"method": "update", "id": "1"})
    assert packed.endswith(b'"payload_size":0}\r\n')
    assert unpack(packed).payload == b""


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"TWILSOCK V3.0",
        b"TWILSOCK V2.0 2\r\n{}\r\n",
        b"TWILSOCK V3.0 -2\r\n{}\r\n",
        b"TWILSOCK V3.0 99999999999\r\n{}\r\n",
        b"TWILSOCK V3.0 3\r\n{}\r\n",
        b"TWILSOCK V3.0 2\r\n[]\r\n",
        b"TWILSOCK V3.0 2\r\n{x\r\n",
        b"TWILSOCK V3.0 2\r\n{}\r\nmore",
        b'TWILSOCK V3.0 18\r\n{"payload_size": 4}\r\nmor',
        "TWILSOCK V3.0 ²\r\n{}\r\n".encode(),
    ],
)
def test_what_is_no_frame_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(Malformed):
        unpack(data)


@given(st.binary(max_size=60))
def test_bytes_are_a_frame_or_malformed(data: bytes) -> None:
    for given_ in (data, b"TWILSOCK V3.0 " + data, b"TWILSOCK V3.0 2\r\n" + data):
        try:
            unpack(given_)
        except Malformed:
            continue


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, b"\x82\x00"),
        (125, b"\x82\x7d"),
        (126, b"\x82\x7e\x00\x7e"),
        (65_535, b"\x82\x7e\xff\xff"),
        (65_536, b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_a_message_is_as_rfc_6455_wants_it(size: int, head: bytes) -> None:
    assert message(b"x" * size) == head + b"x" * size


@pytest.mark.parametrize(
    ("key", "wanted", "found"),
    [
        ("CH" + "a" * 32 + ".channel", "document", Named("channel", "CH" + "a" * 32)),
        ("CH" + "A" * 32 + ".messages", "list", Named("messages", "CH" + "a" * 32)),
        ("MP" + "a" * 32, "map", Named(ROSTER, "CH" + "a" * 32)),
        ("MC" + "a" * 32, "map", Named(MINE, "US" + "a" * 32)),
        ("bob.info", "map", Named(INFO, "bob", by_identity=True)),
        ("b.info.info", "map", Named(INFO, "b.info", by_identity=True)),
        ("bob.info", "list", None),
        ("MP" + "g" * 32, "map", None),
        ("bob.channel", "document", None),
    ],
)
def test_entities_are_known_by_sid_and_by_name(key: str, wanted: str, found: Named | None) -> None:
    assert entities.named(key, wanted) == found


def test_events_of_one_kind_share_a_frame_and_keep_their_order() -> None:
    sid = "CH" + "a" * 32

    def one(number: int, what: str) -> Event:
        kind: Kind = ROSTER
        return Event(kind, sid, sid, number, what, f"MB{number}", {}, "")

    happened = [one(1, ADDED), one(2, ADDED), one(3, REMOVED), one(4, ADDED)]
    assert [last for last, _ in events.word(happened, live=True)] == [2, 3, 4]
    many = [one(number, ADDED) for number in range(1, 121)]
    assert [last for last, _ in events.word(many, live=True)] == [50, 100, 120]


def test_names_go_in_pieces_that_postgresql_takes() -> None:
    names = {f"IS{'a' * 32}/{'é' * 200}{number}" for number in range(300)}
    said = payloads(names, set())
    assert len(said) > 10
    assert max(len(one.encode()) for one in said) < 8000
