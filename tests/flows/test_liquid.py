"""Liquid in flows: variables, filters, and what hostile templates may not do."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.flows import liquid, machine
from app.flows.fuel import TEXT_MAX, Exceeded, Fuel
from tests.flows.flowing import EXECUTION, FLOW, FORM, NOW, begun, flow, rendered, say, trigger

WORDS = {"list": [3, 1, 2], "people": [{"name": "Ann"}, {"name": "Bo"}], "n": 7, "t": "a b"}


def made(template: str, context: dict[str, Any] | None = None) -> str:
    return liquid.render(template, WORDS if context is None else context, NOW, Fuel())


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{trigger.message.Body}}", "Hi"),
        ("{{trigger.message.From}}", "+15550100"),
        ("{{trigger.message.To}}", "+15550199"),
        ("{{trigger.message.ChannelSid}}", FORM["ConversationSid"]),
        ("{{trigger.message.InstanceSid}}", FORM["ChatServiceSid"]),
        ("{{trigger.conversation.ConversationSid}}", FORM["ConversationSid"]),
        ("{{contact.channel.address}}", "+15550100"),
        ("{{flow.channel.address}}", "+15550199"),
        ("{{flow.flow_sid}} {{flow.sid}}", f"{FLOW} {EXECUTION}"),
        ("a{{widgets.none.inbound.Body}}b{{nothing.at.all}}c", "abc"),
        ("plain { braces } and 100%", "plain { braces } and 100%"),
    ],
)
def test_a_message_that_begins_a_flow_gives_these_variables(template: str, text: str) -> None:
    assert rendered(template) == text


def test_a_request_gives_its_parameters_twice() -> None:
    body = "{{trigger.request.parameters.name}} {{flow.data.name}} {{trigger.request.to}}"
    made_ = flow(say("it", body), event="incomingRequest")
    asked = machine.begin(made_, trigger("incomingRequest", fields={"name": "Ann"})).ask
    assert getattr(asked, "body", None) == "Ann Ann +15550100"


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ 'now' | date: '%Y-%m-%d %H:%M' }}", "2026-03-04 15:30"),
        ("{{ 'now' | timezone: 'America/New_York' | date: '%H:%M %Z' }}", "10:30 EST"),
        ("{{ '2026-07-01' | date: '%d %B' }}", "01 July"),
        ("{{ '2026-07-01T12:00:00Z' | timezone: 'Europe/Paris' | date: '%H' }}", "14"),
        ("{{ 0 | date: '%Y' }}", "1970"),
        ("{{ 'now' | date: '%s' }}", "1772638200"),
        ("{{ 'next tuesday-ish' | date: '%Y' }}", "next tuesday-ish"),
        ("{{ nothing | date: '%Y' }}", ""),
        ("{{ people | to_json }}", '[{"name": "Ann"}, {"name": "Bo"}]'),
        ("{% assign a = '{\"k\": [1, 2]}' | from_json %}{{ a.k[1] }}", "2"),
        ("{{ 'no json' | from_json }}", ""),
        ("{{ list | sort | join: ',' }}", "1,2,3"),
        ("{{ people | map: 'name' | join: ' & ' }}", "Ann & Bo"),
        ("{{ t | upcase | replace: 'A', 'x' }}", "x B"),
        ("{{ '5' | plus: 2 }}", "7"),
        ("{{ n | divided_by: 2.0 }}", "3.5"),
        ("{{ t | url_encode }}", "a+b"),
        ("{{ nothing | default: 'x' }}", "x"),
        ("{% for p in people %}{{ forloop.index }}{{ p.name }} {% endfor %}", "1Ann 2Bo "),
        ("{% if n > 3 and t contains 'b' %}yes{% else %}no{% endif %}", "yes"),
        ("{{ 'YWI=' | base64_decode }}", "ab"),
        ("{{ people.size }} {{ list.first }}", "2 3"),
    ],
)
def test_filters_and_tags(template: str, text: str) -> None:
    assert made(template) == text


ARGUMENTS = {0: "", 1: ": 'a'", 2: ": 'a', 'b'"}


@pytest.mark.parametrize("name", sorted(liquid._ENVIRONMENT.filters))
@pytest.mark.parametrize("value", ["'a b'", "list", "people", "n", "nothing"])
def test_every_filter_gives_a_text_or_says_what_is_wrong(name: str, value: str) -> None:
    for arguments in ARGUMENTS.values():
        template = f"{{{{ {value} | {name}{arguments} }}}}"
        try:
            assert isinstance(made(template), str)
        except Exceeded as error:
            assert "Liquid" in str(error) or "zone" in str(error), error


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ x", "expected"),
        ("{% if %}", "missing"),
        ("{% for %}{% endfor %}", "missing"),
        ("{% nonsense %}", "unexpected tag"),
        ("{% include 'x' %}", "unexpected tag"),
        ("{% render 'x' %}", "unexpected tag"),
        ("{{ x | no_such }}", "no Liquid filter"),
        ("{{ x }}" + " " * liquid.TEMPLATE_MAX, "at most"),
        ("{% if a %}" * 40 + "{% endif %}" * 40, "nest"),
    ],
    ids=lambda text: text[:20],
)
def test_a_wrong_template_is_known_before_it_runs(template: str, said: str) -> None:
    assert said in (liquid.wrong(template) or "")


GROWING = (
    "{% assign a = 'aaaaaaaaaa' %}{% for i in (1..100) %}{% assign a = a | append: a %}{% endfor %}"
)
BIG = (
    "{% assign n = 9999999 %}{% for i in (1..100) %}{% assign n = n | times: n %}{% endfor %}{{n}}"
)
HOSTILE = [
    GROWING,
    BIG,
    "{% for i in (1..1000000000) %}x{% endfor %}",
    "{% for i in (1..1000) %}{% for j in (1..1000) %}{% endfor %}{% endfor %}",
    "{% for i in (1..1000) %}x{% endfor %}" * 800,
    "{% tablerow i in (1..100000000) %}x{% endtablerow %}",
    "{{ (1..1000000000) | join: 'x' }}",
    "{{ (1..1000000000) | sort }}",
    "{{ (1..1000000000) | size }}",
    "{{ long | replace: '', long }}",
    "{{ long | replace: 'x', long }}",
    "{{ many | join: long }}",
    "{{ long | split: '' }}",
    "{{ long }}" * 3,
    "{{ many | concat: many | concat: many }}",
    "{{ 'now' | date: '%999999999d' }}",
    "{{ 99999999999999999999 | date: '%Y' | append: long }}",
    "{{ long | append: long }}",
    "{% capture c %}{{ long }}{{ long }}{{ long }}{{ long }}{{ long }}{% endcapture %}",
    "{{ 'now' | timezone: '../../etc/passwd' }}",
    "{{ 1 | divided_by: 0 }}",
    "{% for i in (1..1000) %}" + "{% if long contains last %}{% endif %}" * 90 + "{% endfor %}",
    "{% for i in (1..1000) %}" + "{% if many == more %}{% endif %}" * 90 + "{% endfor %}",
    "{% for i in (1..1000) %}{{ many | uniq | size }}{% endfor %}",
    "{% cycle %}",
]


@pytest.mark.parametrize("template", HOSTILE, ids=lambda text: text[:40])
def test_hostile_templates_are_refused_in_time(template: str) -> None:
    began = time.perf_counter()
    with pytest.raises(Exceeded):
        many = [{"x": at} for at in range(900)]
        words = {"long": "x" * TEXT_MAX, "last": "x" * 300 + "y", "many": many, "more": [*many]}
        made(template, words)
    assert time.perf_counter() - began < 5


def test_an_execution_with_a_hostile_template_fails_and_says_where() -> None:
    ended = begun(say("it", GROWING)).ended
    assert ended is not None
    assert ended.reason == "failed"
    assert ended.error.startswith("it: ")


def test_nothing_of_the_machine_can_be_seen() -> None:
    seen = made(
        "{% assign k = '%00fuel' | url_decode %}{{ [k] }}{{ k.__class__ }}{{ list.__len__ }}"
    )
    assert seen == ""


@pytest.mark.parametrize(
    "opened", ["{{", "{%", "{{ ", "{{-", "{% #", "{% raw %}", "{% doc %}", "{{ a["]
)
def test_a_template_that_never_closes_is_refused_at_once(opened: str) -> None:
    began = time.perf_counter()
    for text in (opened * 3_000, opened + " " * 30_000, (opened + " " * 30 + "}}") * 900):
        assert liquid.wrong(text[:32_000]), text[:20]
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{% raw %}{{ a }} {{{% endraw %}!", "{{ a }} {{!"),
        ("{%- raw -%}{% x{%- endraw -%}", "{% x"),
        ("{% comment %}no{% endcomment %}yes", "yes"),
        ("{{ 'a { b' }}", "a { b"),
        ('{"a": {{ n }}, "b": {"c": 1}}', '{"a": 7, "b": {"c": 1}}'),
    ],
)
def test_braces_that_are_no_tags_stay(template: str, text: str) -> None:
    assert liquid.wrong(template) is None
    assert made(template) == text


PIECES = st.sampled_from(
    [
        *(
            "{{",
            "}}",
            "{%",
            "%}",
            "for",
            "in",
            "if",
            "else",
            "endif",
            "endfor",
            "assign",
            "capture",
        ),
        *("endcapture", "|", ":", "'", '"', ".", "[", "]", "(", ")", "..", "a", "long", "many"),
        *("1", "1000000", "join", "replace", "append", "times", "date", "split", "case", "when"),
        *("raw", "endraw", "comment", "timezone", "from_json", "to_json", ",", "=", "1.5"),
    ]
)


@settings(max_examples=300, deadline=5_000)
@given(st.lists(PIECES, max_size=30).map(" ".join))
def test_any_template_is_rendered_or_refused(template: str) -> None:
    liquid.wrong(template)
    try:
        assert isinstance(made(template, {"long": "x" * 9_000, "many": [1] * 500}), str)
    except Exceeded as error:
        assert str(error)
