"""Whether a message says a keyword ("Conversation Scoped Webhook Resource", target trigger).

The documentation says only "list of keywords": here a keyword is found as whole words, in any case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

KEYWORDS_MAX = 5
KEYWORD_CHARS_MAX = 248


def matches(body: str, keywords: Iterable[str]) -> bool:
    """Whether the body holds one of these keywords, with no letter or digit on either side."""
    return any(_says(body, keyword) for keyword in keywords)


def _says(body: str, keyword: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(keyword)}(?!\w)", body, re.IGNORECASE) is not None
