"""Secrets that are changed while they are in use: one in the YAML, or a list of old and new."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import SecretStr

from app.carriers.options import Secrets as Secrets


def plain(secrets: Sequence[SecretStr]) -> tuple[str, ...]:
    """What they say."""
    return tuple(secret.get_secret_value() for secret in secrets)
