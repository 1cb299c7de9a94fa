"""Whatever a carrier's request says, its doors answer: never with an error of ours.

Signed requests as the provider makes them, with anything in the place of some of their values, go
through the doors of a running service and, where they still are messages, down the whole road.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, MutableMapping, MutableSequence
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.observe import Failed, Observation, Observe
from tests.carriers import cases
from tests.carriers.cases import FORM, PUBLIC_URL, Case, Wire
from tests.carriers.meta_case import MetaCase
from tests.support.house import House, house
from tests.support.settings import SMS, WHATSAPP

RECEIPT = "DY" + "0f" * 16
IMAGE = "https://media.example.com/a.png"
SENDERS = [
    {"address": address, "carrier": "lab", "messaging_service": "default"}
    for address in (SMS, WHATSAPP, "messenger:108732")
]

texts = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            "\x00",
            "a\x00b",
            "\ud800",
            "x" * 40_000,
            "+",
            "+1",
            "+15558675310",
            "whatsapp:",
            "messenger:../..",
            "DY" + "0" * 32 + ".99",
            "9" * 400,
            "-1",
            "1e999",
            "2026-13-45T99:00:00Z",
            "http://[::1",
            "https://\x00/",
            "file:///etc/passwd",
            "STOP",
            "{body}",
        ]
    ),
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 2**31, 2**63, 2**64, 10**400, -(10**30), 1.5, 1e308]),
    texts,
)
values = st.recursive(
    scalars,
    lambda some: st.one_of(
        st.lists(some, max_size=4), st.dictionaries(st.text(max_size=6), some, max_size=4)
    ),
    max_leaves=8,
)


def seeds(case: Case) -> list[Wire]:
    """What the provider says when it is itself."""
    found = [
        case.inbound(case.new_id(1)),
        case.inbound(case.new_id(2), body="", media=(IMAGE, IMAGE)),
        case.status(case.new_id(3), receipt_sid=RECEIPT),
        case.status(case.new_id(4), status="undelivered", error_code=case.failure[0]),
    ]
    if isinstance(case, MetaCase):
        event = {
            "sender": {"id": "5678"},
            "recipient": {"id": "108732"},
            "timestamp": 1739321024000,
        }
        said = {
            "mid": "m.1",
            "text": "hi",
            "attachments": [{"type": "image", "payload": {"url": IMAGE}}],
        }
        echo = {"mid": "m.2", "is_echo": True, "metadata": RECEIPT}
        events = [
            event | {"message": said | {"quick_reply": {"payload": "x"}}},
            event | {"message": echo},
            event | {"postback": {"title": "Yes", "payload": "y", "mid": "m.3"}},
            event | {"delivery": {"mids": ["m.4"], "watermark": 1}},
        ]
        events.append(event | {"read": {"mid": "m.5"}})
        found += [
            case.document(about, [{"id": "108732", "messaging": events}])
            for about in ("page", "instagram")
        ]
        decided = {
            "event": "APPROVED",
            "message_template_name": "hello",
            "message_template_language": "en_US",
        }
        change = {"field": "message_template_status_update", "value": decided}
        found.append(case.document("whatsapp_business_account", [{"id": "1", "changes": [change]}]))
    return found


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a document: its holder, and its key there."""
    named: Any = ()
    if isinstance(value, dict):
        named = list(value)
    elif isinstance(value, list):
        named = range(len(value))
    for key in named:
        yield value, key
        yield from places(value[key])


def changed(data: st.DataObject, body: bytes, kind: str) -> bytes:
    """The same with something else in some of its places, or without them."""
    if kind == FORM:
        pairs = parse_qsl(body.decode(), keep_blank_values=True)
        for _ in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(0, len(pairs) - 1))
            pairs[at] = (pairs[at][0], data.draw(texts))
        return urlencode(pairs, errors="surrogatepass").encode()
    if kind.startswith("multipart/"):
        return _torn(data, body)
    said = json.loads(body)
    for _ in range(data.draw(st.integers(1, 3))):
        found = list(places(said))
        if not found:
            break
        holder, key = found[data.draw(st.integers(0, len(found) - 1))]
        _change(data, holder, key)
    return json.dumps(said).encode()


def _torn(data: st.DataObject, body: bytes) -> bytes:
    """The same with other bytes in some of its lines, or without them."""
    lines = body.split(b"\r\n")
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(lines) - 1))
        others = st.one_of(st.just(b""), st.sampled_from(lines), st.binary(max_size=80))
        lines[at] = data.draw(others)
    return b"\r\n".join(lines)


def _change(
    data: st.DataObject, holder: MutableMapping[Any, Any] | MutableSequence[Any], key: Any
) -> None:
    if data.draw(st.integers(0, 5)) == 0:
        del holder[key]
        return
    holder[key] = data.draw(values)


async def answered(one: House, wire: Wire) -> int:
    url = one.service.url + wire.target
    async with one.http.post(url, headers=wire.headers, data=BytesIO(wire.body)) as response:
        await response.read()
        return response.status


# The service's own tasks draw their jitter while an example is drawn in another thread.
@pytest.mark.filterwarnings("ignore:Do not use the .random. module")
@pytest.mark.parametrize("kind", sorted(cases.KINDS))
async def test_no_request_of_a_carrier_is_an_error_of_ours(dsn: str, kind: str) -> None:
    case, seen, observe = cases.case(kind), list[Observation](), Observe()
    observe.to(seen.append)
    sections = {
        "carriers": {"lab": {"kind": kind, **case.options}},
        "senders": SENDERS,
        "server": {"port": 0, "drain_s": 5, "public_url": PUBLIC_URL},
    }
    async with house(dsn, observe, **sections) as one:
        loop = asyncio.get_running_loop()
        wires = seeds(case)
        for wire in wires:
            assert await answered(one, wire) == 200

        @settings(
            max_examples=150,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(data=st.data())
        def fuzz(data: st.DataObject) -> None:
            wire = data.draw(st.sampled_from(wires))
            door = data.draw(st.sampled_from(["inbound", "status"]))
            made = case.signed(door, changed(data, wire.body, case.content_type))
            status = asyncio.run_coroutine_threadsafe(answered(one, made), loop).result(20)
            assert status in (200, 400, 403), (status, made.body)

        await asyncio.to_thread(fuzz)
        assert [str(each.error) for each in seen if isinstance(each, Failed)] == []
