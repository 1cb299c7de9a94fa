"""The key under which secrets of others are kept ("Credential Resource")."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr

from app.settings.section import Model

Key = Annotated[SecretStr, Field(min_length=32)]


class SealingSettings(Model):
    """One key or, while one takes the place of another, several: the first seals, all open. Without
    any, `key_file` holds one; it is made when it is needed."""

    key: Key | tuple[Key, ...] | None = None
    key_file: Annotated[str, Field(min_length=1)] = "./var/secret.key"

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that are given, in their order."""
        if self.key is None:
            return ()
        given = self.key if isinstance(self.key, tuple) else (self.key,)
        return tuple(one.get_secret_value() for one in given)
