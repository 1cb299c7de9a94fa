"""JSON that knows its lines: a value and, for every part of it, the line on which it begins.

Bounded, whatever the text: its bytes, how deep it nests, how many values it has.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from json import JSONDecodeError, decoder
from typing import Any

BYTES_MAX = 1_000_000
DEPTH_MAX = 32
VALUES_MAX = 100_000

Path = tuple[str | int, ...]
Lines = dict[Path, int]

_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,17})?(?:[eE][-+]?[0-9]{1,2})?")
_UNTEXT = re.compile("[\x00\ud800-\udfff]")
_WORDS = {"true": True, "false": False, "null": None}


class Unreadable(ValueError):
    """The text is not JSON that is taken; `line` counts from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


def read(text: str | bytes) -> tuple[Any, Lines]:
    """The value of a JSON text and the line of each of its parts, by path. Raises Unreadable."""
    if len(text) > BYTES_MAX:
        raise Unreadable(f"is larger than {BYTES_MAX} bytes", 1)
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            before = error.object[: error.start]
            raise Unreadable("is not UTF-8", before.count(b"\n") + 1) from None
    elif len(text.encode(errors="replace")) > BYTES_MAX:
        raise Unreadable(f"is larger than {BYTES_MAX} bytes", 1)
    reader = _Reader(text)
    value = reader.value((), 0)
    reader.end()
    return value, reader.lines


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._breaks = [found.start() for found in re.finditer("\n", text)]
        self.lines: Lines = {}

    def value(self, path: Path, depth: int) -> Any:
        """The value at which the text stands."""
        mark = self._skip()
        if depth > DEPTH_MAX:
            raise self._wrong(f"is nested deeper than {DEPTH_MAX}")
        if len(self.lines) >= VALUES_MAX:
            raise self._wrong(f"has more than {VALUES_MAX} values")
        self.lines[path] = self._line(self._at)
        if mark == "{":
            return self._object(path, depth)
        if mark == "[":
            return self._array(path, depth)
        return self._string() if mark == '"' else self._scalar()

    def end(self) -> None:
        """Nothing may follow."""
        if self._skip():
            raise self._wrong("has more after its end")

    def _object(self, path: Path, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        self._at += 1
        if self._skip() == "}":
            self._at += 1
            return found
        while True:
            if self._skip() != '"':
                raise self._wrong("wants a name in quotes here")
            name = self._string()
            if name in found:
                raise self._wrong(f"has the name {name[:60]!r} twice")
            if self._skip() != ":":
                raise self._wrong("wants a colon here")
            self._at += 1
            found[name] = self.value((*path, name), depth + 1)
            if self._more("}"):
                return found

    def _array(self, path: Path, depth: int) -> list[Any]:
        found: list[Any] = []
        self._at += 1
        if self._skip() == "]":
            self._at += 1
            return found
        while True:
            found.append(self.value((*path, len(found)), depth + 1))
            if self._more("]"):
                return found

    def _more(self, end: str) -> bool:
        """Whether this was the last; steps over the comma or the end."""
        mark = self._skip()
        if mark not in (",", end):
            raise self._wrong(f"wants a comma or {end} here")
        self._at += 1
        return mark == end

    def _string(self) -> str:
        text: str
        try:
            text, self._at = decoder.scanstring(  # type: ignore[attr-defined]
                self._text, self._at + 1, True
            )
        except JSONDecodeError as error:
            self._at = error.pos
            raise self._wrong(f"is not JSON: {error.msg}") from None
        if _UNTEXT.search(text):
            raise self._wrong("has a NUL or half a character in a text")
        return text

    def _scalar(self) -> Any:
        for word, value in _WORDS.items():
            if self._text.startswith(word, self._at):
                self._at += len(word)
                return value
        number = _NUMBER.match(self._text, self._at)
        if number is None:
            raise self._wrong("is not JSON here")
        self._at = number.end()
        text = number[0]
        return int(text) if text.lstrip("-").isdigit() else float(text)

    def _skip(self) -> str:
        """Step over space; the next character, or nothing at the end."""
        found = _SPACE.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return self._text[self._at : self._at + 1]

    def _wrong(self, message: str) -> Unreadable:
        return Unreadable(message, self._line(self._at))

    def _line(self, at: int) -> int:
        return bisect_right(self._breaks, at - 1) + 1
