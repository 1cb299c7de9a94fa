"""What the YAML declares, written into the database at every start.

The file owns what it says, and only that. `declared_as` is the place that says it, such as
`addresses[0]` or `services.support`: the API may read such a thing and not change it. Where the
file is silent the API decides, and what it decided stays: the account's defaults, its webhooks,
the service that is there when none is declared.

A thing is known again by its key (a name, an address), however its place in the file moves. An
address configuration, or the account's webhooks, that the API made before the file declared it
becomes the file's and keeps its SID: a SID that was given out still names it. What is declared no
more: senders, address configurations and the account's webhooks go; services and messaging
services stay, because conversations may be in them, and so do content templates, which messages
were made of, and flows, which may be running: they are the API's from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import case, or_, text
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlmodel import SQLModel

from app import ids
from app.channels.address import channel_of
from app.model import (
    AddressConfiguration,
    MessagingService,
    Sender,
    Service,
    WebhookConfiguration,
)
from app.settings.models import DEFAULT, Settings, WebhookSettings
from app.settings.problems import dotted
from app.store import declared_contents, declared_flows, roles
from app.store.database import Tx

# "declared" in ASCII: the advisory lock of whoever declares.
TURN = 0x6465636C61726564
# Rows per statement: far below the 32767 parameters that one may have.
ROWS_MAX = 500

# What a row that is there already keeps whatever the file says.
KEPT = frozenset({"sid", "account_sid", "address", "address_country", "next_slot_at"})
KEPT |= {"date_created", "date_updated", "declared_as", "content_sid", "ask_at"}
# A service's own configuration: the file is silent on it.
KEPT |= {"default_conversation_creator_role_sid", "default_conversation_role_sid"}
KEPT |= {"default_chat_service_role_sid", "reachability_enabled", "notifications"}

ACCOUNT = """
INSERT INTO accounts AS a (sid, default_chat_service_sid, default_messaging_service_sid,
  date_created, date_updated)
VALUES ($1, coalesce($2, $3), $4, $5, $5)
ON CONFLICT (sid) DO UPDATE SET
  default_chat_service_sid = coalesce($2, a.default_chat_service_sid),
  default_messaging_service_sid = coalesce($4, a.default_messaging_service_sid),
  date_updated = $5
WHERE a.default_chat_service_sid IS DISTINCT FROM coalesce($2, a.default_chat_service_sid)
  OR a.default_messaging_service_sid
    IS DISTINCT FROM coalesce($4, a.default_messaging_service_sid)
"""

IMPLIED = """
INSERT INTO services (sid, account_sid, friendly_name, date_created, date_updated)
VALUES ($1, $2, $3, $4, $4) ON CONFLICT DO NOTHING
"""


async def declare(tx: Tx, settings: Settings) -> None:
    """Make what each account declares what the file says, and end what it says no more.

    Doing it again changes nothing. Replicas that start together take turns until their commits.
    """
    await tx.sql.execute("SELECT pg_advisory_xact_lock($1)", TURN)
    for seen in settings.houses.values():
        await _account(tx, seen)
        for kind in KINDS:
            rows = kind.declared(seen, tx.now)
            for start in range(0, len(rows), ROWS_MAX):
                await tx.run(_upsert(rows[start : start + ROWS_MAX], kind.key))
            known = [getattr(row, kind.known_by) for row in rows]
            await tx.sql.execute(kind.end, seen.account.sid, known)
        await declared_flows.declare(tx, seen)
        await roles.seed_all(tx, seen.account.sid)


async def declare_flows(tx: Tx, settings: Settings, accounts: Container[str]) -> None:
    """Make of these accounts' flows what the file says, and leave all else."""
    await tx.sql.execute("SELECT pg_advisory_xact_lock($1)", TURN)
    for sid, seen in settings.houses.items():
        if sid in accounts:
            await declared_flows.declare(tx, seen)


def default_service_sid(settings: Settings) -> str | None:
    """The service that the file makes the account's default; None: the API decides."""
    return settings.service_sid(settings.default_service) if settings.services else None


def default_messaging_service_sid(settings: Settings) -> str | None:
    """The messaging service that the file makes the account's default: the one named `default`,
    else the only one; None: the API decides."""
    names = list(settings.messaging_services)
    if DEFAULT not in names and len(names) != 1:
        return None
    return settings.messaging_service_sid(DEFAULT if DEFAULT in names else names[0])


def services(settings: Settings, now: datetime) -> list[Service]:
    """The services that the file declares."""
    return [
        Service(
            sid=settings.service_sid(name),
            account_sid=settings.account.sid,
            friendly_name=service.friendly_name or name,
            declared_as=dotted(("services", name)),
            date_created=now,
            date_updated=now,
        )
        for name, service in settings.services.items()
    ]


def messaging_services(settings: Settings, now: datetime) -> list[MessagingService]:
    """The messaging services that the file declares."""
    return [
        MessagingService(
            sid=settings.messaging_service_sid(name),
            account_sid=settings.account.sid,
            friendly_name=service.friendly_name or name,
            autocreate=service.autocreate,
            declared_as=dotted(("messaging_services", name)),
            date_created=now,
            date_updated=now,
        )
        for name, service in settings.messaging_services.items()
    ]


def senders(settings: Settings, now: datetime) -> list[Sender]:
    """The senders; in the order of their key, in which everybody locks them."""
    rows = [
        Sender(
            account_sid=settings.account.sid,
            address=sender.address,
            carrier=sender.carrier,
            messaging_service_sid=sender.messaging_service
            and settings.messaging_service_sid(sender.messaging_service),
            position=position,
        )
        for position, sender in enumerate(settings.senders)
    ]
    return sorted(rows, key=lambda row: row.address)


def addresses(settings: Settings, now: datetime) -> list[AddressConfiguration]:
    """The address configurations that the file declares."""
    rows = []
    own = {configured.address for configured in settings.addresses}
    for position, configured in enumerate(settings.whole.addresses):
        if configured.address not in own:
            continue
        rule = configured.auto_creation
        row = AddressConfiguration(
            sid=settings.address_configuration_sid(configured.address),
            account_sid=settings.account.sid,
            type=channel_of(configured.address),
            address=configured.address,
            friendly_name=configured.friendly_name,
            auto_enabled=rule.enabled,
            auto_type=rule.type,
            auto_service_sid=rule.service and settings.service_sid(rule.service),
            auto_webhook_url=rule.webhook_url,
            auto_webhook_method=rule.webhook_method,
            auto_webhook_filters=list(rule.webhook_filters),
            auto_webhook_echo=rule.webhook_echo,
            auto_webhook_payload=rule.webhook_payload,
            auto_studio_flow_sid=rule.studio_flow_sid,
            auto_studio_retry_count=rule.studio_retry_count,
            default_identities=list(rule.default_identities),
            declared_as=dotted(("addresses", position)),
            date_created=now,
            date_updated=now,
        )
        rows.append(row)
    return rows


def webhooks(settings: Settings, now: datetime) -> list[WebhookConfiguration]:
    """The account's webhooks; none when the file leaves everything about them at its default."""
    said = settings.webhooks
    if said == WebhookSettings(service_webhooks=said.service_webhooks):
        return []
    row = WebhookConfiguration(
        sid=ids.stable(ids.WEBHOOK, settings.account.sid, "webhooks"),
        account_sid=settings.account.sid,
        pre_url=said.pre_url,
        pre_on_timeout=said.pre_on_timeout,
        pre_timeout_ms=said.pre_timeout_ms,
        post_url=said.post_url,
        method=said.method,
        filters=list(said.filters),
        echo=said.echo,
        payload=said.payload,
        declared_as=_webhooks_place(settings),
        date_created=now,
        date_updated=now,
    )
    return [row]


def _webhooks_place(settings: Settings) -> str:
    """Where the file says the webhooks of this account."""
    further = [account.sid for account in settings.whole.accounts]
    if settings.account.sid not in further:
        return "webhooks"
    return dotted(("accounts", further.index(settings.account.sid), "webhooks"))


class Kind(NamedTuple):
    """One kind of thing: what the file declares of it, the unique key of its table, the column that
    the file knows it by, and how those that the file does not name any more end."""

    declared: Callable[[Settings, datetime], Sequence[SQLModel]]
    key: Sequence[Any]
    known_by: str
    end: str


KINDS = (
    Kind(
        services,
        ("sid",),
        "sid",
        """UPDATE services SET declared_as = NULL
        WHERE account_sid = $1 AND declared_as IS NOT NULL AND sid <> ALL ($2)""",
    ),
    Kind(
        messaging_services,
        ("sid",),
        "sid",
        """UPDATE messaging_services SET declared_as = NULL
        WHERE account_sid = $1 AND declared_as IS NOT NULL AND sid <> ALL ($2)""",
    ),
    Kind(
        senders,
        ("account_sid", "address"),
        "address",
        "DELETE FROM senders WHERE account_sid = $1 AND address <> ALL ($2)",
    ),
    Kind(
        addresses,
        ("account_sid", "address"),
        "address",
        """DELETE FROM address_configurations
        WHERE account_sid = $1 AND declared_as IS NOT NULL AND address <> ALL ($2)""",
    ),
    Kind(
        declared_contents.contents,
        ("sid",),
        "sid",
        """UPDATE contents SET declared_as = NULL
        WHERE account_sid = $1 AND declared_as IS NOT NULL AND sid <> ALL ($2)""",
    ),
    Kind(
        declared_contents.approvals,
        ("content_sid",),
        "content_sid",
        """UPDATE content_approvals SET declared_as = NULL
        WHERE account_sid = $1 AND declared_as IS NOT NULL AND content_sid <> ALL ($2)""",
    ),
    Kind(
        webhooks,
        ("account_sid", text("coalesce(chat_service_sid, '')")),
        "declared_as",
        """DELETE FROM webhook_configurations
        WHERE account_sid = $1 AND declared_as IS NOT NULL AND declared_as <> ALL ($2)""",
    ),
)


async def _account(tx: Tx, settings: Settings) -> None:
    """The account, and the service that is there when the file declares none."""
    implied = None if settings.services else settings.service_sid(DEFAULT)
    defaults = default_service_sid(settings), implied, default_messaging_service_sid(settings)
    await tx.sql.execute(ACCOUNT, settings.account.sid, *defaults, tx.now)
    if implied is not None:
        await tx.sql.execute(IMPLIED, implied, settings.account.sid, DEFAULT, tx.now)


def _upsert(rows: Sequence[SQLModel], key: Sequence[Any]) -> Insert:
    """Insert rows of one table. One that is there already changes only where it differs, and its
    date only when more than its place in the file does."""
    table = SQLModel.metadata.tables[str(type(rows[0]).__tablename__)]
    statement = insert(table).values([row.model_dump() for row in rows])
    given = statement.excluded
    said = [column.name for column in table.c if column.name not in KEPT]
    changes: dict[str, Any] = {name: given[name] for name in said}
    differs = where = or_(*(table.c[name].is_distinct_from(given[name]) for name in said))
    if "declared_as" in table.c:
        changes["declared_as"] = given["declared_as"]
        changes["date_updated"] = case(
            (differs, given["date_updated"]), else_=table.c["date_updated"]
        )
        where = or_(differs, table.c["declared_as"].is_distinct_from(given["declared_as"]))
    return statement.on_conflict_do_update(index_elements=key, set_=changes, where=where)
