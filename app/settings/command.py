"""What `parley check-config` says: every problem of a file, or the schema of all files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from pydantic import BaseModel

from app.settings.load import load
from app.settings.models import Settings
from app.settings.problems import ConfigErrors
from app.settings.schema import schema

Kinds = Mapping[str, type[BaseModel]]

# What the line of success counts: a noun for one, the name of the section.
COUNTED = (
    ("carrier", "carriers"),
    ("sender", "senders"),
    ("messaging service", "messaging_services"),
    ("service", "services"),
    ("address configuration", "addresses"),
    ("content template", "contents"),
    ("flow", "flows"),
)


def check(
    path: Path, kinds: Kinds, out: TextIO, environment: Mapping[str, str] = os.environ
) -> int:
    """Print every problem of the file, one per line, and give 1; or what it warns of and a line
    that it is good, and give 0: the exit status of the command."""
    try:
        settings = load(path, kinds, environment)
    except ConfigErrors as errors:
        out.write(f"{errors}\n")
        return 1
    out.writelines(f"{warning}\n" for warning in settings.warnings)
    out.write(f"{path}: ok ({summary(settings)})\n")
    return 0


def print_schema(kinds: Kinds, out: TextIO) -> int:
    """Print the JSON Schema of the file and give 0."""
    out.write(json.dumps(schema(kinds), indent=2) + "\n")
    return 0


def summary(settings: Settings) -> str:
    """How much the file declares, like `2 carriers, 3 senders`; what it has none of is left out."""
    counts = [(len(getattr(settings, section)), noun) for noun, section in COUNTED]
    words = [f"{count} {noun}{'s' * (count != 1)}" for count, noun in counts if count]
    return ", ".join(words) or "no carriers"
