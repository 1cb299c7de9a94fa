"""What is wrong with a configuration file, and where exactly."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from app.errors import ParleyError

_UNPRINTABLE = re.compile(r"[^ -~\u00a0-\ud7ff\ue000-\ufffd]")
SHOWN_MAX = 80
KNOWN_MAX = 200


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One error. `line` and `column` count from 1; `key` is a path like `senders[0].address`, or
    `file` or `yaml` when the whole file is at fault. No part of it repeats a secret."""

    file: str
    line: int
    column: int
    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.key}: {self.message}"


class ConfigErrors(ParleyError):
    """The file cannot be used. `problems` holds every reason, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(set(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` (did you mean X?)` for the known word that is most like this one; empty without one, and
    when there are too many to compare."""
    words = list(islice(known, KNOWN_MAX + 1))
    if len(words) > KNOWN_MAX:
        return ""
    near = difflib.get_close_matches(word[:SHOWN_MAX], words, n=1)
    return f" (did you mean {shown(near[0])}?)" if near else ""


def shown(text: str, length_max: int = SHOWN_MAX) -> str:
    """A text on one line, cut when long."""
    clean = _UNPRINTABLE.sub("?", text)
    return clean if len(clean) <= length_max else clean[:length_max] + "…"


def dotted(path: Iterable[str | int]) -> str:
    """A path as operators write it: `senders[0].address`. A key is cut at its first colon: what
    follows is a value, perhaps a secret, whose space was forgotten."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        text += "." * bool(text) + shown(part.partition(":")[0])
    return text or "file"
