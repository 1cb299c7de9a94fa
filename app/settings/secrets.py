"""Values from outside the file: `${NAME}`, `${NAME:-otherwise}` in any text, and `{file: path}` in
place of any scalar. What comes from outside is veiled: no message repeats it."""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.settings.document import Document, Steps

SECRET_BYTES_MAX = 65_536
FILE = "file"
PLAIN = frozenset({"flows"})
"""Sections whose files are no secrets (app/settings/flows.py)."""

# `$${` stands for a plain `${`; a `${` that is no reference is an error.
_REFERENCE = re.compile(
    r"(?P<escaped>\$\$\{)|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<otherwise>[^}]*))?\}|\$\{"
)
_UNUSABLE = re.compile("[\x00\ud800-\udfff]")


def fill(document: Document, environment: Mapping[str, str], folder: Path) -> None:
    """Put the values in. `folder` is what the paths of secret files are relative to."""
    filler = _Filler(document, environment, folder)
    filler.visit(document.data, ())
    document.broken |= filler.broken


class _Filler:
    def __init__(self, document: Document, environment: Mapping[str, str], folder: Path) -> None:
        self.document = document
        self.environment = environment
        self.folder = folder
        self.broken: set[Steps] = set()

    def visit(self, value: Any, steps: Steps) -> None:
        if isinstance(value, str):
            self._text(value, steps)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                self.visit(item, (*steps, index))
        elif isinstance(value, dict):
            for name, item in list(value.items()):
                self.visit(item, (*steps, name))
            secret = steps and steps[0] not in PLAIN and value.keys() == {FILE}
            if secret and isinstance(value[FILE], str):
                self._file(value[FILE], steps)

    def _text(self, text: str, steps: Steps) -> None:
        if "${" not in text:
            return
        filled = _REFERENCE.sub(lambda match: self._reference(match, steps), text)
        if _UNUSABLE.search(filled):
            self._break(steps, "comes out with a character that is not text")
            filled = ""
        self.document.replace(steps, filled)

    def _reference(self, match: re.Match[str], steps: Steps) -> str:
        if match["escaped"]:
            return "${"
        self.document.veil(steps)
        name, otherwise = match["name"], match["otherwise"]
        if name is None:
            self._break(steps, "write ${NAME} or ${NAME:-otherwise}, or $${ for a plain ${")
            return ""
        value = self.environment.get(name)
        if otherwise is not None:
            return value or otherwise
        if value is None:
            self._break(steps, f"environment variable {name} is not set")
            return ""
        return value

    def _file(self, path: str, steps: Steps) -> None:
        inner = (*steps, FILE)
        hidden = inner in self.document.filled
        self.document.veil(steps)
        if inner in self.broken | self.document.broken:
            self.broken.add(steps)
            return
        text, reason = _read(self.folder, path)
        if reason:
            name = "the secret file" if hidden else f"secret file {path!r}"
            self._break(steps, f"{name} {reason}")
        self.document.replace(steps, text)

    def _break(self, steps: Steps, message: str) -> None:
        self.document.report(steps, message)
        self.broken.add(steps)


def _read(folder: Path, path: str) -> tuple[str, str]:
    """The text of a secret file without the line end that editors add; or why it cannot be had."""
    try:
        place = folder / Path(path).expanduser()
        if not stat.S_ISREG(place.stat().st_mode):
            return "", "is not a regular file"
        if place.stat().st_size > SECRET_BYTES_MAX:
            return "", f"is larger than {SECRET_BYTES_MAX} bytes"
        text = place.read_bytes().decode()
    except FileNotFoundError:
        return "", "does not exist"
    except UnicodeDecodeError:
        return "", "is not UTF-8 text"
    except (OSError, ValueError, RuntimeError):
        return "", "cannot be read"
    text = text.removesuffix("\n").removesuffix("\r")
    if not text or _UNUSABLE.search(text):
        return "", "is empty" if not text else "holds a character that is not text"
    return text, ""
