"""Content templates in the words of WhatsApp itself, for whoever hands them on: as the template
that it approved, or as what may go within a session.

https://developers.facebook.com/docs/whatsapp/cloud-api/guides/send-message-templates and
.../messages/interactive-messages. What it cannot show gives None: it goes as text and files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from app.channels.templates import CALL_TO_ACTION, CARD, LIST_PICKER, LOCATION, QUICK_REPLY
from app.model.traffic import ContentTemplate, Outgoing, Template
from app.settings.content_types import placeholders

REPLIES_MAX = 3  # buttons of an interactive message
MEDIA_KINDS = frozenset({"image", "video"})

Content = dict[str, Any]


def whatsapp(outgoing: Outgoing, carrier: str) -> Content | None:
    """What of a send to WhatsApp says the template."""
    template = outgoing.template
    if template is None:
        return None
    if template.approved:
        return _approved(template, carrier, outgoing)
    if template.type == LOCATION:
        return {"type": "location", "location": _location(template.fields)}
    interactive = _interactive(template, outgoing)
    return interactive and {"type": "interactive", "interactive": interactive}


def called(template: ContentTemplate, carrier: str) -> tuple[str, str] | None:
    """The name and the language by which WhatsApp knows a template, at this carrier; None when
    nobody said."""
    names = template.names.get(carrier, {})
    name = names.get("name") or template.approved_name
    language = names.get("language") or template.language.replace("-", "_")
    return (name, language) if name else None


def _approved(template: Template, carrier: str, outgoing: Outgoing) -> Content | None:
    named = called(template.content, carrier)
    if named is None:
        return None
    name, language = named
    shown: Content = {"name": name, "language": {"code": language}}
    components = [*_header(outgoing), *_body(template), *_buttons(template)]
    if components:
        shown["components"] = components
    return {"type": "template", "template": shown}


def _header(outgoing: Outgoing) -> Iterator[Content]:
    for part in outgoing.media[:1]:
        kind = part.content_type.partition("/")[0]
        kind = kind if kind in MEDIA_KINDS else "document"
        yield {"type": "header", "parameters": [{"type": kind, kind: {"link": part.url}}]}


def _body(template: Template) -> Iterator[Content]:
    source = template.source
    said = source.get("body") or source.get("title") or ""
    parameters = [_parameter(name, template) for name in _ordered(placeholders(said))]
    if parameters:
        yield {"type": "body", "parameters": parameters}


def _ordered(names: Iterator[str]) -> list[str]:
    """Each once: numbers in their order, names as they come."""
    found = list(dict.fromkeys(names))
    return sorted(found, key=int) if all(one.isdecimal() for one in found) else found


def _parameter(name: str, template: Template) -> Content:
    value = {"type": "text", "text": template.variables.get(name, "")}
    return value if name.isdecimal() else {**value, "parameter_name": name}


def _buttons(template: Template) -> Iterator[Content]:
    """What buttons need at sending: the end of a URL that has a variable, what a reply gives back,
    a code."""
    pairs = zip(template.source.get("actions", ()), template.fields.get("actions", ()), strict=True)
    for index, (source, filled) in enumerate(pairs):
        kind = source.get("type", "QUICK_REPLY")
        found = list(placeholders(source.get("url", "")))
        parameter: Content | None = None
        if kind == "QUICK_REPLY":
            parameter = {"type": "payload", "payload": filled.get("id") or filled["title"]}
        elif kind == "URL" and found:
            parameter = {"type": "text", "text": template.variables.get(found[-1], "")}
        elif kind == "COPY_CODE":
            parameter = {"type": "coupon_code", "coupon_code": filled["code"]}
        if parameter is not None:
            yield {
                "type": "button",
                "sub_type": kind.lower(),
                "index": str(index),
                "parameters": [parameter],
            }


def _location(fields: Mapping[str, Any]) -> Content:
    place = {"latitude": fields["latitude"], "longitude": fields["longitude"]}
    named = {"name": fields.get("label"), "address": fields.get("address")}
    return {**place, **{key: value for key, value in named.items() if value}}


def _interactive(template: Template, outgoing: Outgoing) -> Content | None:
    """Buttons and lists that go within a session."""
    fields = template.fields
    actions: Sequence[Mapping[str, Any]] = fields.get("actions", ())
    if template.type == LIST_PICKER:
        return {"type": "list", "body": {"text": fields["body"]}, "action": _sections(fields)}
    if not actions or template.type not in (QUICK_REPLY, CALL_TO_ACTION, CARD):
        return None
    shown: Content = {"body": {"text": fields.get("body") or fields.get("title")}}
    if fields.get("subtitle"):
        shown["footer"] = {"text": fields["subtitle"]}
    for header in _header(outgoing):
        shown["header"] = header["parameters"][0]
    if all(action.get("type", "QUICK_REPLY") == "QUICK_REPLY" for action in actions):
        if len(actions) > REPLIES_MAX:
            return None
        return {"type": "button", **shown, "action": {"buttons": [*map(_reply, actions)]}}
    if len(actions) > 1 or actions[0]["type"] != "URL":
        return None
    parameters = {"display_text": actions[0]["title"], "url": actions[0]["url"]}
    return {"type": "cta_url", **shown, "action": {"name": "cta_url", "parameters": parameters}}


def _sections(fields: Mapping[str, Any]) -> Content:
    listed = [
        {
            "id": item["id"],
            "title": item["item"],
            **({"description": item["description"]} if item.get("description") else {}),
        }
        for item in fields["items"]
    ]
    return {"button": fields["button"], "sections": [{"rows": listed}]}


def _reply(action: Mapping[str, Any]) -> Content:
    name = action.get("id") or action["title"]
    return {"type": "reply", "reply": {"id": name, "title": action["title"]}}
