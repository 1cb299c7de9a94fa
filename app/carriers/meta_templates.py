"""Content templates at Meta: as the template that WhatsApp approved, or as what may go within a
session; and what WhatsApp decides on templates.

https://developers.facebook.com/docs/whatsapp/cloud-api/guides/send-message-templates,
.../messages/interactive-messages, .../business-management-api/webhooks/components and
https://developers.facebook.com/docs/messenger-platform/send-messages. What Meta cannot show gives
None: it goes as text and files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from app.carriers.meta_document import Section, rows, section, text
from app.channels.templates import (
    CALL_TO_ACTION,
    CARD,
    LIST_PICKER,
    LOCATION,
    QUICK_REPLY,
)
from app.model.traffic import ApprovalStatus, ContentTemplate, Outgoing, Template
from app.settings.content_types import placeholders

REPLIES_MAX = 3  # buttons of an interactive message
REASON_CHARS_MAX = 300
MEDIA_KINDS = frozenset({"image", "video"})
UPDATED = "message_template_status_update"
# Meta's word for what happened -> the status of an approval request.
STATUSES: Mapping[str, str] = {
    "APPROVED": "approved",
    "REINSTATED": "approved",
    "UNPAUSED": "approved",
    "REJECTED": "rejected",
    "PENDING": "pending",
    "IN_APPEAL": "pending",
    "PAUSED": "paused",
    "DISABLED": "disabled",
}
NO_REASON = "NONE"

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


def messenger(outgoing: Outgoing) -> Content | None:
    """What of a send to Messenger says the template."""
    template = outgoing.template
    if template is None:
        return None
    fields = template.fields
    if template.type == QUICK_REPLY:
        return {"text": fields["body"], "quick_replies": [*map(_quick, fields["actions"])]}
    if template.type == CALL_TO_ACTION:
        buttons = [*map(_button, fields["actions"])]
        return _attached({"template_type": "button", "text": fields["body"], "buttons": buttons})
    if template.type == CARD and (fields.get("actions") or fields.get("media")):
        return _attached({"template_type": "generic", "elements": [_element(fields)]})
    return None


def approvals(entry: Section) -> Iterator[ApprovalStatus]:
    """What WhatsApp decided on templates, as one entry of a webhook tells."""
    for change in rows(entry, "changes"):
        value = section(change, "value")
        status = STATUSES.get(text(value, "event"))
        name = text(value, "message_template_name")
        if text(change, "field") != UPDATED or status is None or not name:
            continue
        reason = text(value, "reason")
        if status == "approved" or reason == NO_REASON:
            reason = ""
        language = text(value, "message_template_language")
        yield ApprovalStatus(name, language, status, reason[:REASON_CHARS_MAX])


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


def _quick(action: Mapping[str, Any]) -> Content:
    payload = action.get("id") or action["title"]
    return {"content_type": "text", "title": action["title"], "payload": payload}


def _button(action: Mapping[str, Any]) -> Content:
    title = action["title"]
    if action["type"] == "URL":
        return {"type": "web_url", "title": title, "url": action["url"]}
    if action["type"] == "PHONE_NUMBER":
        return {"type": "phone_number", "title": title, "payload": action["phone"]}
    return {"type": "postback", "title": title, "payload": action.get("id") or title}


def _element(fields: Mapping[str, Any]) -> Content:
    element: Content = {"title": fields.get("title") or fields.get("body")}
    if fields.get("subtitle"):
        element["subtitle"] = fields["subtitle"]
    if fields.get("media"):
        element["image_url"] = fields["media"][0]
    if fields.get("actions"):
        element["buttons"] = [*map(_button, fields["actions"])]
    return element


def _attached(payload: Content) -> Content:
    return {"attachment": {"type": "template", "payload": payload}}
