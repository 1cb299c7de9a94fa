"""The nouns: SQLModel tables, enumerations and value types. No I/O."""

from app.model.addresses import AddressConfiguration, MessagingService, Sender
from app.model.conversations import Binding, Conversation, Participant
from app.model.messages import Media, Message, Receipt
from app.model.outbox import Attempt, DeadLetter, Lane, OutboxItem
from app.model.road import Decision, EarlyStatus, Inbox
from app.model.services import Account, Service
from app.model.webhooks import ScopedWebhook, WebhookConfiguration

__all__ = [
    "Account",
    "AddressConfiguration",
    "Attempt",
    "Binding",
    "Conversation",
    "DeadLetter",
    "Decision",
    "EarlyStatus",
    "Inbox",
    "Lane",
    "Media",
    "Message",
    "MessagingService",
    "OutboxItem",
    "Participant",
    "Receipt",
    "ScopedWebhook",
    "Sender",
    "Service",
    "WebhookConfiguration",
]
