"""The file and the environment become settings, or one error that lists every problem."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel

from app.settings import flows, parse, reach, secrets, sense, shape, targets
from app.settings.document import Document
from app.settings.models import Settings
from app.settings.problems import ConfigErrors, Problem

FILE_BYTES_MAX = 1_048_576
# Stands in for `database.url`, also when the file gives one.
DATABASE_URL = "PARLEY_DATABASE_URL"
# Stands in for `secrets.key` where the file gives none.
SECRET_KEY = "PARLEY_SECRET_KEY"  # noqa: S105


def load(
    path: Path,
    kinds: Mapping[str, type[BaseModel]],
    environment: Mapping[str, str] = os.environ,
) -> Settings:
    """The settings in this file. `kinds` names the model of each carrier kind's own options.

    Raises ConfigErrors with every problem at once; nothing of it repeats a secret.
    """
    document = parse.parse(str(path), _read(path))
    secrets.fill(document, environment, path.parent)
    _database_url(document, environment)
    _secret_key(document, environment)
    sense.carriers(document, kinds)
    settings = shape.match(document, Settings)
    sense.accounts(document)
    sense.senders(document)
    reach.senders(document, kinds)
    sense.services(document)
    sense.addresses(document)
    sense.contents(document)
    targets.check(document)
    definitions = flows.read(document, path.parent)
    if document.problems or settings is None:
        raise ConfigErrors(document.problems)
    flows.fill(settings, definitions)
    settings.warned(map(str, sorted(document.warnings)))
    return settings


def _read(path: Path) -> str:
    """The text of the file, without a byte order mark."""
    line = 1
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
        if len(data) <= FILE_BYTES_MAX:
            return data.decode("utf-8-sig")
        message = f"is larger than {FILE_BYTES_MAX} bytes"
    except FileNotFoundError:
        message = "does not exist"
    except UnicodeDecodeError as error:
        message, line = "is not UTF-8 text", data.count(b"\n", 0, error.start) + 1
    except (OSError, ValueError) as error:
        message = f"cannot be read: {getattr(error, 'strerror', None) or 'not a path'}"
    raise ConfigErrors([Problem(str(path), line, 1, "file", message)])


def _database_url(document: Document, environment: Mapping[str, str]) -> None:
    """PARLEY_DATABASE_URL, when it is set and not empty, wins over the file."""
    url = environment.get(DATABASE_URL)
    if url:
        _stand_in(document, "database", "url", DATABASE_URL, url)


def _secret_key(document: Document, environment: Mapping[str, str]) -> None:
    """PARLEY_SECRET_KEY is the key where the file names none; a list in the file goes first."""
    key = environment.get(SECRET_KEY)
    given = document.data.get("secrets") if isinstance(document.data, dict) else None
    if key and not (isinstance(given, dict) and given.get("key")):
        _stand_in(document, "secrets", "key", SECRET_KEY, key)


def _stand_in(document: Document, name: str, key: str, variable: str, value: str) -> None:
    """The value of a variable of the environment in the place of `name.key`."""
    if not isinstance(document.data, dict):
        return
    section = document.data.get(name)
    if section is None:
        section = document.data[name] = {}
    if isinstance(section, dict):
        section[key] = value
        document.veil((name, key))
        document.variables[(name, key)] = variable
        document.broken.discard((name, key))
