"""Who may sign access tokens, into what they lead, and when that ends."""

from __future__ import annotations

import asyncio
import contextlib
import io
from pathlib import Path
from typing import Any

import pytest
from twilio.jwt.access_token import AccessToken
from twilio.jwt.access_token.grants import ChatGrant

from app import ids
from app.__main__ import main
from app.api.access_tokens import Tokens, scope_of
from app.api.keys import LIFE_S, Keys
from app.errors import Denied
from app.ops import keys as making
from app.ops.jobs import Jobs
from app.store.bells import listen
from app.store.keys import BELL
from app.vault import Vault
from tests.support.clock import TurnedClock

from .conftest import KEY_SECRET, VAULT_KEY
from .test_keys import OPERATOR, READ, WRITE, further, make, revoke

LONG = "a-secret-of-at-least-thirty-two-characters"


def official(key: tuple[str, str], account: str, service: str, who: str = "alice") -> str:
    """What the customer's server makes."""
    token = AccessToken(account, *key, identity=who)
    token.add_grant(ChatGrant(service_sid=service))
    return token.to_jwt()


def readers(world: Any, clock: Any = None) -> Tokens:
    return Tokens(world.runtime, Keys(world.runtime.db, clock or world.runtime.clock))


async def refusal(tokens: Tokens, token: str) -> tuple[int, str]:
    with pytest.raises(Denied) as caught:
        await tokens.read(token)
    return caught.value.code, (caught.value.details or {}).get("reason", "")


@pytest.mark.parametrize("scopes", [(WRITE,), (READ, WRITE), (READ,), (OPERATOR,)])
async def test_a_key_that_may_write_signs(world, scopes: tuple[str, ...]) -> None:
    key = await make(world, *scopes)
    token = official(key, world.account_sid, world.other_service_sid)
    tokens = readers(world)
    if WRITE not in scopes:
        assert await refusal(tokens, token) == (20103, f"{key[0]} has not the scope write")
        return
    grant = await tokens.read(token)
    assert (grant.identity, grant.key_sid) == ("alice", key[0])
    assert scope_of(grant) == (world.account_sid, world.other_service_sid)
    assert await tokens.stands(grant)


async def test_a_key_of_the_file_signs_when_its_secret_cannot_be_guessed(a_world) -> None:
    sid, short = ids.new("SK"), ids.new("SK")
    keys = [{"sid": sid, "secret": LONG}, {"sid": short, "secret": KEY_SECRET}]
    account = {"sid": ids.new("AC"), "auth_token": "t", "api_keys": keys}
    async with a_world(account=account) as world:
        tokens = readers(world)
        token = official((sid, LONG), account["sid"], world.service_sid)
        grant = await tokens.read(token)
        assert await tokens.stands(grant)
        with pytest.warns(match="below the minimum"):
            token = official((short, KEY_SECRET), account["sid"], world.service_sid)
        code, reason = await refusal(tokens, token)
        assert (code, "too short" in reason) == (20103, True)


async def test_a_token_ends_with_its_key(world) -> None:
    clock = TurnedClock()
    tokens = readers(world, clock)
    key = await make(world, WRITE)
    token = official(key, world.account_sid, world.service_sid)
    grant = await tokens.read(token)
    await revoke(world.runtime.db, key[0])
    assert await tokens.stands(grant)  # believed until its time is over
    clock.turn(LIFE_S)
    assert not await tokens.stands(grant)
    assert await refusal(tokens, token) == (20103, f"there is no API key {key[0]}")


async def test_a_revocation_is_heard_at_once_in_every_process(world) -> None:
    runtime = world.runtime
    keys = Keys(runtime.db, TurnedClock())
    tokens = Tokens(runtime, keys)
    key = await make(world, WRITE)
    grant = await tokens.read(official(key, world.account_sid, world.service_sid))
    heard = asyncio.Event()

    def ring(kind: str) -> None:
        if kind == BELL:
            keys.forget()
            heard.set()

    listening = asyncio.create_task(listen(runtime.db, ring, runtime.clock, runtime.observe))
    try:
        async with asyncio.timeout(20), runtime.db.read() as tx:
            # it listens when the server says so
            while not await tx.sql.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
            ):
                await asyncio.sleep(0.02)
            assert await tokens.stands(grant)
            await revoke(runtime.db, key[0])
            await heard.wait()
            assert not await tokens.stands(grant)
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def test_a_token_leads_into_services_of_its_own_account(a_world) -> None:
    sections = further()
    async with a_world(**sections) as world:
        tokens, other = readers(world), sections["accounts"][0]["sid"]
        theirs = await make(world, WRITE, account_sid=other)  # also declares the account
        async with world.runtime.db.begin() as tx:
            service = await tx.sql.fetchval(
                "SELECT default_chat_service_sid FROM accounts WHERE sid = $1", other
            )
        grant = await tokens.read(official(theirs, other, service))
        assert scope_of(grant) == (other, service)
        for account, where, code in (
            (world.account_sid, service, 20103),
            (other, world.service_sid, 20106),
            (other, ids.new("IS"), 20106),
        ):
            assert (await refusal(tokens, official(theirs, account, where)))[0] == code
        async with world.runtime.db.begin() as tx:
            await tx.sql.execute("UPDATE services SET deleted_at = now() WHERE sid = $1", service)
        assert (await refusal(tokens, official(theirs, other, service)))[0] == 20106


async def test_a_secret_that_cannot_be_opened_signs_nothing(world) -> None:
    key = await make(world, WRITE)
    token = official(key, world.account_sid, world.service_sid)
    world.runtime.vault = Vault(["another key of thirty-two characters"])
    assert await refusal(readers(world), token) == (
        20103,
        f"the secret of {key[0]} cannot be opened",
    )
    async with world.runtime.db.begin() as tx:
        key = await making.create(tx, world.runtime.settings, Vault(), scopes=[WRITE])
    token = official(key, world.account_sid, world.service_sid)
    code, reason = await refusal(readers(world), token)
    assert (code, "is not kept" in reason) == (20103, True)


async def test_secrets_are_sealed_anew_by_the_first_key(world) -> None:
    async def nobody(_: Any) -> bool:
        return False

    key = await make(world, WRITE)
    token = official(key, world.account_sid, world.service_sid)
    world.runtime.vault = Vault(["the new key of thirty-two characters", VAULT_KEY])
    await Jobs(world.runtime, nobody).reseal()
    world.runtime.vault = Vault(["the new key of thirty-two characters"])
    assert (await readers(world).read(token)).key_sid == key[0]


def parley(*words: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([*words])
    return status, out.getvalue(), err.getvalue()


@pytest.fixture
def a_file(tmp_path: Path, dsn: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, str]:
    sid = ids.new("AC")
    path = tmp_path / "p.yaml"
    path.write_text(
        f"account: {{sid: {sid}, auth_token: t}}\n"
        f"secrets: {{key_file: {tmp_path / 'secret.key'}}}\n"
    )
    monkeypatch.setenv("PARLEY_DATABASE_URL", dsn)
    return path, sid


def test_the_command_line_makes_a_token(a_file) -> None:
    path, account = a_file
    to = ("--config", str(path))
    status, _, said = parley("token", "--identity", "alice", *to)
    assert (status, "has no API key that can sign" in said) == (1, True)
    key, secret = parley("keys", "create", *to)[1].split()[1:4:2]
    status, told, _ = parley("token", "--identity", "alice", "--ttl", "60", *to)
    made = AccessToken.from_jwt(told.strip(), secret)
    assert (status, made.headers["cty"]) == (0, "twilio-fpa;v=1")
    payload = made.payload
    assert (payload["iss"], payload["sub"]) == (key, account)
    assert payload["grants"]["identity"] == "alice"
    assert payload["exp"] - payload["nbf"] == 60
    assert parley("token", "--identity", "a", "--key", key, *to)[0] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--identity", "alice", "--ttl", "86401"), "--ttl should be between"),
        (("--identity", "alice", "--ttl", "0"), "--ttl should be between"),
        (("--identity", ""), "Identity not provided"),
        (("--identity", "alice", "--service", "IS" + "0" * 32), "has no conversation service"),
        (("--identity", "alice", "--account", "AC" + "0" * 32), "names no account"),
        (("--identity", "alice", "--key", "SK" + "0" * 32), "cannot sign"),
    ],
)
def test_a_token_that_would_be_refused_is_not_made(a_file, words, said: str) -> None:
    to = ("--config", str(a_file[0]))
    parley("keys", "create", *to)
    status, out, err = parley("token", *words, *to)
    assert (status, out, said in err) == (1, "", True), err


def test_a_key_made_without_a_vault_says_that_it_signs_nothing(a_file) -> None:
    path, account = a_file
    path.write_text(f"account: {{sid: {account}, auth_token: t}}\n")
    to = ("--config", str(path))
    assert "signs no access tokens" in parley("keys", "create", *to)[1]
    assert "signs no" not in parley("keys", "create", "--scopes", "read", *to)[1]
