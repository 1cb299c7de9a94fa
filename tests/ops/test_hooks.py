"""The log of webhooks and what operators do with it: over HTTP and on the command line."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from app.errors import Invalid, NotFound
from app.model.flows import FLOW, PLACE, flow_lane
from app.model.outbox import HOOK, endpoint
from app.ops import hooks, hooks_command
from app.ops.hook_routes import HookRoutes
from app.store import hooks_log, outbox, settling
from app.store.outbox import Claimed, NewItem
from app.store.settling import Settled
from tests.ops.conftest import HOOK_URL, House
from tests.support.clock import TurnedClock
from tests.support.settings import ACCOUNT

Client = TestClient[web.Request, web.Application]
OTHER = "AC" + "f" * 32
URL = "https://app.example.com/hook?token=secret#rc=1"
TARGET = endpoint(ACCOUNT, URL)


def item(lane: str, token: str, url: str = URL, account_sid: str = ACCOUNT) -> NewItem:
    return NewItem(
        lane=f"h:{lane}",
        kind=HOOK,
        token=token,
        account_sid=account_sid,
        conversation_sid=f"CH{lane}",
        event="onMessageAdded",
        scope="scoped",
        url=url,
        method="POST",
        params={"Body": token},
    )


class Log:
    """Puts webhooks into lanes and settles them as a test says."""

    def __init__(self, house: House) -> None:
        self.house = house

    async def add(self, *items: NewItem) -> None:
        async with self.house.runtime.db.begin() as tx:
            await outbox.add(tx.sql, items, tx.now)

    async def claim(self) -> list[Claimed]:
        async with self.house.runtime.db.begin() as tx:
            found = await outbox.claim(
                tx.sql, HOOK, limit=100, lease="x", now=tx.now, lease_s=30, rates={}
            )
        return sorted(found, key=lambda one: one.seq)

    async def settle(self, *, dead: bool = False, again_s: float | None = None) -> list[Claimed]:
        """Settle the head of every lane that is due: delivered, dead, or again after a while."""
        claimed = await self.claim()
        due = None if again_s is None else self.house.now + timedelta(seconds=again_s)
        async with self.house.runtime.db.begin() as tx:
            settled = [
                Settled(
                    one,
                    "delivered" if not dead and due is None else "refused",
                    due=due,
                    dead="given up after 3 attempts" if dead else None,
                    status_code=200 if not dead and due is None else 500,
                    detail="we cannot help +15551230001",
                    exchange={"method": "POST", "ms": {"total": 12}, "params": {"Body": "***"}},
                )
                for one in claimed
            ]
            await settling.settle(tx.sql, settled, tx.now)
        return claimed

    async def waiting(self) -> list[tuple[str, str]]:
        rows = await self.house.sql.fetch("SELECT lane, token FROM outbox ORDER BY seq")
        return [(row["lane"], row["token"]) for row in rows]


@pytest.fixture
def log(house: House) -> Log:
    return Log(house)


@pytest.fixture
async def client(house: House) -> AsyncIterator[Client]:
    async def admit(request: web.Request) -> str | None:
        return request.headers.get("Account")

    application = web.Application()
    application.add_routes(HookRoutes(house.runtime).routes(admit))
    made = TestClient(TestServer(application), headers={"Account": ACCOUNT})
    async with made:
        yield made


async def ask(client: Client, path: str, status: int = 200, **form: Any) -> Any:
    answer = await (client.post(path, data=form) if form else client.get(path))
    assert answer.status == status, await answer.text()
    return await answer.json()


async def do(client: Client, path: str, status: int = 200) -> Any:
    answer = await client.post(path)
    assert answer.status == status, await answer.text()
    return await answer.json()


async def test_the_log_is_listed_newest_first_by_target_conversation_and_outcome(
    client: Client, log: Log, clock: TurnedClock
) -> None:
    elsewhere = "https://other.example.com/x"
    await log.add(item("1", "a"), item("2", "b"), item("3", "c", elsewhere))
    await log.settle(again_s=60)
    clock.turn(61)
    await log.settle()
    every = (await ask(client, "/ops/hooks"))["hooks"]
    assert [one["id"] for one in every] == sorted((one["id"] for one in every), reverse=True)
    assert len(every) == 6
    assert every[0]["url"] == "https://other.example.com/x"
    of_target = (await ask(client, f"/ops/hooks?Target={TARGET}&Outcome=refused"))["hooks"]
    assert {one["conversation_sid"] for one in of_target} == {"CH1", "CH2"}
    assert {one["outcome"] for one in of_target} == {"refused"}
    by_url = (await ask(client, "/ops/hooks?Target=https://app.example.com/hook"))["hooks"]
    assert len(by_url) == 4
    one_conversation = (await ask(client, "/ops/hooks?Conversation=CH3"))["hooks"]
    assert [one["attempt"] for one in one_conversation] == [2, 1]
    assert "next_at" in one_conversation[1]
    page = await ask(client, "/ops/hooks?PageSize=4")
    rest = await ask(client, f"/ops/hooks?PageSize=4&Before={page['before']}")
    assert [one["id"] for one in (*page["hooks"], *rest["hooks"])] == [one["id"] for one in every]
    assert rest["before"] is None


async def test_one_attempt_is_shown_whole_and_without_secrets(client: Client, log: Log) -> None:
    await log.add(item("1", "a"), item("1", "b"))
    await log.settle(again_s=60)
    (first,) = (await ask(client, "/ops/hooks"))["hooks"]
    shown = await ask(client, f"/ops/hooks/{first['id']}")
    assert shown["state"] == "waiting"
    assert shown["waiting"]["lane_state"] == "due"
    assert (shown["method"], shown["took_ms"]) == ("POST", {"total": 12})
    assert shown["params"] == {"Body": "***"}
    assert shown["response"] == "we cannot help ***0001"
    assert "secret" not in str(shown)
    assert len(shown["attempts"]) == 1


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/ops/hooks?Target=somewhere", "Target"),
        ("/ops/hooks?Target=WH" + "0" * 32, "Target"),
        ("/ops/hooks?Outcome=lost", "Outcome"),
        ("/ops/hooks?PageSize=x", "PageSize"),
        ("/ops/hooks?PageSize=" + "9" * 30, "PageSize is too big"),
        ("/ops/hooks?PageSize=0", "PageSize should be at least 1"),
        ("/ops/hooks?Before=" + "9" * 30, "Before is too big"),
        ("/ops/hooks?Conversation=zzz", "Conversation should be"),
    ],
)
async def test_a_wrong_question_names_its_parameter(client: Client, path: str, said: str) -> None:
    assert said in (await ask(client, path, 400))["message"]


@pytest.mark.parametrize("name", ["abc", "9" * 30, "0", "-1"])
async def test_what_is_no_number_is_not_found(client: Client, name: str) -> None:
    said = await ask(client, f"/ops/hooks/{name}", 404)
    assert (said["code"], said["message"]) == (20404, f"there is no attempt {name}")
    for deed in ("skip", "unblock"):
        assert (await do(client, f"/ops/hooks/{name}/{deed}", 404))["code"] == 20404


async def test_dead_letters_of_flows_are_listed_and_replayed_with_the_others(
    client: Client, house: House, log: Log
) -> None:
    flow = "FW" + "5" * 32
    await log.add(item("1", "a"))
    await log.settle(dead=True)
    told = item("2", "b")
    heard = told.copy()
    heard["kind"], heard["lane"] = FLOW, flow_lane(flow, "CH2")
    heard["url"], heard["scope"] = PLACE + flow, "studio"
    await log.add(heard)
    async with house.runtime.db.begin() as tx:
        [claimed] = await outbox.claim(
            tx.sql, FLOW, limit=1, lease="x", now=tx.now, lease_s=30, rates={}
        )
        await settling.settle(tx.sql, [Settled(claimed, "dead", dead="no such flow")], tx.now)
    dead = (await ask(client, "/ops/hooks/dead"))["hooks"]
    assert [(one["conversation_sid"], one["url"]) for one in dead] == [
        ("CH2", PLACE + flow),
        ("CH1", "https://app.example.com/hook"),
    ]
    assert dead[0]["reason"] == "no such flow"
    assert len((await ask(client, "/ops/hooks/dead?Conversation=CH2"))["hooks"]) == 1
    status, said = await command(house, "dead")
    assert (status, len(said)) == (0, 2)
    assert PLACE + flow in said[0]
    assert "no such flow" in said[0]
    assert (await ask(client, "/ops/hooks/replay", All="true"))["replayed"] == 2
    assert {token for _, token in await log.waiting()} == {"a", "b"}


async def test_a_webhooks_sid_names_its_target(client: Client, log: Log) -> None:
    sid = await log.house.sql.fetchval("SELECT sid FROM webhook_configurations")
    await log.add(item("1", "a", HOOK_URL))
    await log.settle()
    assert len((await ask(client, f"/ops/hooks?Target={sid}"))["hooks"]) == 1


async def test_dead_letters_come_back_in_their_order_with_their_tokens(
    client: Client, log: Log, clock: TurnedClock
) -> None:
    await log.add(item("1", "a"), item("1", "b"), item("2", "c"))
    await log.settle(dead=True)
    await log.settle(dead=True)
    await log.add(item("1", "later"))
    dead = (await ask(client, "/ops/hooks/dead"))["hooks"]
    assert sorted(one["token"] for one in dead) == ["a", "b", "c"]
    clock.turn(1)
    said = await ask(client, "/ops/hooks/replay", All="true")
    assert (said["replayed"], said["more"]) == (3, False)
    assert await log.waiting() == [
        *(("h:1", "later"), ("h:1", "a"), ("h:1", "b"), ("h:2", "c")),
    ]
    assert (await ask(client, "/ops/hooks/dead"))["hooks"] == []
    assert await log.house.sql.fetchval("SELECT sum(attempts) FROM outbox") == 0


async def test_some_are_replayed_by_number_target_or_conversation(client: Client, log: Log) -> None:
    await log.add(item("1", "a"), item("2", "b"), item("3", "c", "https://x.example.com/"))
    await log.settle(dead=True)
    seq = await log.house.sql.fetchval("SELECT seq FROM dead_letters WHERE token = 'a'")
    assert (await ask(client, "/ops/hooks/replay", Seq=str(seq)))["replayed"] == 1
    assert (await ask(client, "/ops/hooks/replay", Conversation="CH2"))["replayed"] == 1
    form = {"Target": "https://x.example.com/", "NewToken": "true"}
    assert (await ask(client, "/ops/hooks/replay", **form))["replayed"] == 1
    tokens = [token for _, token in await log.waiting()]
    assert tokens[:2] == ["a", "b"]
    assert tokens[2] not in ("a", "b", "c")
    assert "Seq" in (await ask(client, "/ops/hooks/replay", 400, NewToken="true"))["message"]
    assert (
        "Until" in (await ask(client, "/ops/hooks/replay", 400, All="true", Until="x"))["message"]
    )


async def test_what_dies_again_while_all_is_replayed_is_not_replayed_again(
    client: Client, log: Log, clock: TurnedClock
) -> None:
    await log.add(item("1", "a"))
    await log.settle(dead=True)
    until = (await ask(client, "/ops/hooks/replay", All="true"))["until"]
    clock.turn(1)
    await log.settle(dead=True)
    assert (await ask(client, "/ops/hooks/replay", All="true", Until=until))["replayed"] == 0


async def test_the_first_of_a_lane_is_skipped_or_tried_now(
    client: Client, log: Log, clock: TurnedClock
) -> None:
    await log.add(item("1", "a"), item("1", "b"))
    first, second = await log.house.sql.fetch("SELECT seq FROM outbox ORDER BY seq")
    claimed = await log.claim()
    busy = await do(client, f"/ops/hooks/{first['seq']}/skip", 409)
    assert "being called" in busy["message"]
    async with log.house.runtime.db.begin() as tx:
        due = tx.now + timedelta(hours=1)
        await settling.settle(tx.sql, [Settled(claimed[0], "refused", due=due)], tx.now)
    behind = await do(client, f"/ops/hooks/{second['seq']}/skip", 409)
    assert "not the first" in behind["message"]
    assert await log.claim() == []
    await do(client, f"/ops/hooks/{first['seq']}/unblock")
    (again,) = await log.claim()
    assert (again.token, again.attempts) == ("a", 2)
    async with log.house.runtime.db.begin() as tx:
        await settling.settle(tx.sql, [Settled(again, "refused", due=due)], tx.now)
    await do(client, f"/ops/hooks/{first['seq']}/skip")
    (dead,) = (await ask(client, "/ops/hooks/dead"))["hooks"]
    assert (dead["token"], dead["reason"], dead["target"]) == (
        *("a", "skipped by an operator", TARGET),
    )
    assert [one.token for one in await log.settle()] == ["b"]
    assert await log.house.sql.fetchval("SELECT count(*) FROM lanes") == 0
    await do(client, f"/ops/hooks/{first['seq']}/skip", 404)


async def test_a_paused_target_is_shown_and_asked_at_once(
    client: Client, log: Log, clock: TurnedClock
) -> None:
    await log.house.sql.execute(
        "INSERT INTO hook_endpoints (endpoint, account_sid, url, next_at, paused_at, paused_until,"
        " pauses, reason) VALUES ($1, $2, 'https://app.example.com/hook', $3, $4, $3, 2, '503')",
        TARGET,
        ACCOUNT,
        clock.now() + timedelta(seconds=60),
        clock.now(),
    )
    (shown,) = (await ask(client, "/ops/hooks/targets"))["targets"]
    assert (shown["state"], shown["pauses"], shown["reason"]) == ("paused", 2, "503")
    await do(client, f"/ops/hooks/targets/{TARGET}/resume")
    assert await log.house.sql.fetchval("SELECT next_at FROM hook_endpoints") == clock.now()
    await do(client, f"/ops/hooks/targets/{'0' * 20}/resume", 404)


async def test_messages_are_told_again_from_an_index_on(client: Client, log: Log) -> None:
    conversation = await log.house.conversation(message_count=3)
    await log.house.sql.execute(
        "INSERT INTO messages (sid, account_sid, chat_service_sid, conversation_sid, index, author,"
        " body, source, date_created, date_updated) SELECT 'IM' || lpad(n::text, 32, '0'),"
        " account_sid, chat_service_sid, sid, n, 'ann', 'text ' || n, 'API', $2, $2"
        " FROM conversations, generate_series(0, 2) n WHERE sid = $1",
        conversation,
        log.house.now,
    )
    webhook = await log.house.sql.fetchval("SELECT sid FROM webhook_configurations")
    form = {"Conversation": conversation, "Webhook": webhook, "Index": "1"}
    said = await ask(client, "/ops/hooks/replay", **form)
    assert said == {"replayed": 2, "more": False, "index": 3, "until": 3}
    bodies = await log.house.sql.fetch("SELECT params->>'Body' AS body FROM outbox ORDER BY seq")
    assert [row["body"] for row in bodies] == ["text 1", "text 2"]
    lanes = await log.house.sql.fetchval("SELECT array_agg(lane) FROM lanes")
    assert lanes == [f"h:{webhook}:{conversation}"]
    await ask(client, "/ops/hooks/replay", 404, **(form | {"Webhook": "WH0"}))
    await ask(client, "/ops/hooks/replay", 404, **(form | {"Conversation": "CH0"}))
    wrong = await ask(client, "/ops/hooks/replay", 400, Index="1", Webhook="WH0")
    assert wrong["message"] == "Missing required parameter Conversation"


async def test_nobody_sees_or_touches_what_is_another_accounts(client: Client, log: Log) -> None:
    await log.add(item("1", "a"), item("2", "b"))
    seq = (await log.settle(dead=True))[0].seq
    await log.add(item("3", "c"))
    waiting = await log.house.sql.fetchval("SELECT seq FROM outbox")
    number = (await ask(client, "/ops/hooks"))["hooks"][0]["id"]
    client.session.headers["Account"] = OTHER
    for path in ("", "/dead", "?Conversation=CH1", f"?Target={TARGET}"):
        assert (await ask(client, "/ops/hooks" + path))["hooks"] == []
    assert (await ask(client, "/ops/hooks/targets"))["targets"] == []
    await ask(client, f"/ops/hooks/{number}", 404)
    for form in ({"Seq": str(seq)}, {"All": "true"}, {"Conversation": "CH1"}, {"Target": TARGET}):
        assert (await ask(client, "/ops/hooks/replay", **form))["replayed"] == 0
    await do(client, f"/ops/hooks/{waiting}/skip", 404)
    await do(client, f"/ops/hooks/{waiting}/unblock", 404)
    del client.session.headers["Account"]
    await ask(client, "/ops/hooks", 401)


def options(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for flags, details in hooks_command.ARGUMENTS:
        parser.add_argument(*flags, **details)
    return parser.parse_args(words)


async def command(house: House, *words: str) -> tuple[int, list[str]]:
    said: list[str] = []
    runtime = house.runtime
    status = await hooks_command.run(runtime.db, runtime.settings, options(*words), said.append)
    return status, said


async def test_the_command_lists_shows_and_replays_many(
    house: House, log: Log, clock: TurnedClock
) -> None:
    assert await command(house, "list") == (0, ["none"])
    many = hooks.BATCH_MAX + 7
    await house.sql.execute(
        "INSERT INTO dead_letters (seq, lane, kind, account_sid, token, url, event, created_at,"
        " reason, died_at, endpoint) SELECT n, 'h:' || n % 9, 'hook', $1, n, $3, 'e', $2, 'r', $2,"
        " $5 FROM generate_series(1, $4::int) n",
        ACCOUNT,
        house.now,
        URL,
        many,
        TARGET,
    )
    assert await command(house, "replay", "--target", TARGET) == (0, [f"{many:,} replayed"])
    tokens = [int(token) for _, token in await log.waiting()]
    assert tokens == sorted(tokens)
    assert len(tokens) == many
    await log.settle(again_s=5)
    status, said = await command(house, "list", "--outcome", "refused", "--limit", "3")
    assert (status, len(said)) == (0, 3)
    assert "secret" not in "".join(said)
    status, said = await command(house, "show", said[0].split()[0])
    assert '"state": "waiting"' in said[0]
    clock.turn(6)
    seq = str(await house.sql.fetchval("SELECT min(seq) FROM outbox"))
    assert await command(house, "unblock", seq) == (0, [f"{seq}: done"])
    assert await command(house, "skip", seq) == (0, [f"{seq}: done"])
    status, said = await command(house, "dead")
    assert (status, len(said)) == (0, 1)
    assert await command(house, "replay", seq) == (0, ["1 replayed"])
    assert await command(house, "replay", seq) == (1, ["0 replayed"])


@pytest.mark.parametrize(
    "words",
    [
        *("show", "show x", "list 1", "replay", "replay x", "skip 1 2", "list --outcome lost"),
        *("replay --webhook WH1", "list --account AC1", "list --limit 0", "dead --limit 201"),
        *("list --conversation zzz", "list --before 0", "show " + "9" * 30),
    ],
)
async def test_the_command_says_what_is_wrong(house: House, words: str) -> None:
    with pytest.raises(Invalid):
        await command(house, *words.split())
    with pytest.raises(NotFound):
        await command(house, "resume", TARGET)


async def test_every_list_walks_an_index(sql: asyncpg.Connection) -> None:
    await sql.execute("SET enable_seqscan = off")
    common = ["refused"], 1 << 62, 50
    asked: list[tuple[str, tuple[Any, ...]]] = [
        (hooks_log.OF_ACCOUNT, (ACCOUNT, None, *common)),
        (hooks_log.OF_TARGET, (ACCOUNT, TARGET, *common)),
        (hooks_log.OF_CONVERSATION, (ACCOUNT, "CH1", *common, None)),
        (hooks_log.OF_ITEM, (ACCOUNT, "CH1", 1, 50)),
        (hooks_log.TARGETS, (ACCOUNT, "", 50)),
    ]
    for name, scope in hooks_log.SCOPES.items():
        given = None if name == "account" else "1"
        asked.append((hooks_log.DEAD.format(scope=scope), (ACCOUNT, given, 1 << 62, 50)))
    for statement, values in asked:
        plan = await sql.fetch(f"EXPLAIN {statement}", *values)
        lines = "\n".join(row[0] for row in plan)
        assert "Seq Scan" not in lines, lines
