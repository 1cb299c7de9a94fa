"""Flows that the file declares: run here, from a file of their own, or left to somebody else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PrivateAttr, model_validator
from pydantic_core import PydanticCustomError

from app import ids
from app.flows.definition import parse
from app.flows.document import BYTES_MAX
from app.flows.states import FlowErrors
from app.settings.document import Document
from app.settings.problems import Problem
from app.settings.section import Model
from app.settings.types import PLAIN, AccountSid, Name, WebUrl

FLOWS, FILE = "flows", "file"


class FlowSettings(Model):
    """A flow: its definition is in `file` and it runs here, or a `studio` target posts its events
    to `url`."""

    account: AccountSid | None = None
    friendly_name: Name | None = None
    file: Annotated[str, Field(min_length=1)] | None = None
    url: WebUrl | None = None
    _definition: str = PrivateAttr("")

    @model_validator(mode="after")
    def _one(self) -> FlowSettings:
        if (self.file is None) == (self.url is None):
            raise PydanticCustomError(PLAIN, "should have a file (it runs here) or a url")
        return self

    @property
    def definition(self) -> str:
        """What is in its file, which was checked; empty when it runs elsewhere."""
        return self._definition


def read(document: Document, folder: Path) -> dict[str, str]:
    """The definitions in the files that the document names (their paths are relative to `folder`),
    by the flow's name there. What is wrong with one is reported at its own line of that file."""
    found: dict[str, str] = {}
    for name in document.names(FLOWS):
        path = document.text(FLOWS, name, FILE)
        if path is None:
            continue
        place = folder / Path(path)
        text, wrong = _text(place)
        if wrong:
            document.report((FLOWS, name, FILE), f"{path!r} {wrong}")
            continue
        found[name] = text
        try:
            parse(text)
        except FlowErrors as errors:
            document.problems += [
                Problem(
                    str(place), one.line, 1, one.path, _said(one.state, one.widget, one.message)
                )
                for one in errors.problems
            ]
    return found


def fill(settings: Any, definitions: Mapping[str, str]) -> None:
    """Put the definitions that were read into the settings."""
    for name, text in definitions.items():
        settings.flows[ids.lowered(name)]._definition = text


def _said(state: str, widget: str, message: str) -> str:
    return f"{state} ({widget}): {message}" if state else message


def _text(place: Path) -> tuple[str, str]:
    """The text of a file; or why it cannot be had."""
    try:
        if not place.is_file():
            return "", "is not a file"
        if place.stat().st_size > BYTES_MAX:
            return "", f"is larger than {BYTES_MAX} bytes"
        return place.read_bytes().decode("utf-8-sig"), ""
    except UnicodeDecodeError:
        return "", "is not UTF-8 text"
    except (OSError, ValueError):
        return "", "cannot be read"
