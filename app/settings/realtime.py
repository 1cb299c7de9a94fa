"""Applications that are connected by an SDK ("Conversations Limits": connection limits)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.settings.section import Model


class RealtimeSettings(Model):
    """What one process holds and takes (0: as many as come): of each account at once, new of each
    account and of all, requests of one connection and of each account. `connections_max` is what
    the process holds in all; `send_bytes_max` is what may wait for a client that does not read."""

    connections_max: Annotated[int, Field(ge=1)] = 7000
    account_connections_max: Annotated[int, Field(ge=0)] = 7000
    connections_per_s: Annotated[float, Field(ge=0)] = 110.0
    all_connections_per_s: Annotated[float, Field(ge=0)] = 1000.0
    requests_per_s: Annotated[float, Field(ge=0)] = 500.0
    account_requests_per_s: Annotated[float, Field(ge=0)] = 20_000.0
    send_bytes_max: Annotated[int, Field(ge=65_536)] = 1_048_576
