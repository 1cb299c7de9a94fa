"""The Kinesis sink: PutRecords, each event one record, its partition key what the event is about.

The stream and its region are in the ARN; with a `role_arn` that role is assumed, else the process's
own credentials are used. The driver is an extra (`pip install '.[kinesis]'`) and is imported
when the first event goes there. Where requests go is for AWS's host names to say, which the
region's form keeps within amazonaws.com, or for the operator (`streams.kinesis_url`): never for who
made the sink.

Kinesis may take some records of a request and refuse others. What is counted as arrived ends before
the first one refused; what came after it is sent once more. So a consumer may see an event twice,
and then what followed it again, but never the last time out of order.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from app.runtime import Runtime
from app.store.stream_followers import Claimed
from app.streams.sending import DETAIL_CHARS_MAX, Message, Sent

ARN = re.compile(
    r"arn:aws(?:-cn|-us-gov)?:kinesis:(?P<region>[a-z]{2}(?:-[a-z]+)+-\d):\d{12}:stream/"
    r"[A-Za-z0-9_.-]{1,128}"
)
ROLE_ARN = re.compile(r"arn:aws(?:-cn|-us-gov)?:iam::\d{12}:role/[A-Za-z0-9_+=,.@/-]{1,512}")
EXTERNAL_ID = re.compile(r"[A-Za-z0-9_+=,.@:/-]{2,1224}")
SESSION = "parley-event-streams"
CLIENTS_MAX = 32
ROLE_S = 2700.0
"""How long an assumed role is used; AWS gives an hour."""


def installed() -> bool:
    """Whether the driver is there."""
    return find_spec("aiobotocore") is not None


@dataclass(slots=True)
class _Client:
    """A connection to one region in one role; `used` by so many just now."""

    opened: float
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    kinesis: Any = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    used: int = 0


class Kinesis:
    """Puts records, through few clients that are kept."""

    def __init__(self, runtime: Runtime) -> None:
        self._clock = runtime.clock
        self._timeout_s = runtime.settings.streams.timeout_s
        self._url = runtime.settings.streams.kinesis_url
        self._clients: dict[tuple[str, ...], _Client] = {}
        self._retired: list[_Client] = []

    async def send(self, follower: Claimed, messages: Sequence[Message]) -> Sent:
        """All in one request."""
        if not installed():
            return Sent(0, "unreachable", detail="the kinesis extra is not installed")
        from botocore.exceptions import BotoCoreError, ClientError

        where = follower.configuration
        key = (region(where["arn"]), where.get("role_arn") or "", where.get("external_id") or "")
        client = self._kept(key)
        client.used += 1
        try:
            async with asyncio.timeout(2 * self._timeout_s):
                kinesis = await self._open(client, where)
                answer = await kinesis.put_records(
                    StreamARN=where["arn"],
                    StreamName=where["arn"].rpartition("/")[2],
                    Records=[{"Data": one.body, "PartitionKey": one.about} for one in messages],
                )
        except ClientError as error:
            self._retire(key, client)  # its credentials may be what is wrong
            said = error.response.get("Error", {})
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            return _failed("refused", f"{said.get('Code')}: {said.get('Message')}", status)
        except (BotoCoreError, OSError, TimeoutError) as error:
            return _failed("unreachable", f"{type(error).__name__}: {error}")
        finally:
            client.used -= 1
            await self._tidy()
        return taken(answer["Records"])

    async def close(self) -> None:
        """Close every client."""
        for client in (*self._clients.values(), *self._retired):
            await client.stack.aclose()

    def _kept(self, key: tuple[str, ...]) -> _Client:
        """The client for this region and role; a new one when its role is about to end."""
        now = self._clock.monotonic()
        client = self._clients.get(key)
        if client is not None and (not key[1] or now - client.opened < ROLE_S):
            return client
        if client is not None:
            self._retire(key, client)
        while len(self._clients) >= CLIENTS_MAX:
            self._retire(*next(iter(self._clients.items())))
        made = self._clients[key] = _Client(now)
        return made

    def _retire(self, key: tuple[str, ...], client: _Client) -> None:
        """Nobody takes it any more; closed when those who use it are done."""
        if self._clients.get(key) is client:
            del self._clients[key]
            self._retired.append(client)

    async def _open(self, client: _Client, where: Mapping[str, Any]) -> Any:
        async with client.lock:
            if client.kinesis is None:
                client.kinesis = await self._connect(client.stack, where)
        return client.kinesis

    async def _connect(self, stack: AsyncExitStack, where: Mapping[str, Any]) -> Any:
        from aiobotocore.config import AioConfig
        from aiobotocore.session import get_session

        session = get_session()
        options: dict[str, Any] = {
            "region_name": region(where["arn"]),
            "endpoint_url": self._url,
            "config": AioConfig(
                connect_timeout=self._timeout_s,
                read_timeout=self._timeout_s,
                retries={"total_max_attempts": 1},
            ),
        }
        if where.get("role_arn"):
            options |= await _assumed(session, where, options)
        return await stack.enter_async_context(session.create_client("kinesis", **options))

    async def _tidy(self) -> None:
        """Close those that are retired and unused."""
        unused = [client for client in self._retired if not client.used]
        self._retired = [client for client in self._retired if client.used]
        for client in unused:
            await client.stack.aclose()


async def _assumed(session: Any, where: Mapping[str, Any], options: dict[str, Any]) -> Any:
    """The credentials of a role."""
    asked = {"RoleArn": where["role_arn"], "RoleSessionName": SESSION}
    if where.get("external_id"):
        asked["ExternalId"] = where["external_id"]
    async with session.create_client("sts", **options) as sts:
        given = (await sts.assume_role(**asked))["Credentials"]
    return {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }


def region(arn: str) -> str:
    """The region of a stream's ARN. Raises ValueError for what is no such ARN."""
    match = ARN.fullmatch(arn)
    if match is None:
        raise ValueError("not the ARN of a stream")
    return match["region"]


def taken(records: Sequence[Mapping[str, Any]]) -> Sent:
    """What the answer to a request says: as many as before the first that was refused."""
    for place, record in enumerate(records):
        if record.get("ErrorCode"):
            detail = f"{record['ErrorCode']}: {record.get('ErrorMessage')}"
            return Sent(place, "refused", detail=detail[:DETAIL_CHARS_MAX])
    return Sent(len(records), "delivered")


def _failed(outcome: str, detail: str, status: int | None = None) -> Sent:
    return Sent(0, outcome, status, detail[:DETAIL_CHARS_MAX])
