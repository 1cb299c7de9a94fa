"""The keys of `kind: http` in the YAML: how a provider is spoken to, as data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from app.carriers import http_text
from app.carriers.http_call import LookUp, MediaAccess, Send, Statuses
from app.carriers.http_paths import Path, Paths, When, texts
from app.carriers.http_template import OF_SECRETS, Steps, check, read, wrong
from app.model.traffic import DeliveryStatus
from app.settings.models import Model
from app.settings.types import Secret

SIGNED = frozenset({"url", "url.bare", "method", "body", "body.sha256", "form.sorted"})
SIGNED_PREFIXES = ("header.", "query.")
FLAT = "a form has no levels and is one message: leave this out"

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _keys(given: Any) -> Any:
    """A mapping whose keys may be written as numbers."""
    return {str(key): value for key, value in given.items()} if isinstance(given, dict) else given


def _over(text: str) -> str:
    try:
        check(text, SIGNED, SIGNED_PREFIXES)
    except ValueError as error:
        wrong([((), str(error))])
    return text


def _safe(secrets: dict[str, Any]) -> dict[str, Any]:
    wrong(
        ((name,), "holds a line end or another control character")
        for name, secret in secrets.items()
        if _CONTROL.search(secret.get_secret_value())
    )
    return secrets


def _pattern(text: str) -> str:
    try:
        http_text.check(text)
    except ValueError as error:
        wrong([((), str(error))])
    return text


Patterns = Annotated[
    tuple[Annotated[str, AfterValidator(_pattern)], ...],
    BeforeValidator(texts),
    Field(max_length=10),
]
SecretName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Channel = Literal["sms", "mms", "whatsapp", "messenger", "rcs"]
Code = Annotated[int, Field(ge=1, le=999_999)]


class Outcome(Model):
    """What an answer with such a status, and such words in its JSON, means."""

    status: Statuses = ()
    when: When = Field(default_factory=dict)
    means: Literal["accepted", "temporary", "throttled", "permanent", "unknown"]
    code: Code | None = None


class AnswerSettings(Model):
    """How the answer to a send is read. `text`: it is no JSON, and this is how it looks. `id`: the
    provider's id; without it the receipt's SID stands for it. The first outcome that fits counts,
    then the defaults of http_answer.py."""

    text: Patterns = ()
    id: Paths | None = None
    code: Paths | None = None
    message: Paths | None = None
    outcomes: tuple[Outcome, ...] = ()


class MediaFields(Model):
    """Where an inbound message has its files. JSON: `in` leads to them, `url` and `type` start at
    each. A form: `url` is a field's name, with {n} for a number in it."""

    in_: Path | None = Field(default=None, alias="in")
    url: Path
    type: Path | None = None


class InboundFields(Model):
    """Where an inbound request has what."""

    format: Literal["json", "form"]
    messages: Path | None = None
    when: When = Field(default_factory=dict)
    id: Paths
    from_: Paths = Field(alias="from")
    to: Paths
    body: Paths | None = None
    channel: Paths | None = None
    media: MediaFields | None = None
    others: Path | None = None
    metadata: tuple[Path, ...] = ()

    @model_validator(mode="after")
    def _flat(self) -> Self:
        if self.format == "form" and self.messages is not None:
            wrong([(("messages",), FLAT)])
        if self.format == "form" and self.media is not None and self.media.in_ is not None:
            wrong([(("media", "in"), FLAT)])
        return self


class StatusFields(Model):
    """Where a status request has what, and what its words mean."""

    format: Literal["json", "form"]
    statuses: Path | None = None
    when: When = Field(default_factory=dict)
    id: Paths
    status: Paths
    words: Annotated[dict[str, DeliveryStatus], BeforeValidator(_keys), Field(min_length=1)]
    reference: Paths | None = None
    code: Paths | None = None
    message: Paths | None = None

    @model_validator(mode="after")
    def _flat(self) -> Self:
        if self.format == "form" and self.statuses is not None:
            wrong([(("statuses",), FLAT)])
        return self


class Verify(Model):
    """How a request shows that it is the provider's."""

    scheme: Literal["none", "token", "basic", "hmac"]
    header: Annotated[str, Field(min_length=1)] | None = None
    query: Annotated[str, Field(min_length=1)] | None = None
    secret: Annotated[tuple[SecretName, ...], BeforeValidator(texts)] = ()
    username: str | None = None
    prefix: str = ""
    digest: Literal["sha1", "sha256", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    over: Annotated[str, Field(min_length=1), AfterValidator(_over)] = "{body}"

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.scheme != "none" and not self.secret:
            wrong([(("scheme",), f"{self.scheme} needs secret beside it")])
        if self.scheme == "basic" and self.username is None:
            wrong([(("scheme",), "basic needs username beside it")])
        if self.scheme == "hmac" and self.header is None:
            wrong([(("scheme",), "hmac needs header beside it")])
        if self.scheme == "token" and (self.header is None) == (self.query is None):
            wrong([(("scheme",), "token needs header or query beside it, one of them")])
        return self


class Reply(Model):
    """What our doors answer."""

    body: Annotated[str, Field(max_length=1000)] = "{}"
    content_type: Annotated[str, Field(pattern=r"^[a-z]+/[a-z0-9.+-]+$")] = "application/json"


class Options(Model):
    """The keys of `kind: http` in the YAML; config/parley.yaml explains each.

    `channels` maps what it carries to the provider's word for it. `codes` maps the provider's error
    codes to the original's. `numbers`: whether it writes +15005550006 or 15005550006.
    """

    secrets: Annotated[dict[SecretName, Secret], AfterValidator(_safe)] = Field(
        default_factory=dict
    )
    channels: Annotated[dict[Channel, str], Field(min_length=1)]
    numbers: Literal["e164", "digits"] = "e164"
    strip: Annotated[tuple[str, ...], Field(max_length=10)] = ()
    send: Send
    send_as: dict[Channel, Send] = Field(default_factory=dict)
    answer: AnswerSettings = AnswerSettings()
    codes: Annotated[dict[str, Code], BeforeValidator(_keys)] = Field(default_factory=dict)
    look_up: LookUp | None = None
    inbound: InboundFields
    status: StatusFields | None = None
    one_door: bool = False
    verify: Verify
    reply: Reply = Reply()
    media_access: MediaAccess | None = None
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 10.0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        wrong([*self._unknown_secrets(), *self._unlike()])
        return self

    def _unknown_secrets(self) -> Iterator[tuple[Steps, str]]:
        known = ", ".join(sorted(self.secrets)) or "none"
        message = f"names a secret that is not in secrets (known: {known})"
        for steps, text in self._texts():
            asked = {name for name in read(text).names if name.startswith(OF_SECRETS)}
            if asked - {OF_SECRETS + name for name in self.secrets}:
                yield steps, message
        if set(self.verify.secret) - set(self.secrets):
            yield ("verify", "secret"), message

    def _texts(self) -> Iterator[tuple[Steps, str]]:
        parts: dict[Steps, Send | LookUp | MediaAccess | None] = {
            ("send",): self.send,
            ("look_up",): self.look_up,
            ("media_access",): self.media_access,
            **{("send_as", channel): send for channel, send in self.send_as.items()},
        }
        for steps, part in parts.items():
            for inner, text in part.texts() if part else ():
                yield (*steps, *inner), text

    def _unlike(self) -> Iterator[tuple[Steps, str]]:
        for channel in self.send_as:
            if channel not in self.channels:
                yield ("send_as", channel), "is not in channels"
        if self.one_door:
            sections = {"inbound": self.inbound, "status": self.status}
            for name, section in sections.items():
                if section is None or not section.when:
                    yield ("one_door",), f"needs {name}.when, which tells the two apart"
