"""The Kinesis sink against moto's server: what a consumer of the stream finds there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from aiobotocore.session import get_session

from app.settings.models import Settings
from app.store.stream_followers import Claimed
from app.streams.kinesis import Kinesis, region, taken
from app.streams.sending import Message, Sent
from tests.streams.conftest import MARIA, QUICK, names, only, sink, subscribe
from tests.support.aws import standing_in
from tests.support.clock import TurnedClock
from tests.support.house import house
from tests.support.settings import ACCOUNT, settings

REGION = "eu-west-1"
ARN = f"arn:aws:kinesis:{REGION}:123456789012:stream/events"
ROLE = "arn:aws:iam::123456789012:role/parley"


@pytest.fixture(scope="module")
async def aws() -> AsyncIterator[str]:
    """The URL of moto's server."""
    async with standing_in() as url:
        yield url


@dataclass
class Consumer:
    """Somebody who reads the stream."""

    kinesis: Any
    records: list[dict[str, Any]] = field(default_factory=list)

    async def until(self, count: int) -> list[dict[str, Any]]:
        """The events in the stream, when there are so many."""
        shards = (await self.kinesis.describe_stream(StreamName="events"))["StreamDescription"]
        async with asyncio.timeout(20):
            while True:
                self.records = []
                for shard in shards["Shards"]:
                    start = await self.kinesis.get_shard_iterator(
                        StreamName="events",
                        ShardId=shard["ShardId"],
                        ShardIteratorType="TRIM_HORIZON",
                    )
                    got = await self.kinesis.get_records(ShardIterator=start["ShardIterator"])
                    self.records += got["Records"]
                if len(self.records) >= count:
                    return [json.loads(record["Data"]) for record in self.records]
                await asyncio.sleep(0.05)


@pytest.fixture
async def consumer(aws: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Consumer]:
    """A new stream, and who reads it."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    client = get_session().create_client("kinesis", region_name=REGION, endpoint_url=aws)
    async with client as kinesis:
        await kinesis.create_stream(StreamName="events", ShardCount=2)
        try:
            yield Consumer(kinesis)
        finally:
            await kinesis.delete_stream(StreamName="events")


async def test_a_sink_is_tested_validated_and_filled(
    dsn: str, aws: str, consumer: Consumer
) -> None:
    async with house(dsn, streams={**QUICK, "timeout_s": 10, "kinesis_url": aws}) as one:
        sid = await sink(one, "kinesis", arn=ARN, role_arn=ROLE, external_id="an-id")
        assert (await one.get(f"/v1/Sinks/{sid}"))["status"] == "initialized"
        await one.post(f"/v1/Sinks/{sid}/Test")
        (tested,) = await consumer.until(1)
        assert tested["type"] == "com.twilio.eventstreams.test-event"
        await one.post(f"/v1/Sinks/{sid}/Validate", TestId=tested["data"]["test_id"])
        await subscribe(one, sid, only("conversation.added", "message.added"))
        conversation = await one.conversation(MARIA, body="0")
        for n in range(1, 4):
            await one.conversation(MARIA, body=f"{n}")
        found = [event for event in await consumer.until(6) if event["id"] != tested["id"]]
        assert names(found) == ["conversation.added", *["message.added"] * 4]
        assert [event["data"]["MessageBody"] for event in found[1:]] == ["0", "1", "2", "3"]
        keys = {record["PartitionKey"] for record in consumer.records}
        assert keys == {conversation, sid}


def follower(arn: str = ARN, **configuration: str) -> Claimed:
    where = {"arn": arn, **configuration}
    return Claimed("DF1", "l", ACCOUNT, "DG1", "DF1", 0, None, 1, "kinesis", where, {})


@dataclass
class Parts:
    """As much of a runtime as the sink takes."""

    settings: Settings
    clock: TurnedClock


MESSAGES = [Message("CH1", b'{"n":1}'), Message("CH2", b'{"n":2}')]


async def test_a_stream_that_is_not_there_refuses_and_the_next_one_does_not(
    aws: str, consumer: Consumer, clock: TurnedClock
) -> None:
    given = settings(streams={"kinesis_url": aws, "timeout_s": 10})
    kinesis = Kinesis(Parts(given, clock))  # type: ignore[arg-type]
    sent = await kinesis.send(follower(ARN.replace("events", "none")), MESSAGES)
    assert (sent.arrived, sent.outcome, sent.status) == (0, "refused", 400)
    assert "ResourceNotFoundException" in (sent.detail or "")
    assert await kinesis.send(follower(), MESSAGES) == Sent(2, "delivered")
    clock.turn(timedelta(hours=1).total_seconds())
    for arn in (ARN, ARN):
        assert (await kinesis.send(follower(arn, role_arn=ROLE), MESSAGES)).outcome == "delivered"
        clock.turn(timedelta(hours=1).total_seconds())  # roles end: a new one is assumed
    assert len(await consumer.until(6)) == 6
    await kinesis.close()


async def test_a_server_that_is_away_is_unreachable(consumer: Consumer, clock: TurnedClock) -> None:
    given = settings(streams={"kinesis_url": "http://127.0.0.1:9", "timeout_s": 2})
    kinesis = Kinesis(Parts(given, clock))  # type: ignore[arg-type]
    sent = await kinesis.send(follower(), MESSAGES)
    assert (sent.arrived, sent.outcome) == (0, "unreachable")
    await kinesis.close()


def test_what_arrived_ends_before_the_first_record_that_was_refused() -> None:
    good, bad = {"SequenceNumber": "1"}, {"ErrorCode": "Throttled", "ErrorMessage": "slow"}
    assert taken([good, good]) == Sent(2, "delivered")
    assert taken([good, bad, good]) == Sent(1, "refused", detail="Throttled: slow")
    assert taken([bad, good]) == Sent(0, "refused", detail="Throttled: slow")


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:kinesis:evil.example.com/:123456789012:stream/a",
        "arn:aws:kinesis:eu-west-1.evil:123456789012:stream/a",
        "arn:aws:s3:::bucket",
        "",
    ],
)
def test_the_region_leads_nowhere_but_to_aws(arn: str) -> None:
    with pytest.raises(ValueError, match="ARN"):
        region(arn)
