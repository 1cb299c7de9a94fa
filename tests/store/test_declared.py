"""What the YAML declares is there after a start, and nothing else is touched."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from app import ids
from app.settings.models import Settings
from app.store.database import Database
from app.store.declared import declare
from tests.support.clock import TurnedClock

AC = "AC" + "1" * 32
NUMBER, OTHER, WHATSAPP = "+15005550006", "+15005550009", "whatsapp:+15005550010"
HOOK = "https://crm.example.com/hook"
TABLES = (
    *("accounts", "services", "messaging_services", "senders"),
    *("address_configurations", "webhook_configurations"),
)


def file(**sections: Any) -> Settings:
    """Settings with three senders and these sections."""
    base = {
        "account": {"sid": AC, "auth_token": "t"},
        "carriers": {"lab": {"kind": "sandbox"}},
        "senders": [{"address": each, "carrier": "lab"} for each in (NUMBER, OTHER, WHATSAPP)],
    }
    return Settings.model_validate(base | sections)


async def start(db: Database, **sections: Any) -> Settings:
    """What a replica does when it starts with this file."""
    settings = file(**sections)
    async with db.begin() as tx:
        await declare(tx, settings)
    return settings


async def rows(sql: asyncpg.Connection, table: str, order: str = "sid") -> list[dict[str, Any]]:
    return [dict(row) for row in await sql.fetch(f"SELECT * FROM {table} ORDER BY {order}")]


async def everything(sql: asyncpg.Connection) -> list[list[dict[str, Any]]]:
    return [await rows(sql, table, "1, 2") for table in TABLES]


FULL: dict[str, Any] = {
    "services": {"front": {"default": True}, "back": {"friendly_name": "Back office"}},
    "messaging_services": {"default": {"autocreate": True}, "spare": {}},
    "senders": [
        {"address": NUMBER, "carrier": "lab", "messaging_service": "spare"},
        {"address": WHATSAPP, "carrier": "lab"},
    ],
    "addresses": [
        {"address": WHATSAPP, "auto_creation": {"enabled": False}},
        {
            "address": NUMBER,
            "friendly_name": "Front desk",
            "auto_creation": {
                "type": "webhook",
                "service": "back",
                "webhook_url": HOOK,
                "webhook_filters": ["onMessageAdded"],
                "default_identities": ["alice"],
            },
        },
    ],
    "webhooks": {
        "pre_url": f"{HOOK}/before",
        "pre_on_timeout": "closed",
        "pre_timeout_ms": 900,
        "post_url": HOOK,
        "filters": ["onMessageAdded", "onMessageUpdate"],
    },
}


async def test_a_file_that_says_nothing_gives_an_account_and_one_service(
    db: Database, sql: asyncpg.Connection
) -> None:
    settings = await start(db)
    [account], [service] = await rows(sql, "accounts"), await rows(sql, "services")
    assert service["sid"] == settings.service_sid("default")
    assert (service["friendly_name"], service["declared_as"]) == ("default", None)
    assert account["sid"] == AC
    assert account["default_chat_service_sid"] == service["sid"]
    assert account["default_messaging_service_sid"] is None
    assert await rows(sql, "messaging_services") == await rows(sql, "webhook_configurations") == []


async def test_everything_that_is_declared_is_there_and_names_its_place(
    db: Database, sql: asyncpg.Connection, clock: TurnedClock
) -> None:
    settings = await start(db, **FULL)
    [account], [webhook] = await rows(sql, "accounts"), await rows(sql, "webhook_configurations")
    assert account["default_chat_service_sid"] == settings.service_sid("front")
    assert account["default_messaging_service_sid"] == settings.messaging_service_sid("default")
    assert {
        (row["sid"], row["friendly_name"], row["declared_as"])
        for row in await rows(sql, "services")
    } == {
        (settings.service_sid("front"), "front", "services.front"),
        (settings.service_sid("back"), "Back office", "services.back"),
    }
    assert {
        (row["friendly_name"], row["autocreate"], row["declared_as"])
        for row in await rows(sql, "messaging_services")
    } == {
        ("default", True, "messaging_services.default"),
        ("spare", False, "messaging_services.spare"),
    }
    assert (webhook["post_url"], webhook["method"]) == (HOOK, "POST")
    assert webhook["filters"] == ["onMessageAdded", "onMessageUpdate"]
    asked = webhook["pre_url"], webhook["pre_on_timeout"], webhook["pre_timeout_ms"]
    assert asked == (f"{HOOK}/before", "closed", 900)
    assert webhook["declared_as"] == "webhooks"
    assert webhook["date_created"] == webhook["date_updated"] == clock.now()


async def test_an_address_configuration_holds_what_the_file_says(
    db: Database, sql: asyncpg.Connection, clock: TurnedClock
) -> None:
    settings = await start(db, **FULL)
    number, whatsapp = await rows(sql, "address_configurations", "address")
    assert number == {
        "sid": settings.address_configuration_sid(NUMBER),
        "account_sid": AC,
        "type": "sms",
        "address": NUMBER,
        "friendly_name": "Front desk",
        "address_country": None,
        "auto_enabled": True,
        "auto_type": "webhook",
        "auto_service_sid": settings.service_sid("back"),
        "auto_webhook_url": HOOK,
        "auto_webhook_method": "POST",
        "auto_webhook_filters": ["onMessageAdded"],
        "auto_webhook_echo": False,
        "auto_webhook_payload": "twilio",
        "auto_studio_flow_sid": None,
        "auto_studio_retry_count": 0,
        "default_identities": ["alice"],
        "declared_as": "addresses[1]",
        "date_created": clock.now(),
        "date_updated": clock.now(),
    }
    assert (whatsapp["type"], whatsapp["auto_enabled"]) == ("whatsapp", False)
    assert (whatsapp["auto_type"], whatsapp["auto_service_sid"]) == ("default", None)
    assert whatsapp["declared_as"] == "addresses[0]"


async def test_the_same_file_changes_nothing_at_the_next_start(
    db: Database, sql: asyncpg.Connection, clock: TurnedClock
) -> None:
    await start(db, **FULL)
    before = await everything(sql)
    clock.turn(60)
    await start(db, **FULL)
    assert await everything(sql) == before


async def test_only_what_changed_is_dated_anew(
    db: Database, sql: asyncpg.Connection, clock: TurnedClock
) -> None:
    await start(db, **FULL)
    created = clock.now()
    clock.turn(60)
    turned_around = [{**FULL["addresses"][1], "friendly_name": None}, FULL["addresses"][0]]
    await start(db, **FULL | {"addresses": turned_around})
    number, whatsapp = await rows(sql, "address_configurations", "address")
    assert (number["friendly_name"], number["declared_as"]) == (None, "addresses[0]")
    assert (number["date_created"], number["date_updated"]) == (created, clock.now())
    assert whatsapp["declared_as"] == "addresses[1]", "its place moved"
    assert whatsapp["date_updated"] == created, "it says the same"


async def test_replicas_that_start_together_agree(db: Database, sql: asyncpg.Connection) -> None:
    await asyncio.gather(*(start(db, **FULL) for _ in range(6)))
    assert [len(table) for table in await everything(sql)] == [1, 2, 2, 2, 2, 1]


async def test_senders_that_are_not_declared_go_and_the_others_keep_their_turn(
    db: Database, sql: asyncpg.Connection, clock: TurnedClock
) -> None:
    await start(db)
    await sql.execute("UPDATE senders SET next_slot_at = $1", clock.now())
    one = {"address": OTHER, "carrier": "elsewhere"}
    await start(db, carriers={"elsewhere": {"kind": "sandbox"}}, senders=[one])
    [sender] = await rows(sql, "senders", "address")
    assert (sender["address"], sender["carrier"], sender["position"]) == (OTHER, "elsewhere", 0)
    assert sender["next_slot_at"] == clock.now()


async def test_what_is_declared_no_more_goes_but_services_stay_and_become_the_apis(
    db: Database, sql: asyncpg.Connection, clock: TurnedClock
) -> None:
    await start(db, **FULL)
    before = await rows(sql, "services")
    clock.turn(60)
    settings = await start(db)
    assert await rows(sql, "address_configurations") == []
    assert await rows(sql, "webhook_configurations") == []
    services = {row["sid"]: row for row in await rows(sql, "services")}
    implied = services.pop(settings.service_sid("default"))
    assert implied["date_created"] == clock.now()
    assert list(services.values()) == [row | {"declared_as": None} for row in before]
    assert {row["declared_as"] for row in await rows(sql, "messaging_services")} == {None}
    [account] = await rows(sql, "accounts")
    assert account["default_chat_service_sid"] in services, "nothing in the file changes it"


async def test_the_file_takes_over_what_the_api_made_and_its_sid_stays(
    db: Database, sql: asyncpg.Connection
) -> None:
    await start(db)
    made = ids.new(ids.ADDRESS_CONFIGURATION), ids.new(ids.WEBHOOK)
    await sql.execute(
        """INSERT INTO address_configurations (sid, account_sid, type, address, address_country,
             auto_type, auto_enabled, date_created, date_updated)
           VALUES ($1, $2, 'sms', $3, 'US', 'studio', true, now(), now())""",
        *(made[0], AC, NUMBER),
    )
    await sql.execute(
        """INSERT INTO webhook_configurations (sid, account_sid, method, date_created, date_updated)
           VALUES ($1, $2, 'GET', now(), now())""",
        *(made[1], AC),
    )
    await start(db, **FULL)
    number, _ = await rows(sql, "address_configurations", "address")
    [webhook] = await rows(sql, "webhook_configurations")
    assert (number["sid"], webhook["sid"]) == made
    assert (number["auto_type"], number["declared_as"]) == ("webhook", "addresses[1]")
    assert (webhook["method"], webhook["declared_as"]) == ("POST", "webhooks")


async def test_what_the_api_made_stays_where_the_file_is_silent(
    db: Database, sql: asyncpg.Connection
) -> None:
    await start(db)
    mine = ids.new(ids.SERVICE)
    await sql.execute(
        "INSERT INTO services (sid, account_sid, friendly_name, default_chat_service_role_sid,"
        " date_created, date_updated) VALUES ($1, $2, 'mine', 'RL1', now(), now())",
        *(mine, AC),
    )
    await sql.execute(
        """INSERT INTO webhook_configurations
             (sid, account_sid, chat_service_sid, method, date_created, date_updated)
           VALUES ('WH1', $1, NULL, 'POST', now(), now()), ('WH2', $1, $2, 'POST', now(), now())""",
        *(AC, mine),
    )
    await sql.execute("UPDATE services SET friendly_name = 'renamed' WHERE sid <> $1", mine)
    await sql.execute(
        "UPDATE accounts SET default_chat_service_sid = $1, default_messaging_service_sid = 'MG1', "
        "default_closed_timer_s = 600",
        mine,
    )
    before = await everything(sql)
    await start(db)
    assert await everything(sql) == before


async def test_a_second_account_in_the_same_database_is_left_alone(
    db: Database, sql: asyncpg.Connection
) -> None:
    await start(db, **FULL)
    before = await everything(sql)
    await start(db, account={"sid": "AC" + "2" * 32, "auth_token": "t"})
    after = await everything(sql)
    for theirs, all_rows in zip(before, after, strict=True):
        assert all(row in all_rows for row in theirs)


async def test_a_thousand_senders_are_no_trouble(db: Database, sql: asyncpg.Connection) -> None:
    many = [{"address": f"+1500555{n:04}", "carrier": "lab"} for n in range(1200)]
    addresses = [{"address": each["address"]} for each in many]
    await start(db, senders=many, addresses=addresses)
    assert await sql.fetchval("SELECT count(*) FROM senders") == 1200
    assert await sql.fetchval("SELECT count(*) FROM address_configurations") == 1200


async def test_every_service_begins_with_the_default_roles_once(
    db: Database, sql: asyncpg.Connection
) -> None:
    await start(db, **FULL)
    await sql.execute("DELETE FROM roles")
    await sql.execute(  # as one was before there were roles
        "UPDATE services SET default_conversation_creator_role_sid = NULL,"
        " default_conversation_role_sid = NULL, default_chat_service_role_sid = NULL"
        " WHERE friendly_name = 'front'"
    )
    await asyncio.gather(start(db, **FULL), start(db, **FULL))
    made = {role["sid"]: role for role in await rows(sql, "roles")}
    [front] = await rows(sql, "services WHERE friendly_name = 'front'")
    assert {role["chat_service_sid"] for role in made.values()} == {front["sid"]}
    assert [role["friendly_name"] for role in made.values()] == [
        "service admin",
        "service user",
        "channel admin",
        "channel user",
    ]
    defaults = {name: made[sid]["friendly_name"] for name, sid in front.items() if sid in made}
    assert defaults == {
        "default_conversation_creator_role_sid": "channel admin",
        "default_conversation_role_sid": "channel user",
        "default_chat_service_role_sid": "service user",
    }


async def test_each_account_declares_its_own(db: Database, sql: asyncpg.Connection) -> None:
    second = {"sid": "AC" + "2" * 32, "auth_token": "t", "webhooks": {"post_url": HOOK}}
    sections = {
        "accounts": [second],
        "senders": [
            {"address": NUMBER, "carrier": "lab"},
            {"address": OTHER, "carrier": "lab", "account": second["sid"]},
        ],
        "addresses": [{"address": NUMBER}, {"address": OTHER}],
        "services": {"front": {"account": second["sid"]}},
    }
    settings = await start(db, **sections)
    by_account = {row["sid"]: row for row in await rows(sql, "accounts")}
    assert set(by_account) == {AC, second["sid"]}
    its = settings.of(second["sid"]).service_sid("front")
    assert by_account[second["sid"]]["default_chat_service_sid"] == its
    assert by_account[AC]["default_chat_service_sid"] == settings.of(AC).service_sid("default")
    declared = {
        (row["account_sid"], row["declared_as"])
        for table in ("address_configurations", "webhook_configurations")
        for row in await rows(sql, table)
    }
    assert declared == {
        (AC, "addresses[0]"),
        (second["sid"], "addresses[1]"),
        (second["sid"], "accounts[0].webhooks"),
    }
    before = await everything(sql)
    await start(db, **sections)
    assert await everything(sql) == before


async def test_webhooks_are_told_as_the_file_says(db: Database, sql: asyncpg.Connection) -> None:
    await start(db, webhooks={"post_url": HOOK, "echo": True, "payload": "enriched"})
    [webhook] = await rows(sql, "webhook_configurations")
    assert (webhook["echo"], webhook["payload"]) == (True, "enriched")
    await start(db, webhooks={"post_url": HOOK})
    [webhook] = await rows(sql, "webhook_configurations")
    assert (webhook["echo"], webhook["payload"]) == (False, "twilio")


async def test_who_is_told_besides_is_no_declaration_of_webhooks(
    db: Database, sql: asyncpg.Connection
) -> None:
    await start(db, webhooks={"service_webhooks": "both"})
    assert await rows(sql, "webhook_configurations") == []


async def test_a_rules_webhook_has_the_echo_and_payload_of_the_file(
    db: Database, sql: asyncpg.Connection
) -> None:
    rule = {"type": "webhook", "webhook_url": HOOK, "webhook_echo": True}
    rule["webhook_payload"] = "enriched"
    await start(db, addresses=[{"address": NUMBER, "auto_creation": rule}])
    [row] = await rows(sql, "address_configurations")
    assert (row["auto_webhook_echo"], row["auto_webhook_payload"]) == (True, "enriched")
