"""The text of a mail as a message: from HTML where there is nothing else, and without what it
quotes of the mails before."""

from __future__ import annotations

import re
from html.parser import HTMLParser

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
    reader = _Reader()
    reader.feed(html[:HTML_CHARS_MAX])
    reader.close()
    return reader.text()


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


class _Reader(HTMLParser):
    """Collects the words; `_hidden` and `_quoted` are how many open elements hide or quote."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._parts: list[str] = []
        self._open: list[tuple[str, bool, bool]] = []
        self._hidden = self._quoted = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "br":
            self._break()
        elif tag in BLOCKS:
            self._break(once=True)
        if tag in VOID:
            return
        words = (dict(attrs).get("class") or "").split()
        quotes = tag == "blockquote" or not QUOTES.isdisjoint(words)
        hides = tag in UNSEEN
        self._open.append((tag, hides, quotes))
        self._hidden += hides
        self._quoted += quotes
        if quotes:
            self._break(once=True)

    def handle_endtag(self, tag: str) -> None:
        if not any(name == tag for name, _, _ in self._open[-50:]):
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

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        said = _SPACES.sub(" ", data)
        begins = not self._parts or self._parts[-1].endswith("\n")
        said = said.lstrip() if begins else said
        if said:
            mark = "> " * self._quoted if begins else ""
            self._parts.append(mark + said)

    def text(self) -> str:
        """What was collected."""
        lines = "".join(self._parts).replace("\xa0", " ").split("\n")
        return _LINES.sub("\n\n", "\n".join(line.rstrip() for line in lines)).strip()

    def _break(self, *, once: bool = False) -> None:
        if self._hidden or (once and (not self._parts or self._parts[-1].endswith("\n"))):
            return
        self._parts.append("\n")
