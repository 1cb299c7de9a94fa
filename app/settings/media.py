"""Files of messages: where they are kept, how large they may be, how they are fetched."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.settings.retries import RetrySettings
from app.settings.section import Model
from app.settings.types import WebUrl


class S3Settings(Model):
    """A bucket of S3 or of what speaks like it (`url`); names of files begin with `prefix`.
    Credentials come from the environment, as AWS's own tools take them."""

    bucket: Annotated[str, Field(min_length=3, max_length=63)]
    prefix: Annotated[str, Field(max_length=512)] = ""
    region: Annotated[str, Field(min_length=1)] = "us-east-1"
    url: WebUrl | None = None


class MediaSettings(RetrySettings):
    """How files are kept, and how those of inbound messages are fetched (`fetch`) from carriers and
    tried again; a fetch is given up after the whole schedule.

    `url_s` is how long a temporary URL is good, `carrier_url_s` one that a carrier gets;
    `unattached_s` how long a file may wait for its message.
    """

    waits_s: tuple[Annotated[float, Field(gt=0, le=86_400)], ...] = (
        *(1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0),
    )
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 60.0
    in_flight: Annotated[int, Field(ge=1, le=1000)] = 16
    fetch: bool = True
    folder: Annotated[str, Field(min_length=1)] = "./var/media"
    free_bytes_min: Annotated[int, Field(ge=0)] = 268_435_456
    bytes_max: Annotated[int, Field(gt=0, le=2**31 - 1)] = 157_286_400
    upload_s: Annotated[float, Field(gt=0, le=3000)] = 900.0
    unattached_s: Annotated[float, Field(ge=1)] = 300.0
    url_s: Annotated[int, Field(ge=1)] = 300
    carrier_url_s: Annotated[int, Field(ge=60)] = 14_400
    s3: S3Settings | None = None
