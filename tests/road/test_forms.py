"""The forms that carriers post, as a door reads them."""

from __future__ import annotations

import asyncio
from unittest.mock import Mock
from urllib.parse import quote, urlencode

import pytest
from aiohttp import StreamReader
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from app.inbound import requests
from app.settings.models import ServerSettings

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PAIRS = st.lists(st.tuples(WORDS.filter(bool), WORDS), min_size=1, max_size=8)


async def read(body: bytes) -> list[tuple[str, str]]:
    """The fields of this form."""
    content = StreamReader(Mock(), 2**16, loop=asyncio.get_running_loop())
    content.feed_data(body)
    content.feed_eof()
    headers = {"Content-Type": requests.FORM, "Content-Length": str(len(body))}
    request = make_mocked_request("POST", "/carriers/lab/inbound", headers, payload=content)
    found = await requests.read(request, ServerSettings(form_fields_max=10), "https://x.test")
    return list(found.form.items())


@given(PAIRS)
async def test_whatever_is_posted_is_read(pairs: list[tuple[str, str]]) -> None:
    assert await read(urlencode(pairs).encode()) == pairs
    assert await read(urlencode(pairs, quote_via=quote).encode()) == pairs


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"Body=100%&a=%zz&b=%4", [("Body", "100%"), ("a", "%zz"), ("b", "%4")]),
        (b"To=%2B1500+5&To=%2b1&x=a+b", [("To", "+1500 5"), ("To", "+1"), ("x", "a b")]),
        ("Body=é%C3%A9&ä".encode(), [("Body", "éé"), ("ä", "")]),
        (b"&&a=1=2&=3&", [("a", "1=2"), ("", "3")]),
        (b"Body=%00%3D%26", [("Body", "\x00=&")]),
    ],
)
async def test_odd_ones_are_read_as_browsers_mean_them(
    body: bytes, fields: list[tuple[str, str]]
) -> None:
    assert await read(body) == fields


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"Body=%E4", "the form is not UTF-8"),
        (b"Body=\xe4", "the form is not UTF-8"),
        ("Body=%C3é".encode(), "the form is not UTF-8"),
        (b"&".join([b"a=1"] * 11), "the form has more than 10 fields"),
    ],
)
async def test_what_cannot_be_read_is_refused(body: bytes, said: str) -> None:
    with pytest.raises(requests.BadRequest, match=said) as refused:
        await read(body)
    assert refused.value.status == 400
