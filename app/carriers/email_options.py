"""The keys of `kind: email` in the YAML."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from app.carriers.contract import MailPort
from app.carriers.options import ChosenSecrets, Secrets, plainly
from app.settings.models import Model
from app.settings.types import PLAIN, Secret, target

Security = Literal["starttls", "tls", "none"]
PORTS: Mapping[Security, int] = {"starttls": 587, "tls": 465, "none": 25}
MEGABYTE = 1_048_576


def _one_line(text: str) -> None:
    if not text.isprintable():
        raise ValueError("should be one line, without control characters")


def _host(text: str) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        if "/" in text or target(text) != text.lower():
            raise ValueError("should be a host name or an IP address") from None


def _readable(text: str) -> None:
    try:
        Path(text).open("rb").close()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise ValueError(f"cannot be read: {reason}") from None


def _trusted(text: str) -> None:
    try:
        ssl.create_default_context(cafile=text)
    except OSError:
        raise ValueError("holds no certificates in PEM") from None


File = Annotated[str, Field(min_length=1), plainly(_readable)]
Heading = Annotated[str, Field(min_length=1, max_length=256), plainly(_one_line)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Smtp(Model):
    """The server that takes our mails. `ca_file` holds the certificates that it may be signed by,
    where those of the system do not do; `reports` asks it for delivery reports (RFC 3461), and
    `connections_max` is how many mails are handed over at once."""

    host: Annotated[str, Field(min_length=1), plainly(_host)]
    port: Port | None = None
    security: Security = "starttls"
    username: Annotated[str, Field(min_length=1)] | None = None
    password: Secret | None = None
    ca_file: Annotated[File, plainly(_trusted)] | None = None
    reports: bool = True
    connections_max: Annotated[int, Field(ge=1, le=200)] = 10
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 20.0

    @model_validator(mode="after")
    def _whole(self) -> Smtp:
        if (self.username is None) != (self.password is None):
            raise PydanticCustomError(PLAIN, "username and password are given together")
        if self.username is not None and self.security == "none":
            text = "a password is not sent in the clear: use security: starttls or tls"
            raise PydanticCustomError(PLAIN, "{text}", {"text": text})
        return self

    @property
    def effective_port(self) -> int:
        """The port given, or the one that is usual."""
        return self.port or PORTS[self.security]

    def tls(self) -> ssl.SSLContext | None:
        """What its certificate is checked with. Raises OSError for a file that cannot be read."""
        if self.security == "none":
            return None
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:
            raise OSError(f"smtp.ca_file {self.ca_file}: {error.strerror or error}") from None


class Form(Model):
    """Who may bring mails as forms: a provider that knows the password (`secrets`, in its URL or in
    a header), or signs with the key (`signing_keys`). Several while they change."""

    secrets: ChosenSecrets | None = None
    signing_keys: Secrets | None = None

    @model_validator(mode="after")
    def _closed(self) -> Form:
        if self.secrets is None and self.signing_keys is None:
            raise PydanticCustomError(PLAIN, "give secrets or signing_keys")
        return self


class Listen(Model):
    """Where mail servers bring mails to us, by SMTP or LMTP. With `certificate` and `key` (PEM)
    they may begin with STARTTLS; with `tls_required` they have to. Each of `connections_max` may
    have a whole mail in our memory."""

    protocol: Literal["smtp", "lmtp"] = "smtp"
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 2525
    certificate: File | None = None
    key: File | None = None
    tls_required: bool = False
    connections_max: Annotated[int, Field(ge=1, le=1000)] = 10

    @model_validator(mode="after")
    def _whole(self) -> Listen:
        if (self.certificate is None) != (self.key is None):
            raise PydanticCustomError(PLAIN, "certificate and key are given together")
        if self.tls_required and self.certificate is None:
            raise PydanticCustomError(PLAIN, "tls_required needs a certificate and a key")
        try:
            self.mail_port()
        except OSError:
            text = "certificate and key should be PEM, and belong together"
            raise PydanticCustomError(PLAIN, "{text}", {"text": text}) from None
        return self

    def mail_port(self) -> MailPort:
        """The port as the service opens it. Raises OSError for files that cannot be read."""
        tls = None
        if self.certificate is not None:
            tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            try:
                tls.load_cert_chain(self.certificate, self.key)
            except OSError as error:
                named = f"{self.certificate} and {self.key}"
                raise OSError(f"listen.certificate, key: {named}: {error.strerror}") from None
        lmtp = self.protocol == "lmtp"
        return MailPort(self.host, self.port, lmtp, self.connections_max, tls, self.tls_required)


class Options(Model):
    """The keys of `kind: email` in the YAML. Without `form` its doors take nothing, without
    `listen` no mail server can bring mails.

    `bytes_max` is for a whole mail, both ways. With `plus_address` answers are asked for at
    name+token@domain. `unknown_wait_s`: how long a mail whose reply was lost waits for a report
    before `on_unknown` decides. `per_minute_max` is how many mails of one person to one address of
    ours are posted in a minute: more is a loop.
    """

    carries: ClassVar[frozenset[str]] = frozenset({"email"})

    smtp: Smtp
    form: Form | None = None
    listen: Listen | None = None
    sender_name: Heading | None = None
    subject: Heading = "New message"
    plus_address: bool = True
    strip_quotes: bool = True
    bytes_max: Annotated[int, Field(ge=65_536, le=150 * MEGABYTE)] = 25 * MEGABYTE
    per_minute_max: Annotated[int, Field(ge=1)] = 20
    unknown_wait_s: Annotated[float, Field(ge=0)] = 30.0
