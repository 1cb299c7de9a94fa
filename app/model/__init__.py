"""The nouns: SQLModel tables, enumerations and value types. No I/O."""

from sqlalchemy.orm import configure_mappers

from app.model.access import ApiKey, IdempotencyKey
from app.model.addresses import AddressConfiguration, MessagingService, Sender, SenderPace
from app.model.changes import Change, Presence
from app.model.contents import Content, ContentApproval
from app.model.conversations import Binding, Conversation, NumberGroup, Participant
from app.model.files import DoomedFile, File
from app.model.flows import Execution, ExecutionStep, Flow, FlowRevision
from app.model.gaps import GapFind, GapLook
from app.model.messages import Media, Message, Receipt
from app.model.outbox import Attempt, CarrierPause, DeadLetter, Endpoint, Lane, OutboxItem
from app.model.people import Role, User
from app.model.push import Credential, PushBinding
from app.model.road import Decision, EarlyStatus, Inbox
from app.model.services import Account, Service
from app.model.standing import MessagingWindow, OptOut, StickySender
from app.model.streams import (
    Follower,
    Sink,
    StreamEvent,
    StreamHead,
    StreamIntake,
    StreamLoss,
    SubscribedEvent,
    Subscription,
)
from app.model.webhooks import ScopedWebhook, WebhookConfiguration

__all__ = [
    "Account",
    "AddressConfiguration",
    "ApiKey",
    "Attempt",
    "Binding",
    "CarrierPause",
    "Change",
    "Content",
    "ContentApproval",
    "Conversation",
    "Credential",
    "DeadLetter",
    "Decision",
    "DoomedFile",
    "EarlyStatus",
    "Endpoint",
    "Execution",
    "ExecutionStep",
    "File",
    "Flow",
    "FlowRevision",
    "Follower",
    "GapFind",
    "GapLook",
    "IdempotencyKey",
    "Inbox",
    "Lane",
    "Media",
    "Message",
    "MessagingService",
    "MessagingWindow",
    "NumberGroup",
    "OptOut",
    "OutboxItem",
    "Participant",
    "Presence",
    "PushBinding",
    "Receipt",
    "Role",
    "ScopedWebhook",
    "Sender",
    "SenderPace",
    "Service",
    "Sink",
    "StickySender",
    "StreamEvent",
    "StreamHead",
    "StreamIntake",
    "StreamLoss",
    "SubscribedEvent",
    "Subscription",
    "User",
    "WebhookConfiguration",
]

configure_mappers()  # rows are made past `__init__`, which would do it with the first one
