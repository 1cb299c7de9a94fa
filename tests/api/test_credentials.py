"""Credentials of push services through the official client. Secrets never come back."""

from __future__ import annotations

import pytest
from twilio.base.exceptions import TwilioRestException

from app import ids
from app.errors import Unsealable
from app.store import credentials
from app.vault import Vault

PATH = "/v1/Credentials"
SECRETS = {
    "Certificate": "-----BEGIN CERTIFICATE-----",
    "PrivateKey": "-----BEGIN RSA PRIVATE KEY-----",
    "ApiKey": "key-of-gcm",
    "Secret": "secret-of-fcm",
}


async def kept(world, sid: str) -> dict:
    async with world.runtime.db.begin() as tx:
        return dict(await tx.sql.fetchrow("SELECT * FROM credentials WHERE sid = $1", sid))


async def revealed(world, sid: str) -> dict[str, str]:
    async with world.runtime.db.begin() as tx:
        credential = await credentials.find(tx, world.account_sid, sid)
    assert credential is not None
    return credentials.reveal(credential, world.runtime.vault)


async def test_a_credential_lives_through_the_official_client(world) -> None:
    made = await world.api(
        lambda v1: v1.credentials.create(
            type="apn",
            friendly_name="phones",
            certificate=SECRETS["Certificate"],
            private_key=SECRETS["PrivateKey"],
            sandbox=True,
        )
    )
    assert (made.type, made.friendly_name, made.sandbox) == ("apn", "phones", "true")
    fetched = await world.api(lambda v1: v1.credentials(made.sid).fetch())
    assert fetched.sandbox == "true"
    changed = await world.api(lambda v1: v1.credentials(made.sid).update(sandbox=False))
    assert (changed.sandbox, changed.friendly_name) == ("false", "phones")
    assert (await revealed(world, made.sid))["private_key"] == SECRETS["PrivateKey"]
    listed = await world.api(lambda v1: v1.credentials.list())
    assert [one.sid for one in listed] == [made.sid]
    assert await world.api(lambda v1: v1.credentials(made.sid).delete())
    with pytest.raises(TwilioRestException) as gone:
        await world.api(lambda v1: v1.credentials(made.sid).delete())
    assert (gone.value.status, gone.value.code) == (404, 20404)


@pytest.mark.parametrize(("type_", "sandbox"), [("apn", "false"), ("gcm", None), ("fcm", None)])
async def test_the_json_is_exactly_the_documented_one(world, type_: str, sandbox) -> None:
    status, made = await world.call("POST", PATH, {"Type": type_, **SECRETS})
    assert (status, made) == (
        201,
        {
            "sid": made["sid"],
            "account_sid": world.account_sid,
            "friendly_name": None,
            "type": type_,
            "sandbox": sandbox,
            "date_created": made["date_created"],
            "date_updated": made["date_created"],
            "url": f"{world.base}{PATH}/{made['sid']}",
        },
    )
    assert await world.call("GET", made["url"]) == (200, made)


async def test_a_credential_keeps_what_belongs_to_its_type(world) -> None:
    _, made = await world.call("POST", PATH, {"Type": "gcm", "Sandbox": "true", **SECRETS})
    row = await kept(world, made["sid"])
    assert await revealed(world, made["sid"]) == {"api_key": SECRETS["ApiKey"]}
    others = ("certificate", "private_key", "secret", "sandbox")
    assert [row[column] for column in others] == [None] * 4
    form = {"Type": "fcm", "Secret": SECRETS["Secret"]}
    _, changed = await world.call("POST", made["url"], form)
    assert changed["type"] == "fcm"
    assert await revealed(world, made["sid"]) == {"secret": SECRETS["Secret"]}


async def test_the_database_holds_no_secret_that_anybody_could_read(world) -> None:
    form = {"Type": "apn", **SECRETS}
    _, made = await world.call("POST", PATH, form)
    _, twin = await world.call("POST", PATH, form)
    row, other = await kept(world, made["sid"]), await kept(world, twin["sid"])
    for column, name in (("certificate", "Certificate"), ("private_key", "PrivateKey")):
        assert row[column].startswith(world.runtime.vault.prefix)
        assert row[column] != other[column]
        assert SECRETS[name] not in str(row)
    async with world.runtime.db.begin() as tx:
        await tx.sql.execute(
            "UPDATE credentials SET certificate = $2 WHERE sid = $1",
            *(made["sid"], other["certificate"]),
        )
    with pytest.raises(Unsealable, match="about something else"):
        await revealed(world, made["sid"])


async def test_without_a_key_a_secret_is_refused_and_the_rest_is_taken(world) -> None:
    world.runtime.vault = Vault()
    status, body = await world.call("POST", PATH, {"Type": "fcm", "Secret": "x"})
    assert (status, body["code"]) == (403, 20403)
    assert "secrets.key" in body["message"]
    assert (await world.call("POST", PATH, {"Type": "fcm"}))[0] == 201


async def test_what_older_keys_sealed_is_sealed_by_the_first(world) -> None:
    new, old = "n" * 32, "o" * 32
    made = []
    for vault in (Vault([old]), Vault(["lost" * 8]), Vault([new])):
        world.runtime.vault = vault
        _, one = await world.call("POST", PATH, {"Type": "fcm", "Secret": "s"})
        made.append(one["sid"])
    _, plain = await world.call("POST", PATH, {"Type": "fcm"})
    async with world.runtime.db.begin() as tx:
        await tx.sql.execute("UPDATE credentials SET secret = 's' WHERE sid = $1", plain["sid"])
    vault, after, lost = Vault([new, old]), min(made)[:-1], 0
    while after is not None:
        async with world.runtime.db.begin() as tx:
            after, more = await credentials.reseal(tx, vault, after, 2)
        lost += more
    assert lost == 1
    world.runtime.vault = Vault([new])
    for sid in (made[0], made[2], plain["sid"]):
        assert await revealed(world, sid) == {"secret": "s"}
        assert (await kept(world, sid))["secret"].startswith(Vault([new]).prefix)


@pytest.mark.parametrize(
    ("form", "code", "said"),
    [
        ({}, 20001, "Missing required parameter Type in the post body"),
        ({"Type": "pigeon"}, 20001, "Invalid Type"),
        ({"Type": "apn", "FriendlyName": "x" * 65}, 50003, "Friendly name too long"),
        ({"Type": "apn", "Sandbox": "maybe"}, 20001, "Invalid Sandbox"),
        ({"Type": "apn", "PrivateKey": "x" * 16_385}, 20001, "Invalid PrivateKey"),
    ],
)
async def test_what_credentials_refuse(world, form, code: int, said: str) -> None:
    status, body = await world.call("POST", PATH, form)
    assert (status, body["code"], body["message"]) == (400, code, said)


async def test_credentials_are_listed_in_pages(world) -> None:
    made = [(await world.call("POST", PATH, {"Type": "fcm"}))[1]["sid"] for _ in range(5)]
    found, url = [], f"{PATH}?PageSize=2"
    while url:
        _, body = await world.call("GET", url)
        found += [one["sid"] for one in body["credentials"]]
        url = body["meta"]["next_page_url"]
    assert (found, body["meta"]["key"]) == (made, "credentials")
    _, body = await world.call("GET", f"{PATH}?PageSize=500")
    assert body["meta"]["page_size"] == 100


async def test_a_credential_of_another_account_is_not_found(world, a_world) -> None:
    async with a_world() as other:
        _, made = await other.call("POST", PATH, {"Type": "fcm"})
    for sid in (made["sid"], ids.new(ids.CREDENTIAL), "x"):
        for method in ("GET", "POST", "DELETE"):
            assert (await world.call(method, f"{PATH}/{sid}", {}))[0] == 404
    assert (await world.call("GET", f"/v1/Services/{world.service_sid}/Credentials"))[0] == 404
