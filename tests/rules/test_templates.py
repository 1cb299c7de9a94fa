"""What a content template becomes: its variables, its words, the type that each channel gets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.channels.templates import RISING, as_text
from app.errors import Invalid
from app.model.traffic import ContentTemplate, MediaPart, Member
from app.rules.content import Deliver, Fail
from app.rules.fanout import plan
from app.rules.templates import body_of, check_supported, check_variables, content_of, fitted
from app.settings.content_types import check_types
from app.settings.models import LimitSettings

LIMITS = LimitSettings()
PNG = "https://m.example/a.png"
TYPES: dict[str, dict[str, Any]] = {
    "twilio/text": {"body": "Hi {{1}}."},
    "twilio/media": {"body": "Look, {{1}}.", "media": [PNG]},
    "twilio/location": {"latitude": 52.5, "longitude": 13.4, "label": "Us", "address": "Main St"},
    "twilio/quick-reply": {
        "body": "Well, {{1}}?",
        "actions": [{"title": "Yes", "id": "y"}, {"title": "No", "id": "n"}],
    },
    "twilio/call-to-action": {
        "body": "Call, {{1}}.",
        "actions": [{"type": "URL", "title": "Site", "url": "https://x.example/{{2}}"}],
    },
    "twilio/list-picker": {
        "body": "Choose, {{1}}.",
        "button": "Options",
        "items": [{"id": "a", "item": "Tea", "description": "hot"}, {"id": "b", "item": "Water"}],
    },
    "twilio/card": {"title": "Card, {{1}}.", "subtitle": "small", "media": [PNG]},
}
ALONE = {kind: {kind: fields} for kind, fields in TYPES.items()}


def made(types: Mapping[str, Any], **more: Any) -> ContentTemplate:
    return ContentTemplate(
        **{
            "sid": "HX1",
            "language": "en",
            "types": check_types(types),
            "samples": {"1": "Ann", "2": "s"},
            **more,
        }
    )


def got(channel: str, template: ContentTemplate, **more: Any) -> Deliver | Fail:
    return fitted(channel, "stored", (), "twilio", template, **more)


# channel -> the types that it shows, one by one; every other type arrives in words
SHOWN = {
    "whatsapp": set(TYPES),
    "messenger": {
        *("twilio/text", "twilio/media", "twilio/quick-reply", "twilio/call-to-action"),
        "twilio/card",
    },
    "sms": set(),
    "email": set(),
}


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("channel", SHOWN)
def test_a_type_is_shown_where_the_channel_can_and_said_in_words_elsewhere(
    channel: str, kind: str
) -> None:
    types = ALONE[kind]
    fitting = got(channel, made(types))
    assert isinstance(fitting, Deliver)
    shown = fitting.template.type if fitting.template else None
    assert shown == (kind if kind in SHOWN[channel] else None)
    if (channel, kind) == ("messenger", "twilio/media"):  # a file carries no caption there
        assert (fitting.body, fitting.dropped) == (None, "body")
        return
    plain = kind in ("twilio/text", "twilio/media")
    assert (fitting.dropped is None) == (plain or kind in SHOWN[channel])
    assert fitting.body == as_text(kind, got_fields(kind))


def got_fields(kind: str) -> Any:
    filled = json.dumps(TYPES[kind]).replace("{{1}}", "Ann").replace("{{2}}", "s")
    return json.loads(filled)


@pytest.mark.parametrize("count", range(1, len(RISING) + 1))
def test_whatsapp_gets_the_richest_of_several(count: int) -> None:
    fitting = got("whatsapp", made({kind: TYPES[kind] for kind in RISING[:count]}))
    assert isinstance(fitting, Deliver)
    assert fitting.template is not None
    assert fitting.template.type == RISING[count - 1]


def test_sms_gets_the_text_of_several_and_mms_the_file() -> None:
    rest = {kind: TYPES[kind] for kind in TYPES if kind != "twilio/media"}
    assert got("sms", made(rest)) == Deliver("sms", "Hi Ann.")
    photo = MediaPart(PNG, "image/png")
    assert got("sms", made(TYPES)) == Deliver("mms", "Look, Ann.", (photo,))


WORDS = [
    ("twilio/location", "Us\nMain St\n52.5, 13.4"),
    ("twilio/quick-reply", "Well, Ann?\n- Yes\n- No"),
    ("twilio/call-to-action", "Call, Ann.\nSite: https://x.example/s"),
    ("twilio/list-picker", "Choose, Ann.\n- Tea: hot\n- Water"),
]


@pytest.mark.parametrize(("kind", "words"), WORDS)
def test_what_sms_cannot_show_arrives_in_words_and_the_receipt_says_so(
    kind: str, words: str
) -> None:
    expected = Deliver("sms", words, (), f"{kind} (sent as text)")
    assert got("sms", made(ALONE[kind])) == expected


def test_a_card_on_sms_is_words_and_its_picture() -> None:
    fitting = got("sms", made(ALONE["twilio/card"]))
    photo = MediaPart(PNG, "image/png")
    dropped = "twilio/card (sent as text)"
    assert fitting == Deliver("mms", "Card, Ann.\nsmall", (photo,), dropped)


def test_a_mail_has_the_text_of_several_beside_the_file() -> None:
    rest = {kind: TYPES[kind] for kind in TYPES if kind != "twilio/media"}
    assert got("email", made(rest)) == Deliver("email", "Hi Ann.")
    photo = MediaPart(PNG, "image/png")
    assert got("email", made(TYPES)) == Deliver("email", "Look, Ann.", (photo,))


@pytest.mark.parametrize(("kind", "words"), WORDS)
def test_what_a_mail_cannot_show_is_in_words(kind: str, words: str) -> None:
    assert got("email", made(ALONE[kind])) == Deliver("email", words, (), f"{kind} (sent as text)")


def buttons(*kinds: str) -> list[dict[str, str]]:
    leads = {"URL": {"url": "https://x.example"}, "PHONE_NUMBER": {"phone": "+15550001111"}}
    leads["COPY_CODE"] = {"code": "X1"}
    return [{"type": kind, "title": kind[:20], **leads.get(kind, {})} for kind in kinds]


@pytest.mark.parametrize(
    ("kinds", "shown"),
    [
        (("URL", "PHONE_NUMBER", "QUICK_REPLY"), True),
        (("URL", "URL", "PHONE_NUMBER", "QUICK_REPLY"), False),
        (("COPY_CODE",), False),
        (("VOICE_CALL",), False),
    ],
)
def test_messenger_shows_cards_with_up_to_three_buttons_that_it_knows(
    kinds: tuple[str, ...], shown: bool
) -> None:
    fitting = got("messenger", made({"twilio/card": {"title": "T", "actions": buttons(*kinds)}}))
    assert isinstance(fitting, Deliver)
    assert (fitting.template is not None) == shown


@pytest.mark.parametrize("channel", ["chat", "fax"])
def test_a_channel_that_takes_no_templates_fails(channel: str) -> None:
    fitting = got(channel, made(TYPES))
    assert isinstance(fitting, Fail)
    assert fitting.code == 216602


def test_a_message_without_a_template_is_fitted_as_ever() -> None:
    assert fitted("sms", "hi", (), "twilio") == Deliver("sms", "hi")


# label, types, approval, in session -> type and whether as the approved template, or the code
MORE_THAN_THREE = {"body": "Hi", "actions": [{"title": str(n)} for n in range(4)]}
CALLING = {"body": "Hi", "actions": buttons("URL", "PHONE_NUMBER")}
WHATSAPP: list[tuple[str, Any, str, bool | None, Any]] = [
    ("a text in session", ALONE["twilio/text"], "unsubmitted", True, ("twilio/text", False)),
    ("a text, nobody knows", ALONE["twilio/text"], "unsubmitted", None, ("twilio/text", False)),
    ("a text outside", ALONE["twilio/text"], "unsubmitted", False, 63016),
    ("an approved text outside", ALONE["twilio/text"], "approved", False, ("twilio/text", True)),
    ("approved, nobody knows", ALONE["twilio/text"], "approved", None, ("twilio/text", True)),
    ("approved, in session", ALONE["twilio/text"], "approved", True, ("twilio/text", False)),
    ("pending, outside", ALONE["twilio/text"], "pending", False, 63016),
    ("rejected, outside", ALONE["twilio/text"], "rejected", False, 63040),
    ("paused, outside", ALONE["twilio/text"], "paused", False, 63041),
    ("disabled, outside", ALONE["twilio/text"], "disabled", False, 63042),
    ("a file in session", ALONE["twilio/media"], "unsubmitted", True, ("twilio/media", False)),
    ("a file outside", ALONE["twilio/media"], "unsubmitted", False, 63016),
    (
        "a place in session",
        ALONE["twilio/location"],
        "unsubmitted",
        True,
        ("twilio/location", False),
    ),
    ("a place outside", ALONE["twilio/location"], "approved", False, 63016),
    (
        "a list in session",
        ALONE["twilio/list-picker"],
        "approved",
        None,
        ("twilio/list-picker", False),
    ),
    ("a list outside", ALONE["twilio/list-picker"], "approved", False, 63016),
    (
        "replies in session",
        ALONE["twilio/quick-reply"],
        "unsubmitted",
        True,
        ("twilio/quick-reply", False),
    ),
    ("four replies", {"twilio/quick-reply": MORE_THAN_THREE}, "unsubmitted", True, 63021),
    (
        "four approved",
        {"twilio/quick-reply": MORE_THAN_THREE},
        "approved",
        True,
        ("twilio/quick-reply", True),
    ),
    (
        "a link in session",
        ALONE["twilio/call-to-action"],
        "unsubmitted",
        True,
        ("twilio/call-to-action", False),
    ),
    ("a call in session", {"twilio/call-to-action": CALLING}, "unsubmitted", True, 63021),
    (
        "an approved call",
        {"twilio/call-to-action": CALLING},
        "approved",
        True,
        ("twilio/call-to-action", True),
    ),
    ("a paused call", {"twilio/call-to-action": CALLING}, "paused", True, 63041),
    ("a card of words", ALONE["twilio/card"], "unsubmitted", True, ("twilio/card", False)),
    (
        "a card with a call",
        {"twilio/card": {"title": "T", "actions": buttons("PHONE_NUMBER")}},
        "unsubmitted",
        True,
        63021,
    ),
    (
        "a card with two links",
        {"twilio/card": {"title": "T", "actions": buttons("URL", "URL")}},
        "unsubmitted",
        True,
        63021,
    ),
    (
        "a card with replies",
        {"twilio/card": {"title": "T", "actions": buttons("QUICK_REPLY")}},
        "unsubmitted",
        True,
        ("twilio/card", False),
    ),
    ("a card outside", ALONE["twilio/card"], "unsubmitted", False, 63016),
    (
        "a list beside what was approved, outside",
        {**ALONE["twilio/list-picker"], **ALONE["twilio/quick-reply"]},
        "approved",
        False,
        ("twilio/quick-reply", True),
    ),
    (
        "a call that may not go, beside a text that may",
        {"twilio/call-to-action": CALLING, **ALONE["twilio/text"]},
        "unsubmitted",
        True,
        ("twilio/text", False),
    ),
]


@pytest.mark.parametrize(
    ("types", "approval", "in_session", "expected"),
    [case[1:] for case in WHATSAPP],
    ids=[case[0] for case in WHATSAPP],
)
def test_whatsapp_lets_a_type_go(
    types: Any, approval: str, in_session: bool | None, expected: Any
) -> None:
    fitting = got("whatsapp", made(types, approval=approval), in_session=in_session)
    if isinstance(expected, int):
        assert isinstance(fitting, Fail)
        assert fitting.code == expected
        return
    assert isinstance(fitting, Deliver)
    assert fitting.template is not None
    assert (fitting.template.type, fitting.template.approved) == expected


def test_only_the_type_that_was_approved_is() -> None:
    types = {**ALONE["twilio/quick-reply"], **ALONE["twilio/text"]}
    template = made(types, approval="approved", approved_type="twilio/text")
    fitting = got("whatsapp", template, in_session=False)
    assert isinstance(fitting, Deliver)
    assert fitting.template is not None
    assert (fitting.template.type, fitting.template.approved) == ("twilio/text", True)


@pytest.mark.parametrize(
    ("value", "code"),
    [("", 63028), ("a\nb", 63028), ("a\tb", 63028), ("a     b", 63028), ("a    b", None)],
)
def test_an_approved_template_takes_only_some_values(value: str, code: int | None) -> None:
    template = made(ALONE["twilio/text"], approval="approved", samples={}, variables={"1": value})
    fitting = got("whatsapp", template, in_session=False)
    assert (fitting.code if isinstance(fitting, Fail) else None) == code


def test_an_approved_template_needs_every_value_and_others_stay_empty() -> None:
    bare = made(ALONE["twilio/text"], samples={})
    free = got("whatsapp", bare, in_session=True)
    assert isinstance(free, Deliver)
    assert free.body == "Hi ."
    approved = got("whatsapp", replace(bare, approval="approved"), in_session=False)
    assert isinstance(approved, Fail)
    assert approved.code == 63028


LENGTHS = [
    ("whatsapp", "twilio/text", 1600, 21617),
    ("sms", "twilio/text", 1600, 21617),
    ("whatsapp", "twilio/media", 1600, 63021),
    ("whatsapp", "twilio/quick-reply", 1024, 63021),
    ("messenger", "twilio/quick-reply", 1024, 63021),
    ("whatsapp", "twilio/call-to-action", 640, 63021),
    ("whatsapp", "twilio/list-picker", 1024, 63021),
    ("whatsapp", "twilio/card", 1024, 63021),
]


@pytest.mark.parametrize(("channel", "kind", "longest", "code"), LENGTHS)
def test_a_text_that_its_variables_make_too_long_fails(
    channel: str, kind: str, longest: int, code: int
) -> None:
    field = "title" if kind == "twilio/card" else "body"
    types = {kind: {**TYPES[kind], field: "{{1}}"}}
    fits, over = ({"1": "x" * count} for count in (longest, longest + 1))
    assert isinstance(got(channel, made(types, variables=fits)), Deliver)
    fitting = got(channel, made(types, variables=over))
    assert isinstance(fitting, Fail)
    assert fitting.code == code


def test_an_approved_text_has_1024_characters_with_its_variables() -> None:
    types = {"twilio/text": {"body": "{{1}}"}}
    for count, code in ((1024, None), (1025, 63021)):
        template = made(types, approval="approved", variables={"1": "x" * count})
        fitting = got("whatsapp", template, in_session=False)
        assert (fitting.code if isinstance(fitting, Fail) else None) == code


def test_the_message_says_what_its_richest_type_says() -> None:
    assert body_of(made(TYPES)) == "Card, Ann."
    assert body_of(made(ALONE["twilio/quick-reply"], variables={"1": "Bob"})) == "Well, Bob?"
    assert body_of(made(ALONE["twilio/location"])) == "Us"
    assert body_of(made({"twilio/media": {"media": [PNG]}})) is None


@pytest.mark.parametrize("kind", TYPES)
def test_sdks_read_what_the_richest_type_says(kind: str) -> None:
    types = {"twilio/text": TYPES["twilio/text"], kind: TYPES[kind]}
    media_type, content = content_of(made(types, variables={"1": "Bob", "3": "of no use"}))
    assert media_type == f"application/x-vnd.com.twilio.rich.{kind.replace('/', '.')}"
    said = json.loads(content or "")
    filled = json.dumps(TYPES[kind]).replace("{{1}}", "Bob").replace("{{2}}", "s")
    assert said["data"] == check_types({kind: json.loads(filled)})[kind]
    used = {"1": "Bob"} if "Bob" in filled else {}
    assert said["variables"] == used | ({"2": "s"} if kind == "twilio/call-to-action" else {})


def test_a_message_of_no_template_has_no_content() -> None:
    assert content_of(None) == (None, None)


@pytest.mark.parametrize("text", ["{{1}}", "{{ 1 }}", "{{1 }}"])
def test_a_placeholder_may_have_spaces(text: str) -> None:
    assert body_of(made({"twilio/text": {"body": text}}, variables={"1": "x{{2}}"})) == "x{{2}}"


@pytest.mark.parametrize("kind", ["twilio/carousel", "whatsapp/authentication", "twilio/flows"])
def test_a_template_of_other_types_alone_is_not_taken(kind: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_supported(made({kind: {"body": "x"}}))
    assert refused.value.code == 50542
    check_supported(made({kind: {"body": "x"}, **ALONE["twilio/text"]}))


VARIABLES = [
    ("[]", 50527),
    ("x", 50527),
    ('{"1": 5}', 50527),
    ('{"1": null}', 50527),
    ('{"1": "\\u0000"}', 50527),
    (json.dumps({"k" * 17: "v"}), 50540),
    (json.dumps({"k": "v" * 257}), 50541),
    (json.dumps({str(n): "v" for n in range(101)}), 50529),
    ('{"1": "' + " " * 27_801 + '"}', 50529),
]


@pytest.mark.parametrize(("text", "code"), VARIABLES)
def test_variables_have_limits(text: str, code: int) -> None:
    with pytest.raises(Invalid) as refused:
        check_variables(text, LIMITS)
    assert refused.value.code == code


def test_as_many_variables_as_may_be_are_taken() -> None:
    most = {f"{n:016}": "v" * 256 for n in range(100)}
    text = json.dumps(most, separators=(",", ":"))
    assert check_variables(text, LIMITS) == most
    assert check_variables("{}", LIMITS) == {}


def test_limits_of_variables_can_be_set() -> None:
    limits = LimitSettings(content_variable_value_chars_max=1600)
    assert check_variables(json.dumps({"1": "v" * 1600}), limits)


def test_each_pair_has_its_own_session() -> None:
    ours = "whatsapp:+15005550010"
    ann = Member("MB1", None, "whatsapp:+15551230001", ours, "whatsapp")
    bob = Member("MB2", None, "whatsapp:+15551230002", ours, "whatsapp")
    eve = Member("MB3", None, "whatsapp:+15551230003", ours, "whatsapp")
    template = made(ALONE["twilio/text"])
    sessions = {"MB1": True, "MB2": False}
    planned = plan([ann, bob, eve], None, "x", (), "twilio", template, sessions)
    assert [isinstance(one.content, Deliver) for one in planned] == [True, False, True]


@settings(deadline=None)
@given(
    st.sampled_from(["sms", "mms", "whatsapp", "messenger", "chat", "fax"]),
    st.sets(st.sampled_from(sorted(TYPES)), min_size=1),
    st.sampled_from(["unsubmitted", "approved", "paused"]),
    st.sampled_from([True, False, None]),
    st.dictionaries(st.sampled_from("12"), st.text(max_size=300)),
)
def test_every_recipient_gets_something_or_a_reason(
    channel: str, kinds: set[str], approval: str, in_session: bool | None, variables: Any
) -> None:
    template = made({k: TYPES[k] for k in kinds}, approval=approval, variables=variables)
    fitting = got(channel, template, in_session=in_session)
    if isinstance(fitting, Fail):
        assert fitting.code
        assert fitting.reason
        return
    assert fitting.body or fitting.media
    if fitting.template is not None:
        assert fitting.template.type in kinds
        assert fitting.template.approved <= (approval == "approved")
    if channel == "whatsapp" and in_session is False:
        assert fitting.template is not None
        assert fitting.template.approved
