"""Applications that are connected by an SDK ("Conversations Limits": connection limits)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.settings.section import Model


class RealtimeSettings(Model):
    """What one process holds and takes. `connections_per_s` are those of one account,
    `requests_per_s` those of one connection (0: as many as come); `send_bytes_max` is what may wait
    for a client that does not read."""

    connections_max: Annotated[int, Field(ge=1)] = 7000
    connections_per_s: Annotated[float, Field(ge=0)] = 110.0
    requests_per_s: Annotated[float, Field(ge=0)] = 500.0
    send_bytes_max: Annotated[int, Field(ge=65_536)] = 1_048_576
