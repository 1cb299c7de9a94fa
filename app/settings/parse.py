"""YAML text -> Document.

YAML 1.2: `true` and `false` are the only booleans, `0o17` is octal, dates are text. Tags other than
`!!str` are refused; anchors, aliases and `<<` work within bounds.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from math import isfinite
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError, YAMLWarning
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from app.settings.document import Document, Place, Steps
from app.settings.problems import ConfigErrors, Problem, dotted

# A file of 1 MiB cannot need more; ten lines of nested aliases can ask for billions.
NODES_MAX = 100_000
DEPTH_MAX = 32
# Python refuses to read integers of some thousand digits; nothing here needs more than these.
DIGITS_MAX = 40

_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_UNUSABLE = re.compile("[\x00\ud800-\udfff]")
_MERGE_TAG = "tag:yaml.org,2002:merge"
_TEXT_TAG = "tag:yaml.org,2002:str"
_SCALAR_TAGS = frozenset(
    f"tag:yaml.org,2002:{name}"
    for name in ("null", "bool", "int", "float", "timestamp", "merge", "value")
)
_QUOTED = re.compile(r"""'([^']*)'|"([^"]*)\"""")
_PUNCTUATION = re.compile(r"<[^<>]*>|\W|\\.")


def parse(file: str, text: str) -> Document:
    """The document; problems that leave a usable rest are on it. Raises ConfigErrors for text that
    is not YAML at all."""
    document = Document(file)
    node = _compose(document, text)
    if node is None:
        document.data = {}
        return document
    builder = _Builder(document)
    document.data = builder.value(node, ())
    return document


def scalar(text: str) -> Any:
    """What plain text means in YAML 1.2: null, a boolean, a finite number, or the text."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > DIGITS_MAX:
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text) and isfinite(float(text)):
        return float(text)
    return text


def _compose(document: Document, text: str) -> Node | None:
    message, at = "", (1, 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", YAMLWarning)
            node: Node | None = YAML(typ="safe", pure=True).compose(text)
            return node
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = _own_words(error.problem or error.context or "cannot be read")
        at = (mark.line + 1, mark.column + 1) if mark else at
    except ReaderError as error:
        message, at = "this character is not allowed", _line_column(text, error.position)
    except RecursionError:
        message = "is nested too deeply"
    except (YAMLError, ValueError, OverflowError, LookupError, AssertionError):
        message = "cannot be read"
    message += _hint(text, at[0])
    raise ConfigErrors([Problem(document.file, *at, "yaml", message)])


def _own_words(message: str) -> str:
    """The parser's message up to the first quotation of the file that is more than punctuation."""
    for quoted in _QUOTED.finditer(message):
        if not _PUNCTUATION.fullmatch(quoted[1] or quoted[2] or "x"):
            return message[: quoted.start()].rstrip()
    return message


def _hint(text: str, line: int) -> str:
    lines = text.split("\n")
    near = "".join(lines[max(0, line - 2) : line])
    if "${" in near and ("{" in near.replace("${", "") or "[" in near):
        return " (within { } and [ ] write ${NAME} in double quotes)"
    if "\t" in near:
        return " (indent with spaces, not tabs)"
    return ""


def _line_column(text: str, position: int) -> tuple[int, int]:
    before = text[:position]
    return before.count("\n") + 1, position - before.rfind("\n")


class _Builder:
    """Turns nodes into values. Aliases are copied, so that each copy has its own steps."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.nodes = 0

    def value(self, node: Node, steps: Steps) -> Any:
        mark = node.start_mark
        self.document.values[steps] = (mark.line + 1, mark.column + 1)
        self._count(steps)
        if len(steps) > DEPTH_MAX:
            self._refuse(steps, f"is nested deeper than {DEPTH_MAX} levels")
        if isinstance(node, MappingNode):
            return self._mapping(node, steps)
        if isinstance(node, SequenceNode):
            self._check_tag(node, steps, "tag:yaml.org,2002:seq")
            return [self.value(item, (*steps, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, steps)

    def _scalar(self, node: Node, steps: Steps) -> Any:
        text = str(node.value)
        if _UNUSABLE.search(text):
            self._break(steps, "holds a character that is not text")
            return ""
        if node.tag == _TEXT_TAG:
            return text
        if node.tag not in _SCALAR_TAGS or not isinstance(node, ScalarNode) or node.style:
            self._break(steps, "tags (!...) are not used here")
            return ""
        return scalar(text)

    def _mapping(self, node: MappingNode, steps: Steps) -> dict[str, Any]:
        self._check_tag(node, steps, "tag:yaml.org,2002:map")
        found: dict[str, Any] = {}
        for key, value in node.value:
            if key.tag != _MERGE_TAG:
                self._entry(found, key, value, steps)
        for key, value in self._merged(node, steps):
            if str(key.value) not in found:
                self._entry(found, key, value, steps)
        return found

    def _entry(self, found: dict[str, Any], key: Node, value: Node, steps: Steps) -> None:
        place = (key.start_mark.line + 1, key.start_mark.column + 1)
        if not isinstance(key, ScalarNode) or not key.value or _UNUSABLE.search(key.value):
            self._report(place, "yaml", "a key should be plain text")
            return
        name = str(key.value)
        here = (*steps, name)
        if name in found:
            first = self.document.keys[here][0]
            self._report(place, dotted(here), f"is given twice (first in line {first})")
            return
        self.document.keys[here] = place
        found[name] = self.value(value, here)
        if found[name] is None:
            # The parser places what is not there at the next token, which may be lines away.
            self.document.values[here] = place

    def _merged(
        self, node: MappingNode, steps: Steps, depth: int = 0
    ) -> Iterator[tuple[Node, Node]]:
        """The entries of what `<<` names: a mapping or a list of them, the earlier ones first."""
        if depth > DEPTH_MAX:
            self._refuse(steps, "<< names itself")
        for key, value in node.value:
            if key.tag != _MERGE_TAG:
                continue
            for part in value.value if isinstance(value, SequenceNode) else [value]:
                self._count(steps)
                if not isinstance(part, MappingNode):
                    self._break(steps, "<< should name a mapping")
                    continue
                yield from (entry for entry in part.value if entry[0].tag != _MERGE_TAG)
                yield from self._merged(part, steps, depth + 1)

    def _check_tag(self, node: Node, steps: Steps, tag: str) -> None:
        if node.tag != tag:
            self._break(steps, "tags (!...) are not used here")

    def _count(self, steps: Steps) -> None:
        self.nodes += 1
        if self.nodes > NODES_MAX:
            self._refuse(steps, f"more than {NODES_MAX} values (an alias counts as what it names)")

    def _report(self, place: Place, key: str, message: str) -> None:
        self.document.problems.append(Problem(self.document.file, *place, key, message))

    def _break(self, steps: Steps, message: str) -> None:
        self.document.report(steps, message)
        self.document.broken.add(steps)

    def _refuse(self, steps: Steps, message: str) -> NoReturn:
        self.document.report(steps, message)
        raise ConfigErrors(self.document.problems)
