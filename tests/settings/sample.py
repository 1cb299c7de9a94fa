"""A good file, kinds of carriers that exist only here, and what is wrong with a text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from app.settings.load import load
from app.settings.models import Settings
from app.settings.problems import ConfigErrors

AC = "AC" + "1" * 32
ENVIRONMENT = {"TOKEN": "token-from-outside", "PORT": "9090", "YES": "true", "EMPTY": ""}


class Wire(BaseModel):
    """Options whose own checks repeat what they were given, as careless ones do."""

    model_config = ConfigDict(extra="forbid")

    auth_token: SecretStr
    region: str = "us1"
    timeout_s: float = Field(default=10.0, gt=0)

    @field_validator("auth_token")
    @classmethod
    def _spoken(cls, token: SecretStr) -> SecretStr:
        if token.get_secret_value().startswith("bad"):
            raise ValueError(f"{token.get_secret_value()} is a bad token")
        return token

    @field_validator("region")
    @classmethod
    def _region(cls, region: str) -> str:
        if len(region) != 3:
            raise ValueError(f"{region} is no region")
        return region

    @model_validator(mode="after")
    def _both(self) -> Wire:
        if self.region == "eu1":
            raise ValueError(f"not in eu1 with {self.auth_token.get_secret_value()}")
        return self


class Lab(BaseModel):
    """No options, and no care for unknown keys."""


class Post(BaseModel):
    """A kind that says what it carries, where the file says nothing else."""

    carries: ClassVar[frozenset[str]] = frozenset({"email"})

    channels: dict[str, str] = Field(default_factory=dict)


KINDS: Mapping[str, type[BaseModel]] = {"wire": Wire, "lab": Lab, "post": Post}

GOOD = f"""\
account:
  sid: {AC}
  auth_token: ${{TOKEN}}
server: {{port: 8080, public_url: "https://talk.example.com/"}}
carriers:
  acme: {{kind: wire, auth_token: "${{TOKEN}}", region: us1}}
  lab: {{kind: lab, signature: report}}
senders:
  - {{address: "+1 500 555 0006", carrier: lab, rate: 30/m, messaging_service: pool}}
  - {{address: "WhatsApp:+15005550010", carrier: acme}}
messaging_services:
  pool: {{autocreate: true}}
services:
  front: {{default: true}}
  back:
addresses:
  - address: "+15005550006"
    auto_creation: {{type: webhook, webhook_url: "https://a.example.com/x", service: back}}
hooks: {{waits_s: [1, 2.5], timeout_s: 3}}
"""


def write(folder: Path, text: str) -> Path:
    """The text as a file `p.yaml`."""
    path = folder / "p.yaml"
    path.write_bytes(text.encode())
    return path


def read(folder: Path, text: str, environment: Mapping[str, str] = ENVIRONMENT) -> Settings:
    """The settings in this text."""
    return load(write(folder, text), KINDS, environment)


def wrong(folder: Path, text: str, environment: Mapping[str, str] = ENVIRONMENT) -> list[str]:
    """What is wrong with this text, each as `line:column: key: message`."""
    path = write(folder, text)
    with pytest.raises(ConfigErrors) as caught:
        load(path, KINDS, environment)
    lines = str(caught.value).split("\n")
    assert len(lines) == len(caught.value.problems)
    assert all(line.startswith(f"{path}:") for line in lines)
    return [line.removeprefix(f"{path}:") for line in lines]
