"""The webhooks of an account, and of a service, which override them ("Webhook Configuration
Resource", "Per-Service Webhook Resource"). One resource in two places: it is always there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, get_args

from app import ids
from app.api import parameters as kinds
from app.api.addresses import PAYLOADS
from app.api.call import Call, takes
from app.api.declared import owned
from app.api.forms import INVALID, Form, Parameter
from app.errors import Invalid
from app.model import WebhookConfiguration
from app.settings.types import PRE_TIMEOUT_MS_MAX, PRE_TIMEOUT_MS_MIN, HookEvent, web_url
from app.store import webhook_configurations as configurations
from app.store.database import Tx
from app.store.scope import Scope

PATH = "/Configuration/Webhooks"
METHODS = {"get": "GET", "post": "POST"}
EVENTS = frozenset(get_args(HookEvent))
FATES = {"open": "open", "closed": "closed"}
TARGETS = {"webhook": "webhook"}  # there is no Flex to route to
URL_CHARS_MAX = 2048
FORMAT = (50054, "Invalid webhook format")


def _url(code: int, said: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        try:
            fits = len(web_url(text)) <= URL_CHARS_MAX
        except ValueError:
            fits = False
        if not fits:
            raise Invalid(code, said)
        return kinds.overridden(text)

    return check


def _timeout_ms(texts: Sequence[str]) -> int:
    """Raises Invalid 50392 for nothing and less, 20001 for what we do not wait."""
    text = texts[-1].strip()
    if kinds.whole(text.removeprefix("-")) is not None and int(text) <= 0:
        raise Invalid(50392, "PreWebhookTimeout should be greater than 0ms")
    waited = kinds.whole(text, PRE_TIMEOUT_MS_MAX)
    if waited is None or waited < PRE_TIMEOUT_MS_MIN:
        raise ValueError
    return waited


METHOD = kinds.choice("Method", METHODS, 50055, "Invalid webhook method")
FILTERS: Parameter[list[str]] = kinds.words("Filters", EVENTS, *FORMAT)
PRE_URL = kinds.clearable("PreWebhookUrl", _url(50077, "Invalid pre-webhook url"))
POST_URL = kinds.clearable("PostWebhookUrl", _url(50078, "Invalid post-webhook url"))
TARGET = kinds.choice("Target", TARGETS, *FORMAT)
# Ours: what the original does without an answer, and for how long it waits, is not for its users.
PRE_ON_TIMEOUT = kinds.choice("PreWebhookOnTimeout", FATES, *FORMAT)
PRE_TIMEOUT: Parameter[int] = Parameter(
    "PreWebhookTimeout",
    _timeout_ms,
    {"type": "integer", "minimum": PRE_TIMEOUT_MS_MIN, "maximum": PRE_TIMEOUT_MS_MAX},
)
ECHO = kinds.flag("Echo")
PAYLOAD = kinds.choice("Payload", PAYLOADS, INVALID, "Invalid Payload")
BOTH = (METHOD, FILTERS, PRE_URL, POST_URL, PRE_ON_TIMEOUT, PRE_TIMEOUT, ECHO, PAYLOAD)


@takes()
async def fetch(call: Call) -> dict[str, Any]:
    """What is configured, or that nothing is."""
    async with call.begin() as (tx, scope):
        found = await configurations.find(tx, scope.account_sid, call.service)
        return show(found or _fresh(call, tx, scope), call)


@takes(*BOTH, TARGET)
async def update(call: Call) -> dict[str, Any]:
    """Configure the webhooks; filters that are sent replace those that were there."""
    async with call.begin() as (tx, scope):
        form = call.form
        configuration = await configurations.claim(tx, _fresh(call, tx, scope))
        if configuration.declared_as is not None:
            raise owned("This webhook", configuration.declared_as)
        _apply(configuration, form)
        configuration.date_updated = tx.now
        await configurations.write(tx, configuration)
        return show(configuration, call)


def show(configuration: WebhookConfiguration, call: Call) -> dict[str, Any]:
    """The resource of the account, or of the service in the path: the original's keys, no more."""
    c = configuration
    shown: dict[str, Any] = {"account_sid": c.account_sid, **call.links.shown(call.service or "")}
    if not call.service:
        shown["target"] = "webhook"
    return shown | {
        "pre_webhook_url": c.pre_url,
        "post_webhook_url": c.post_url,
        "filters": c.filters,
        "method": c.method,
        "url": f"{call.links.tree}{PATH}",
    }


def _fresh(call: Call, tx: Tx, scope: Scope) -> WebhookConfiguration:
    """Nothing configured."""
    return WebhookConfiguration(
        sid=ids.new(ids.WEBHOOK),
        account_sid=scope.account_sid,
        chat_service_sid=call.service,
        date_created=tx.now,
        date_updated=tx.now,
    )


def _apply(configuration: WebhookConfiguration, form: Form) -> None:
    c = configuration
    c.method = form.get(METHOD, c.method)
    if FILTERS in form:
        sent = form[FILTERS]
        c.filters = list(dict.fromkeys(sent))
    c.pre_url = form.get(PRE_URL, c.pre_url)
    c.pre_on_timeout = form.get(PRE_ON_TIMEOUT, c.pre_on_timeout)
    c.pre_timeout_ms = form.get(PRE_TIMEOUT, c.pre_timeout_ms)
    c.post_url = form.get(POST_URL, c.post_url)
    c.echo = form.get(ECHO, c.echo)
    c.payload = form.get(PAYLOAD, c.payload)
