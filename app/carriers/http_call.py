"""One request of the generic carrier as the YAML describes it: templates, checked when read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from app.carriers import http_paths, http_tree
from app.carriers.http_paths import Path, Paths
from app.carriers.http_template import FILE, MESSAGE, OF_SECRETS, Steps, check, leaves, read, wrong
from app.settings.models import Model
from app.settings.types import PublicUrl, web_url

# A body is no part of a header or a URL.
LINE = MESSAGE - {"body"}
ADDRESSED = frozenset({"to", "to.bare", "to.digits"})
# What the HTTP client says by itself.
OURS = frozenset({"host", "content-length", "transfer-encoding", "connection"})

_ORIGIN = re.compile(r"https?://[^/?#{}@]+(?=[/?]|$)", re.IGNORECASE)
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_STATUS = re.compile(r"[1-5](xx|[0-9]{2})")


def _problems(text: str) -> Iterator[tuple[Steps, str]]:
    try:
        check(text, LINE)
    except ValueError as error:
        yield (), str(error)


def _line(text: str) -> str:
    wrong(_problems(text))
    return text


def _url(text: str) -> str:
    wrong(_problems(text))
    if not _ORIGIN.match(text):
        wrong([((), "should begin with http:// or https:// and a host, both without fields")])
    try:
        web_url("".join(part if isinstance(part, str) else "x" for part in read(text).parts))
    except ValueError as error:
        wrong([((), str(error))])
    return text


def _headers(headers: dict[str, str]) -> dict[str, str]:
    wrong(
        ((name,), "is no header that can be set here")
        for name in headers
        if not _HEADER.fullmatch(name) or name.lower() in OURS
    )
    return headers


def _status(text: str) -> str:
    if not _STATUS.fullmatch(text):
        wrong([((), "should be a status like 404 or 5xx")])
    return text


def _json(tree: Any) -> Any:
    if tree is not None and not isinstance(tree, dict | list):
        wrong([((), "should be a mapping or a list")])
    wrong(http_tree.problems(tree, MESSAGE | FILE))
    return tree


def _form(tree: dict[str, Any]) -> dict[str, Any]:
    wrong(
        ((name,), "a field of a form is text or a list of texts")
        for name, value in tree.items()
        if any(isinstance(one, dict | list) for one in _listed(value)) and value not in ({}, [])
    )
    wrong(http_tree.problems(tree, MESSAGE | FILE))
    return tree


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


Line = Annotated[str, AfterValidator(_line)]
Url = Annotated[str, AfterValidator(_url)]
Headers = Annotated[dict[str, Line], AfterValidator(_headers)]
JsonTree = Annotated[Any, AfterValidator(_json)]
FormTree = Annotated[dict[str, Any], AfterValidator(_form)]
Statuses = Annotated[
    tuple[Annotated[str, AfterValidator(_status)], ...], BeforeValidator(http_paths.texts)
]


class Login(Model):
    """Basic authentication of a call."""

    username: Line
    password: Line


class Call(Model):
    """One request to the provider; every text in it is a template."""

    method: Literal["GET", "POST", "PUT"] = "POST"
    url: Url
    headers: Headers = Field(default_factory=dict)
    basic: Login | None = None
    query: FormTree = Field(default_factory=dict)
    form: FormTree | None = None
    json_: JsonTree = Field(default=None, alias="json")

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        if self.form is not None and self.json_ is not None:
            wrong([(("json",), "there is a form already: a request has one body")])
        if self.method == "GET" and (self.form is not None or self.json_ is not None):
            wrong([(("method",), "a GET has no body: use query")])
        return self

    def texts(self) -> Iterator[tuple[Steps, str]]:
        """Every template of the call and the way to it."""
        yield ("url",), self.url
        for name, text in self.headers.items():
            yield ("headers", name), text
        if self.basic is not None:
            yield ("basic", "username"), self.basic.username
            yield ("basic", "password"), self.basic.password
        for key, tree in (("query", self.query), ("form", self.form), ("json", self.json_)):
            for steps, value in leaves(tree or {}):
                if isinstance(value, str):
                    yield (key, *steps), value

    def names(self) -> frozenset[str]:
        """Every field that the call names."""
        return frozenset().union(*(read(text).names for _, text in self.texts()))


class Send(Call):
    """The request that sends a message."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        named = self.names()
        if not named & ADDRESSED:
            wrong([((), "nothing in it names {to}: nobody would get the message")])
        if "body" not in named:
            wrong([((), "nothing in it names {body}: the text would be lost")])
        return self


class LookUp(Call):
    """How the provider is asked what became of a send. Each entry of `found` (without it the
    answer itself, or each of its items) that `match` fits may be it. `absent`: statuses that say
    that there is none. `page`: an answer with this many entries may lack some."""

    method: Literal["GET", "POST", "PUT"] = "GET"
    found: Path | None = None
    id: Paths
    match: dict[Path, Line] = Field(default_factory=dict)
    absent: Statuses = ()
    page: Annotated[int, Field(ge=1)] | None = None
    after_s: Annotated[float, Field(ge=0)] = 30.0

    @model_validator(mode="after")
    def _one_send(self) -> Self:
        if not self.names() & (ADDRESSED | {"reference"}):
            wrong([((), "nothing in it names {reference} or {to}: it would find every message")])
        return self

    def texts(self) -> Iterator[tuple[Steps, str]]:
        """Every template of the call and the way to it."""
        yield from super().texts()
        for path, text in self.match.items():
            yield ("match", path), text


class MediaAccess(Model):
    """What opens the provider's files: sent to URLs under `origin` and nowhere else."""

    origin: PublicUrl
    headers: Headers = Field(default_factory=dict)
    basic: Login | None = None

    @model_validator(mode="after")
    def _only_secrets(self) -> Self:
        wrong(
            (steps, "only secrets can be named here")
            for steps, text in self.texts()
            if not all(name.startswith(OF_SECRETS) for name in read(text).names)
        )
        return self

    def texts(self) -> Iterator[tuple[Steps, str]]:
        """Every template in it and the way to it."""
        for name, text in self.headers.items():
            yield ("headers", name), text
        if self.basic is not None:
            yield ("basic", "username"), self.basic.username
            yield ("basic", "password"), self.basic.password
