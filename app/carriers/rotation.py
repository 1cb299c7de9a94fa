"""Secrets that are changed while they are in use: one in the YAML, or a list of old and new."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SecretStr

from app.settings.types import Secret


def _several(given: Any) -> Any:
    return [given] if isinstance(given, str | SecretStr) else given


Secrets = Annotated[tuple[Secret, ...], BeforeValidator(_several), Field(min_length=1)]


def plain(secrets: Sequence[SecretStr]) -> tuple[str, ...]:
    """What they say."""
    return tuple(secret.get_secret_value() for secret in secrets)
