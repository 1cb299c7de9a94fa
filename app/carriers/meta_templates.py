"""Content templates on Messenger; and what WhatsApp decides on templates.

https://developers.facebook.com/docs/whatsapp/business-management-api/webhooks/components and
https://developers.facebook.com/docs/messenger-platform/send-messages. What Messenger cannot show
gives None: it goes as text and files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.carriers.meta_document import Section, rows, section, text
from app.channels.templates import CALL_TO_ACTION, CARD, QUICK_REPLY
from app.model.traffic import ApprovalStatus, Outgoing

REASON_CHARS_MAX = 300
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
