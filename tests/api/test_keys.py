"""Who may come in, and to what: keys, scopes, accounts."""

from __future__ import annotations

import asyncio
import contextlib
import io
from typing import Any

import pytest

from app import ids
from app.__main__ import main
from app.api.keys import LIFE_S, Keys
from app.clock import Clock
from app.errors import Invalid, NotFound
from app.ops import keys as making
from app.store.database import Database
from tests.support.clock import TurnedClock

from .conftest import KEY_SECRET, OURS, OURS_TOO, TOKEN

AUTHENTICATE = {
    "code": 20003,
    "message": "Authenticate",
    "more_info": "https://www.twilio.com/docs/errors/20003",
    "status": 401,
}
READ, WRITE, OPERATOR = "read", "write", "operator"
PERSON = "+15558675310"


async def make(world: Any, *scopes: str, **more: Any) -> tuple[str, str]:
    async with world.runtime.db.begin() as tx:
        return await making.create(
            tx, world.runtime.settings, world.runtime.vault, scopes=scopes, **more
        )


async def revoke(db: Database, sid: str) -> None:
    async with db.begin() as tx:
        await making.revoke(tx, sid)


@pytest.mark.parametrize(
    ("scopes", "get", "post", "delete"),
    [
        ((READ,), 200, 403, 403),
        ((WRITE,), 200, 201, 404),
        ((READ, WRITE), 200, 201, 404),
        ((OPERATOR,), 403, 403, 403),
    ],
)
async def test_a_key_opens_what_its_scopes_say(world, scopes, get, post, delete) -> None:
    key = await make(world, *scopes)
    path = "/v1/Conversations"
    assert (await world.call("GET", path, auth=key))[0] == get
    assert (await world.call("POST", path, {}, auth=key))[0] == post
    status, body = await world.call("DELETE", f"{path}/CH{'0' * 32}", auth=key)
    assert status == delete
    if status == 403:
        assert (body["code"], body["message"]) == (20006, "Access Denied")


async def test_everybody_unknown_gets_the_same_answer(world) -> None:
    sid, secret = await make(world, WRITE)
    gone, its = await make(world, WRITE)
    await revoke(world.runtime.db, gone)
    await asyncio.sleep(LIFE_S + 0.1)
    for auth in (
        (sid, "wrong"),
        (sid, ""),
        (sid, secret + "x"),
        (gone, its),
        (ids.new("SK"), secret),
        (world.account_sid, secret),
        (world.account_sid, "é"),
        (world.key_sid, TOKEN),
        ("", ""),
    ):
        user = auth if auth != ("", "") else None
        assert await world.call("GET", "/v1/Conversations", auth=user) == (401, AUTHENTICATE), auth
    assert (await world.call("GET", "/v1/Conversations", auth=(sid, secret)))[0] == 200
    assert (await world.call("GET", "/v1/Conversations", auth=(world.key_sid, KEY_SECRET)))[
        0
    ] == 200


@pytest.mark.parametrize("header", ["Basic", "Basic ?", "Bearer x", "Basic /w==", "Basic QQ=="])
async def test_a_header_that_is_no_login_is_nobody(world, header: str) -> None:
    answer = await world.call(
        "GET", "/v1/Conversations", auth=None, headers={"Authorization": header}
    )
    assert answer == (401, AUTHENTICATE)


async def test_a_revoked_key_is_refused_within_seconds(world) -> None:
    sid, _ = await make(world, READ)
    clock = TurnedClock()
    known = Keys(world.runtime.db, clock)
    assert await known.find(sid) is not None
    await revoke(world.runtime.db, sid)
    assert await known.find(sid) is not None  # believed until its time is over
    clock.turn(LIFE_S)
    assert await known.find(sid) is None
    with pytest.raises(NotFound):
        await revoke(world.runtime.db, sid)


async def test_requests_share_one_question_about_keys(world) -> None:
    asked = 0

    class Counting(Database):
        def begin(self) -> Any:
            nonlocal asked
            asked += 1
            return super().begin()

    counting = Counting(world.runtime.db.dsn, Clock())
    known = Keys(counting, TurnedClock())
    await asyncio.gather(*(known.find(ids.new("SK")) for _ in range(20)))
    await counting.close()
    assert asked == 1


@pytest.mark.parametrize("scope", [READ, WRITE])
async def test_a_secret_is_kept_hashed_and_sealed_where_it_will_sign(world, scope: str) -> None:
    sid, secret = await make(world, scope, name="reports")
    async with world.runtime.db.begin() as tx:
        row = await tx.sql.fetchrow("SELECT * FROM api_keys WHERE sid = $1", sid)
    assert secret not in str(row)
    assert (row["friendly_name"], row["scopes"]) == ("reports", [scope])
    assert (row["sealed_secret"] is not None) == (scope == WRITE)
    await revoke(world.runtime.db, sid)
    async with world.runtime.db.begin() as tx:
        row = await tx.sql.fetchrow("SELECT * FROM api_keys WHERE sid = $1", sid)
    assert row["sealed_secret"] is None


@pytest.mark.parametrize("wrong", [{"scopes": ["all"]}, {"scopes": []}, {"account_sid": "AC1"}])
async def test_a_key_that_makes_no_sense_is_not_made(world, wrong) -> None:
    async with world.runtime.db.begin() as tx:
        with pytest.raises(Invalid):
            await making.create(tx, world.runtime.settings, world.runtime.vault, **wrong)


def test_the_command_line_makes_lists_and_revokes(dsn, tmp_path, monkeypatch) -> None:
    sid = ids.new("AC")
    path = tmp_path / "p.yaml"
    path.write_text(f"account: {{sid: {sid}, auth_token: t}}\n")
    monkeypatch.setenv("PARLEY_DATABASE_URL", dsn)

    def parley(*words: str) -> tuple[int, str]:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            status = main(["keys", *words, "--config", str(path)])
        return status, out.getvalue()

    status, told = parley("create", "--name", "reports", "--scopes", "read,operator")
    key, secret = told.split()[1], told.split()[3]
    assert (status, key[:2], len(secret)) == (0, "SK", 43)
    row = next(line for line in parley("list")[1].splitlines() if key in line)
    assert all(word in row for word in ("operator,read", "live", sid, "reports"))
    assert secret not in row
    assert parley("revoke", key)[0] == 0
    assert "revoked" in next(one for one in parley("list")[1].splitlines() if key in one)
    assert parley("revoke", key)[0] == 1
    assert parley("revoke")[0] == 2
    assert parley("create", "--scopes", "all")[0] == 1


def further(**more: Any) -> dict[str, Any]:
    """A second account with a number of its own."""
    sid = ids.new("AC")
    return {
        "accounts": [{"sid": sid, "auth_token": "another", **more}],
        "messaging_services": {"default": {}, "theirs": {"account": sid}},
        "senders": [
            {"address": OURS, "carrier": "lab", "messaging_service": "default"},
            {
                "address": OURS_TOO,
                "carrier": "lab",
                "messaging_service": "theirs",
                "account": sid,
            },
        ],
    }


async def test_accounts_see_only_their_own(a_world) -> None:
    sections = further()
    second = (sections["accounts"][0]["sid"], "another")
    async with a_world(**sections) as world:
        key = await make(world, WRITE, account_sid=second[0])  # also declares the account
        first = (world.account_sid, TOKEN)
        path = "/v1/Conversations"
        _, ours = await world.call("POST", path, {"UniqueName": "same"}, auth=first)
        _, theirs = await world.call("POST", path, {"UniqueName": "same"}, auth=second)
        assert ours["account_sid"] == first[0]
        assert theirs["account_sid"] == second[0]
        assert ours["chat_service_sid"] != theirs["chat_service_sid"]
        for auth, mine, other in (
            (first, ours, theirs),
            (second, theirs, ours),
            (key, theirs, ours),
        ):
            _, listed = await world.call("GET", path, auth=auth)
            assert [one["sid"] for one in listed["conversations"]] == [mine["sid"]]
            assert (await world.call("GET", f"{path}/{mine['sid']}", auth=auth))[0] == 200
            assert (await world.call("GET", f"{path}/{other['sid']}", auth=auth))[0] == 404
            within = f"/v1/Services/{other['chat_service_sid']}/Conversations"
            assert (await world.call("GET", within, auth=auth))[0] == 404
        pair = {"MessagingBinding.Address": PERSON, "MessagingBinding.ProxyAddress": OURS_TOO}
        _, refused = await world.call("POST", f"{path}/same/Participants", pair, auth=first)
        assert refused["code"] == 50413
        joined, _ = await world.call("POST", f"{path}/same/Participants", pair, auth=second)
        assert joined == 201
        # a key of one account is no key to another
        assert (await world.call("GET", path, auth=(second[0], TOKEN)))[0] == 401
