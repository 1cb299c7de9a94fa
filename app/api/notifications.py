"""What is pushed to the devices of a service's users, and in which words ("Service-Scoped
Notification Resource", "Push Notification Configuration")."""

from __future__ import annotations

from typing import Any

from app.api import parameters as kinds
from app.api.call import Call, takes
from app.api.forms import Form, Parameter
from app.api.scope import Links
from app.model import Service
from app.store import services

PATH = "/Configuration/Notifications"
TEMPLATE_CHARS_MAX = 1024  # ours: no number is documented; 178 characters of the text are pushed
SOUND_CHARS_MAX = 256

# The documented defaults, which an empty template brings back.
DEFAULT_TEMPLATES = {
    "NewMessage.Template": "${CONVERSATION}:${PARTICIPANT}: ${MESSAGE}",
    "NewMessage.WithMedia.Template": (
        "You have a new message in ${CONVERSATION} with ${MEDIA_COUNT} media files: ${MEDIA}"
    ),
    "AddedToConversation.Template": (
        "You have been added to the conversation ${CONVERSATION} by ${PARTICIPANT}"
    ),
    "RemovedFromConversation.Template": (
        "${PARTICIPANT} has removed you from the conversation ${CONVERSATION}"
    ),
}


def _template(name: str) -> Parameter[str | None]:
    return kinds.short(name, TEMPLATE_CHARS_MAX, 50058, "Notification template too long")


def _sound(name: str) -> Parameter[str | None]:
    return kinds.short(name, SOUND_CHARS_MAX, 50059, "Notification sound name too long")


PARAMETERS: tuple[Parameter[Any], ...] = (
    kinds.flag("LogEnabled"),
    kinds.flag("NewMessage.Enabled"),
    _template("NewMessage.Template"),
    _sound("NewMessage.Sound"),
    kinds.flag("NewMessage.BadgeCountEnabled"),
    kinds.flag("NewMessage.WithMedia.Enabled"),
    _template("NewMessage.WithMedia.Template"),
    kinds.flag("AddedToConversation.Enabled"),
    _template("AddedToConversation.Template"),
    _sound("AddedToConversation.Sound"),
    kinds.flag("RemovedFromConversation.Enabled"),
    _template("RemovedFromConversation.Template"),
    _sound("RemovedFromConversation.Sound"),
)


@takes()
async def fetch(call: Call) -> dict[str, Any]:
    """The notifications of a service."""
    async with call.begin() as (tx, scope):
        service = call.found(await services.find(tx, scope.account_sid, scope.service_sid))
    return show(service, call.links)


@takes(*PARAMETERS)
async def update(call: Call) -> dict[str, Any]:
    """Change what is pushed."""
    async with call.begin() as (tx, scope):
        form = call.form
        service = call.found(
            await services.find(tx, scope.account_sid, scope.service_sid, lock=True)
        )
        service.notifications = _merged(service.notifications, form)
        service.date_updated = tx.now
        await services.write(tx, service)
    return show(service, call.links)


def show(service: Service, links: Links) -> dict[str, Any]:
    """The resource."""
    said = service.notifications

    def flag(name: str) -> bool:
        return bool(said.get(name, False))

    def template(name: str) -> str:
        return said.get(name) or DEFAULT_TEMPLATES[name]

    def kind(name: str) -> dict[str, Any]:
        return {
            "enabled": flag(f"{name}.Enabled"),
            "template": template(f"{name}.Template"),
            "sound": said.get(f"{name}.Sound"),
        }

    return {
        "account_sid": service.account_sid,
        "chat_service_sid": service.sid,
        "log_enabled": flag("LogEnabled"),
        "new_message": kind("NewMessage")
        | {
            "badge_count_enabled": flag("NewMessage.BadgeCountEnabled"),
            "with_media": {
                "enabled": flag("NewMessage.WithMedia.Enabled"),
                "template": template("NewMessage.WithMedia.Template"),
            },
        },
        "added_to_conversation": kind("AddedToConversation"),
        "removed_from_conversation": kind("RemovedFromConversation"),
        "url": f"{links.tree}{PATH}",
    }


def _merged(said: dict[str, Any], form: Form) -> dict[str, Any]:
    """What was said before and what is said now; what is cleared is not kept."""
    given = {one.name: form[one] for one in PARAMETERS if one in form}
    return {name: value for name, value in (said | given).items() if value is not None}
