"""The text of a mail as a message: from HTML where there is nothing else, and without what it
quotes of the mails before."""

from __future__ import annotations

import re
from html import unescape

HTML_CHARS_MAX = 300_000
"""What is beyond this of an HTML mail is not read."""

BLOCKS = frozenset(
    {
        *("address", "article", "blockquote", "dd", "div", "dl", "dt", "fieldset", "footer"),
        *("form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "ol", "p"),
        *("pre", "section", "table", "tr", "ul"),
    }
)
UNSEEN = frozenset({"head", "script", "style", "template", "title"})
QUOTES = frozenset({"gmail_quote", "gmail_quote_container", "yahoo_quoted", "moz-cite-prefix"})
VOID = frozenset(
    {
        *("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source"),
        *("track", "wbr"),
    }
)

OPEN_MAX, LOOK_BACK, QUOTED_MAX = 500, 50, 5
"""Elements within elements beyond this are as if they were not there."""

# Every token begins where it can be told to, so that no text is looked at twice.
_TOKEN = re.compile(r"<(?P<end>/?)(?P<tag>[A-Za-z][A-Za-z0-9]*)(?P<rest>[^<>]*)>|[^<]+|<")
_CLASS = re.compile(r"""class\s*=\s*["']?([^"'>]{0,500})""", re.IGNORECASE)
# html.unescape does not take numbers of thousands of digits.
_ENDLESS = re.compile(r"&#[xX]?[0-9a-fA-F]{8,};?")
_SPACES = re.compile(r"[ \t\r\n\f]+")
_LINES = re.compile(r"\n{3,}")
# "On Fri, 20 Nov 2026 at 10:00, Ann <ann@example.com> wrote:", over at most two lines, in the
# languages whose mail programs end it with a word for "wrote" and a colon.
_ATTRIBUTION = re.compile(
    r"(?:On|Am|Le|El|Il|Op|Em|Den|W dniu)\b.{1,300}"
    r"(?:wrote|schrieb.*|a écrit|escribió|ha scritto|schreef.*|escreveu|skrev.*|napisał.*) ?:"
)
_ORIGINAL = re.compile(
    r"-{2,} ?(?:Original Message|Ursprüngliche Nachricht|Message d'origine) ?-{2,}"
)


def from_html(html: str) -> str:
    """What a reader of this HTML sees, roughly: its words, in lines; quotes marked with >."""
    seen = html[:HTML_CHARS_MAX]
    for begin, end in (("<!--", "-->"), ("<!", ">"), ("<?", ">")):
        seen = _without(seen, begin, end)
    return _Reader().read(seen)


def without_quotes(text: str) -> str:
    """The text without the mail that it answers: a quote at its end with the line that introduces
    it, or what follows the line "Original Message". What has nothing else is left as it is, and so
    are quotes between which somebody wrote."""
    lines = text.splitlines()
    end = next((at for at, line in enumerate(lines) if _ORIGINAL.fullmatch(line.strip())), None)
    kept = lines[:end] if end is not None else _without_last_quote(lines)
    said = "\n".join(kept).strip()
    return said or text.strip()


def _without_last_quote(lines: list[str]) -> list[str]:
    end = len(lines)
    while end and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith(">")):
        end -= 1
    if not any(line.lstrip().startswith(">") for line in lines[end:]):
        return lines
    for size in (1, 2, 3):
        if size <= end and _ATTRIBUTION.fullmatch(
            " ".join(line.strip() for line in lines[end - size : end])
        ):
            return lines[: end - size]
    return lines[:end]


class _Reader:
    """Collects the words; `_hidden` and `_quoted` are how many open elements hide or quote."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._open: list[tuple[str, bool, bool]] = []
        self._hidden = self._quoted = 0

    def read(self, html: str) -> str:
        """What is to be seen of this HTML."""
        for token in _TOKEN.finditer(html):
            if token["tag"] is None:
                self._say(token[0])
            elif token["end"]:
                self._end(token["tag"].lower())
            else:
                self._begin(token["tag"].lower(), token["rest"])
        lines = "".join(self._parts).replace("\xa0", " ").split("\n")
        return _LINES.sub("\n\n", "\n".join(line.rstrip() for line in lines)).strip()

    def _begin(self, tag: str, rest: str) -> None:
        if tag == "br":
            self._break()
        elif tag in BLOCKS:
            self._break(once=True)
        if tag in VOID or rest.endswith("/") or len(self._open) >= OPEN_MAX:
            return
        match = _CLASS.search(rest)
        words = match[1].split() if match else ()
        quotes = tag == "blockquote" or not QUOTES.isdisjoint(words)
        hides = tag in UNSEEN
        self._open.append((tag, hides, quotes))
        self._hidden += hides
        self._quoted += quotes
        if quotes:
            self._break(once=True)

    def _end(self, tag: str) -> None:
        if not any(name == tag for name, _, _ in self._open[-LOOK_BACK:]):
            return
        while self._open:
            name, hides, quotes = self._open.pop()
            self._hidden -= hides
            self._quoted -= quotes
            if name == tag:
                break
        if tag in BLOCKS:
            self._break(once=True)
        if tag == "p":
            self._break()

    def _say(self, text: str) -> None:
        if self._hidden:
            return
        said = _SPACES.sub(" ", unescape(_ENDLESS.sub("", text)))
        begins = not self._parts or self._parts[-1].endswith("\n")
        said = said.lstrip() if begins else said
        if said:
            mark = "> " * min(self._quoted, QUOTED_MAX) if begins else ""
            self._parts.append(mark + said)

    def _break(self, *, once: bool = False) -> None:
        if self._hidden or (once and (not self._parts or self._parts[-1].endswith("\n"))):
            return
        self._parts.append("\n")


def _without(html: str, begin: str, end: str) -> str:
    """Without what stands between these; what never ends goes to the end."""
    kept, at = [], 0
    while (start := html.find(begin, at)) >= 0:
        kept.append(html[at:start])
        stop = html.find(end, start + len(begin))
        if stop < 0:
            return "".join(kept)
        at = stop + len(end)
    return "".join([*kept, html[at:]])
