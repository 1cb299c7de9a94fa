"""Templates of the generic carrier: what is filled in, what is left out, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.carriers.http_template import FILE, MESSAGE, check, read
from app.carriers.http_tree import NOTHING, files_max, grow, pairs, problems

VALUES = {"to": "+15551230001", "body": "Hi {to} & bye", "status_url": None, "secret.key": "k"}
FILES = [{"media.url": f"https://m/{n}", "media.type": "image/png"} for n in (1, 2)]


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain", "plain"),
        ("", ""),
        ("{to}", "+15551230001"),
        ("{ to }", "+15551230001"),
        ("to {to}!", "to +15551230001!"),
        ("{body}", "Hi {to} & bye"),
        ("Bearer {secret.key}", "Bearer k"),
        ("{{to}}", "{to}"),
        ("{{{to}}}", "{+15551230001}"),
        ("{to}{status_url}", "+15551230001"),
        ("{status_url}", None),
        ("see {status_url}", None),
    ],
)
def test_a_template_is_filled(template: str, text: str | None) -> None:
    assert read(template).fill(VALUES) == text


def test_what_a_value_holds_is_no_template() -> None:
    assert read("{body}").fill({"body": "{secret.key} {{x}}", "secret.key": "k"}) == (
        "{secret.key} {{x}}"
    )


@pytest.mark.parametrize("template", ["{", "}", "{to", "to}", "a { b", "{to}}", "{{to}"])
def test_a_brace_without_a_partner_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="single brace"):
        read(template)


@pytest.mark.parametrize(
    "template",
    [
        "{}",
        "{too}",
        "{secret.}",
        "{to.__class__}",
        "{0}",
        "{to!r}",
        "{to:>99999999}",
        "{body[0]}",
        "{self}",
    ],
)
def test_a_field_that_does_not_exist_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="field 1 of the template does not exist here"):
        check(template, MESSAGE)


def test_a_refusal_never_repeats_the_template() -> None:
    with pytest.raises(ValueError, match="did you mean") as refused:
        check("s3cret {bdy}", MESSAGE)
    assert "s3cret" not in str(refused.value)
    assert "bdy" not in str(refused.value)


@given(st.text())
def test_any_text_is_a_template_or_refused(text: str) -> None:
    try:
        template = check(text, MESSAGE)
    except ValueError:
        return
    template.fill(VALUES)


@given(st.text())
def test_a_text_with_doubled_braces_is_itself(text: str) -> None:
    escaped = text.replace("{", "{{").replace("}", "}}")
    assert read(escaped).fill({}) == text


@given(st.text(), st.text())
def test_values_come_through_untouched(one: str, other: str) -> None:
    filled = read("<{a}|{b}>").fill({"a": one, "b": other})
    assert filled == (f"<{one}|{other}>" if one or other else None)


TREES: list[tuple[str, Any, Any]] = [
    (
        "fields and constants",
        {"to": "{to}", "ttl": 5, "on": True},
        {"to": VALUES["to"], "ttl": 5, "on": True},
    ),
    ("an empty field is left out", {"to": "{to}", "cb": "{status_url}"}, {"to": VALUES["to"]}),
    ("what holds nothing else, too", {"a": {"cb": "{status_url}"}, "b": ["{status_url}"]}, NOTHING),
    ("an item for each file", {"m": ["{media.url}"]}, {"m": ["https://m/1", "https://m/2"]}),
    (
        "an object for each file, which may name the message",
        [{"u": "{media.url}", "to": "{to}"}],
        [{"u": f"https://m/{n}", "to": VALUES["to"]} for n in (1, 2)],
    ),
    (
        "the innermost list repeats",
        {"all": [{"to": "{to}", "m": ["{media.url}", "end"]}]},
        {"all": [{"to": VALUES["to"], "m": ["https://m/1", "https://m/2", "end"]}]},
    ),
    ("outside of lists it is the first", {"m": "{media.url}"}, {"m": "https://m/1"}),
]


@pytest.mark.parametrize(
    ("tree", "grown"), [row[1:] for row in TREES], ids=[row[0] for row in TREES]
)
def test_a_tree_grows(tree: Any, grown: Any) -> None:
    assert list(problems(tree, MESSAGE | FILE)) == []
    assert grow(tree, VALUES, FILES) == grown


def test_without_files_their_places_are_left_out() -> None:
    tree = {"to": "{to}", "m": [{"u": "{media.url}", "kind": "image"}], "first": "{media.url}"}
    assert grow(tree, VALUES, []) == {"to": VALUES["to"]}


@pytest.mark.parametrize(
    ("trees", "room"),
    [
        ([{"a": "{to}"}, None], 0),
        ([{"a": "{media.url}"}], 1),
        ([{"a": ["{media.url}"]}], None),
        ([{"a": ["{media.url}"]}, {"b": "{media.type}"}], 1),
    ],
)
def test_a_request_has_room_for_so_many_files(trees: list[Any], room: int | None) -> None:
    assert files_max(trees) == room


def test_a_form_repeats_the_name_of_a_list() -> None:
    form = {"to": "a", "m": ["b", "c"], "on": True, "n": 5}
    assert pairs(form) == [("to", "a"), ("m", "b"), ("m", "c"), ("on", "true"), ("n", "5")]


@pytest.mark.parametrize("empty", [None, {}, []])
def test_what_is_empty_is_pointed_at(empty: Any) -> None:
    ((steps, message),) = problems({"a": ["{to}", empty]}, MESSAGE)
    assert steps == ("a", 1)
    assert "in quotes" in message
