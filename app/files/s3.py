"""Files in a bucket of S3, or of what speaks like it.

The driver is an extra (`pip install '.[s3]'`) and is imported with the first call; credentials
come from the environment, as AWS's own tools take them. What arrives there is sealed already. A
large file goes in parts, of which few are in memory; the parts of an upload that a dying process
left are for the bucket's lifecycle rule (AbortIncompleteMultipartUpload) to remove.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

from app.errors import Unavailable
from app.settings.media import S3Settings

PART_BYTES = 8 * 1_048_576  # S3 takes parts from 5 MiB on, and at most 10,000 of them
CHUNK_BYTES = 262_144
CONNECT_S, READ_S, TRIES = 5, 30, 3
MISSING = frozenset({"404", "NoSuchKey", "NotFound"})


def installed() -> bool:
    """Whether the driver is there."""
    return find_spec("aiobotocore") is not None


class S3:
    """One bucket, through one client that is kept."""

    def __init__(self, settings: S3Settings) -> None:
        self._settings = settings
        self._stack = AsyncExitStack()
        self._lock = asyncio.Lock()
        self._client: Any = None

    async def put(self, key: str, draft: Path) -> None:
        """As `Shelf` says: an object is there when all of it is."""
        client = await self._open()
        with draft.open("rb") as file, _away():
            first = await asyncio.to_thread(file.read, PART_BYTES)
            if len(first) < PART_BYTES:
                await client.put_object(**self._object(key), Body=first)
                return
            await self._put_parts(client, key, first, file)

    async def read(self, key: str, offset: int, length: int) -> AsyncIterator[bytes]:
        """As `Shelf` says."""
        client = await self._open()
        wanted = f"bytes={offset}-{offset + length - 1}"
        with _away():
            answer = await client.get_object(**self._object(key), Range=wanted)
            body = answer["Body"]
            try:
                async for chunk in body.iter_chunks(CHUNK_BYTES):
                    yield chunk
            finally:
                body.close()

    async def remove(self, key: str) -> None:
        """As `Shelf` says."""
        client = await self._open()
        with _away():
            await client.delete_object(**self._object(key))

    async def close(self) -> None:
        """As `Shelf` says."""
        await self._stack.aclose()
        self._client = None

    async def _put_parts(self, client: Any, key: str, first: bytes, file: BinaryIO) -> None:
        """One part after another; what breaks takes the others with it."""
        where = self._object(key)
        upload = (await client.create_multipart_upload(**where))["UploadId"]
        try:
            parts: list[dict[str, Any]] = []
            data = first
            while data:
                number = len(parts) + 1
                answer = await client.upload_part(
                    **where, UploadId=upload, PartNumber=number, Body=data
                )
                parts.append({"ETag": answer["ETag"], "PartNumber": number})
                data = await asyncio.to_thread(file.read, PART_BYTES)
            await client.complete_multipart_upload(
                **where, UploadId=upload, MultipartUpload={"Parts": parts}
            )
        except BaseException:
            with suppress(Exception):  # it is reported why it broke, not that its rest stays
                await client.abort_multipart_upload(**where, UploadId=upload)
            raise

    def _object(self, key: str) -> dict[str, str]:
        return {"Bucket": self._settings.bucket, "Key": f"{self._settings.prefix}{key}"}

    async def _open(self) -> Any:
        """The client. Raises Unavailable when the driver is not installed."""
        if not installed():
            raise Unavailable("the s3 extra is not installed")
        async with self._lock:
            if self._client is None:
                from aiobotocore.config import AioConfig
                from aiobotocore.session import get_session

                config = AioConfig(
                    connect_timeout=CONNECT_S, read_timeout=READ_S, retries={"max_attempts": TRIES}
                )
                made = get_session().create_client(
                    "s3",
                    region_name=self._settings.region,
                    endpoint_url=self._settings.url,
                    config=config,
                )
                self._client = await self._stack.enter_async_context(made)
        return self._client


@contextmanager
def _away() -> Iterator[None]:
    """Raises FileNotFoundError for an object that is not there, Unavailable for all else that the
    other side, or the way to it, does wrong."""
    from aiohttp import ClientError as HttpError
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code"))
        if code in MISSING:
            raise FileNotFoundError(f"the object is not in its bucket ({code})") from None
        raise Unavailable(f"the object store says {code}") from error
    except (BotoCoreError, HttpError, TimeoutError) as error:
        raise Unavailable(f"the object store is away: {type(error).__name__}") from error
