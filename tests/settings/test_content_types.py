"""Each type of a content template has its fields, lengths and numbers."""

from __future__ import annotations

from typing import Any

import pytest

from app.settings.content_types import (
    BadContent,
    check_language,
    check_samples,
    check_types,
    placeholders,
)

URL = {"type": "URL", "title": "Go", "url": "https://x.example/{{ 1 }}"}
CALL = {"type": "PHONE_NUMBER", "title": "Call", "phone": "+15550001111"}
CODE = {"type": "COPY_CODE", "title": "Copy", "code": "X1"}
ITEM = {"id": "a", "item": "Tea"}


def of(kind: str, **fields: Any) -> dict[str, Any]:
    return {f"twilio/{kind}": fields}


def reply(count: int, **more: Any) -> dict[str, Any]:
    return of("quick-reply", body="x", actions=[{"title": "Yes", **more}] * count)


GOOD = [
    of("text", body="x" * 1600),
    of("media", media=["https://m.example/a.png"] * 10),
    of("media", body="", media=["https://m.example/{{1}}.png"]),
    of("location", latitude=-90, longitude=180.0, label="x", id="i", address="a"),
    reply(10, id="i" * 200, type="QUICK_REPLY"),
    of("quick-reply", body="x" * 1024, actions=[{"title": "t" * 20}]),
    of("call-to-action", body="x" * 640, actions=[URL, URL, CALL, CODE]),
    of("call-to-action", body="x", actions=[{"type": "VOICE_CALL", "title": "t" * 25}]),
    of("list-picker", body="x" * 1024, button="b" * 20, items=[ITEM] * 10),
    of("list-picker", body="x", button="b", items=[{**ITEM, "description": "d" * 72}]),
    of("card", title="t" * 1024, subtitle="s" * 60),
    of("card", body="x", media=["https://m.example/a.png"]),
    of("card", title="x", actions=[{**URL, "webview_size": "TALL"}, CALL]),
    of("carousel", body="x", cards=[{"title": "anything", "media": None}]),
    {"whatsapp/authentication": {"actions": [{"type": "COPY_CODE", "copy_code_text": "c"}]}},
]


@pytest.mark.parametrize("types", GOOD)
def test_what_fits_is_kept(types: dict[str, Any]) -> None:
    assert set(check_types(types)) == set(types)


BAD: list[tuple[str, Any, int]] = [
    ("types", {}, 92001),
    ("types", None, 20001),
    ("types", [], 20001),
    ("pigeon", {"twilio/pigeon": {}}, 92008),
    ("body is missing", of("text"), 20001),
    ("twilio/text.body", of("text", body=""), 20001),
    ("twilio/text.body", of("text", body="x" * 1601), 20001),
    ("twilio/text.body", of("text", body="a\x00b"), 20001),
    ("no field 'bdoy'", of("text", body="x", bdoy="y"), 20001),
    ("twilio/media.body", of("media", body="x" * 1601, media=["https://m"]), 20001),
    ("media is missing", of("media", body="x"), 20001),
    ("twilio/media.media", of("media", media=[]), 20001),
    ("twilio/media.media", of("media", media=["https://m.example/a"] * 11), 20001),
    ("media[0]", of("media", media=["ftp://m.example/a"]), 20001),
    ("latitude", of("location", latitude=91, longitude=0), 20001),
    ("latitude", of("location", latitude=True, longitude=0), 20001),
    ("longitude", of("location", latitude=0, longitude="x"), 20001),
    ("longitude is missing", of("location", latitude=0), 20001),
    ("actions", reply(11), 20001),
    ("actions", reply(0), 20001),
    ("actions[0].title", reply(1, title="t" * 21), 20001),
    ("actions[0].id", reply(1, id="i" * 201), 20001),
    ("actions[0].type", reply(1, type="URL"), 20001),
    ("body", of("quick-reply", body="x" * 1025, actions=[{"title": "t"}]), 20001),
    ("body", of("call-to-action", body="x" * 641, actions=[URL]), 20001),
    ("more than 2 of type URL", of("call-to-action", body="x", actions=[URL] * 3), 20001),
    ("more than 1 of type PHONE", of("call-to-action", body="x", actions=[CALL] * 2), 20001),
    ("more than 1 of type COPY", of("call-to-action", body="x", actions=[CODE] * 2), 20001),
    (
        "actions[0].url is missing",
        of("call-to-action", body="x", actions=[{**URL, "url": None}]),
        20001,
    ),
    (
        "actions[0].title",
        of("call-to-action", body="x", actions=[{**CALL, "title": "t" * 26}]),
        20001,
    ),
    ("actions[0].type", of("call-to-action", body="x", actions=[{**CALL, "type": "FAX"}]), 20001),
    ("body", of("list-picker", body="x" * 1025, button="b", items=[ITEM]), 20001),
    ("button", of("list-picker", body="x", button="b" * 21, items=[ITEM]), 20001),
    ("items", of("list-picker", body="x", button="b", items=[ITEM] * 11), 20001),
    (
        "items[0].item",
        of("list-picker", body="x", button="b", items=[{**ITEM, "item": "x" * 25}]),
        20001,
    ),
    (
        "items[0].id",
        of("list-picker", body="x", button="b", items=[{**ITEM, "id": "x" * 201}]),
        20001,
    ),
    (
        "items[0].description",
        of("list-picker", body="x", button="b", items=[{**ITEM, "description": "x" * 73}]),
        20001,
    ),
    ("one more field", of("card", title="x"), 20001),
    ("title or body", of("card", subtitle="x", media=["https://m.example/a"]), 20001),
    ("title", of("card", title="x" * 1025, subtitle="x"), 20001),
    ("subtitle", of("card", title="x", subtitle="x" * 61), 20001),
    ("more than 2 of type URL", of("card", title="x", actions=[URL] * 3), 20001),
    ("webview_size", of("card", title="x", actions=[{**URL, "webview_size": "HUGE"}]), 20001),
    ("should be an object", {"twilio/text": "x"}, 20001),
    ("not text", of("carousel", body="\x00"), 20001),
    (
        "more than 100 variables",
        of("text", body="".join(f"{{{{{n}}}}}" for n in range(101))),
        92002,
    ),
]


@pytest.mark.parametrize(("said", "types", "code"), BAD)
def test_what_does_not_fit_is_named(said: str, types: Any, code: int) -> None:
    with pytest.raises(BadContent) as error:
        check_types(types)
    assert (error.value.code, said in error.value.message) == (code, True), error.value.message


def test_a_type_that_is_kept_as_it_comes_has_a_depth() -> None:
    deep: Any = "x"
    for _ in range(2000):
        deep = [deep]
    with pytest.raises(BadContent, match="nested too deeply"):
        check_types({"twilio/carousel": {"cards": deep}})


def test_what_is_null_was_not_sent() -> None:
    sent = {
        "twilio/text": {"body": "x"},
        "twilio/media": None,
        "twilio/card": {"title": "t", "subtitle": "s", "media": None},
    }
    kept = {"twilio/text": {"body": "x"}, "twilio/card": {"title": "t", "subtitle": "s"}}
    assert check_types(sent) == kept


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ([], 92007),
        ({"a b": "x"}, 92007),
        ({"x" * 17: "x"}, 92007),
        ({"1": 5}, 92007),
        ({"1": "x" * 1601}, 92007),
        ({"1": "\x00"}, 92007),
        ({str(n): "x" for n in range(101)}, 92002),
    ],
)
def test_samples_have_limits(given: Any, code: int) -> None:
    with pytest.raises(BadContent) as error:
        check_samples(given)
    assert error.value.code == code


@pytest.mark.parametrize(
    ("given", "code"), [(None, 92003), ("", 92003), ("english", 92004), (5, 92004), ("e", 92004)]
)
def test_a_language_is_needed_and_is_a_code(given: Any, code: int) -> None:
    with pytest.raises(BadContent) as error:
        check_language(given)
    assert error.value.code == code


@pytest.mark.parametrize("language", ["en", "pt_BR", "zh-Hans", "fil"])
def test_languages_are_taken(language: str) -> None:
    assert check_language(language) == language


def test_placeholders_are_found_everywhere() -> None:
    found = placeholders({"a": "{{1}} {{ two }}", "b": [{"c": "{{3}}{{x y}}"}], "d": 5})
    assert list(found) == ["1", "two", "3"]
