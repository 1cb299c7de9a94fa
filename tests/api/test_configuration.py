"""Configuration of the account and of services: defaults, roles, webhooks, notifications."""

from __future__ import annotations

from typing import get_args

import pytest

from app import ids
from app.api.webhook_configuration import EVENTS
from app.settings.types import PostEvent
from app.store import declared

PATH = "/v1/Configuration"
MG = "MG" + "a" * 32
NOTIFICATIONS = {
    "LogEnabled": "true",
    "NewMessage.Enabled": "true",
    "NewMessage.Template": "a ${MESSAGE}",
    "NewMessage.Sound": "ring",
    "NewMessage.BadgeCountEnabled": "true",
    "NewMessage.WithMedia.Enabled": "true",
    "NewMessage.WithMedia.Template": "b ${MEDIA}",
    "AddedToConversation.Enabled": "true",
    "AddedToConversation.Template": "c",
    "AddedToConversation.Sound": "in",
    "RemovedFromConversation.Enabled": "true",
    "RemovedFromConversation.Template": "d",
    "RemovedFromConversation.Sound": "out",
}


async def pool(world) -> None:
    """The account has a messaging service."""
    async with world.runtime.db.begin() as tx:
        await tx.sql.execute(
            "INSERT INTO messaging_services (sid, account_sid, friendly_name, date_created,"
            " date_updated) VALUES ($1, $2, 'x', $3, $3) ON CONFLICT (sid) DO UPDATE"
            " SET account_sid = excluded.account_sid",
            MG,
            world.account_sid,
            tx.now,
        )


async def test_the_accounts_configuration_through_the_official_client(a_world) -> None:
    async with a_world(messaging_services={}, senders=[]) as world:
        await pool(world)
        changed = await world.api(
            lambda v1: v1.configuration().update(
                default_chat_service_sid=world.other_service_sid,
                default_messaging_service_sid=MG,
                default_inactive_timer="PT1M",
                default_closed_timer="PT90M",
            )
        )
        fetched = await world.api(lambda v1: v1.configuration().fetch())
        for one in (changed, fetched):
            assert one.default_chat_service_sid == world.other_service_sid
            assert one.default_messaging_service_sid == MG
            assert (one.default_inactive_timer, one.default_closed_timer) == ("PT1M", "PT1H30M")
        _, made = await world.call("POST", "/v1/Conversations", {})
        assert made["chat_service_sid"] == world.other_service_sid
        assert made["messaging_service_sid"] == MG
        assert set(made["timers"]) == {"date_inactive", "date_closed"}
        off = {"DefaultInactiveTimer": "PT0S", "DefaultClosedTimer": "PT0S"}
        assert await world.call("POST", PATH, off) == (
            200,
            {
                "account_sid": world.account_sid,
                "default_chat_service_sid": world.other_service_sid,
                "default_messaging_service_sid": MG,
                "default_inactive_timer": None,
                "default_closed_timer": None,
                "url": world.base + PATH,
                "links": {
                    "service": f"{world.base}/v1/Services/{world.other_service_sid}/Configuration",
                    "webhooks": f"{world.base}{PATH}/Webhooks",
                },
            },
        )


@pytest.mark.parametrize(
    ("form", "status", "code"),
    [
        ({"DefaultChatServiceSid": "x"}, 400, 50050),
        ({"DefaultChatServiceSid": "IS" + "a" * 32}, 404, 50050),
        ({"DefaultMessagingServiceSid": "x"}, 400, 50341),
        ({"DefaultInactiveTimer": "PT59S"}, 400, 50375),
        ({"DefaultInactiveTimer": "P1M"}, 400, 50379),
        ({"DefaultClosedTimer": "PT9M"}, 400, 50376),
        ({"DefaultClosedTimer": "soon"}, 400, 50380),
    ],
)
async def test_what_the_configuration_refuses(world, form, status: int, code: int) -> None:
    got, body = await world.call("POST", PATH, form)
    assert (got, body["code"]) == (status, code)


async def test_a_messaging_service_of_somebody_else_is_refused(a_world) -> None:
    async with a_world(messaging_services={}, senders=[]) as world:
        got, body = await world.call("POST", PATH, {"DefaultMessagingServiceSid": "MG" + "b" * 32})
        assert (got, body["code"]) == (403, 50342)


async def test_defaults_that_the_yaml_owns_are_changed_there(a_world) -> None:
    async with a_world(services={"support": {"default": True}}) as world:
        settings = world.runtime.settings
        async with world.runtime.db.begin() as tx:
            await declared.declare(tx, settings)
        sid = settings.service_sid("support")
        for form, place in (
            ({"DefaultChatServiceSid": world.other_service_sid}, "services.support"),
            ({"DefaultMessagingServiceSid": "MG" + "b" * 32}, "messaging_services.default"),
        ):
            status, body = await world.call("POST", PATH, form)
            assert (status, body["code"]) == (409, 20409)
            assert body["details"] == {"declared_as": place}
            assert place in body["message"]
        same = {
            "DefaultChatServiceSid": sid,
            "DefaultMessagingServiceSid": settings.messaging_service_sid("default"),
            "DefaultInactiveTimer": "P1D",
        }
        status, body = await world.call("POST", PATH, same)
        assert (status, body["default_inactive_timer"]) == (200, "P1D")


async def test_what_the_api_configured_of_a_declared_service_outlives_a_restart(a_world) -> None:
    async with a_world(services={"support": {"default": True}}) as world:
        settings = world.runtime.settings
        sid = settings.service_sid("support")
        async with world.runtime.db.begin() as tx:
            await declared.declare(tx, settings)
        tree = f"/v1/Services/{sid}/Configuration"
        await world.call("POST", tree, {"ReachabilityEnabled": "true"})
        await world.call("POST", f"{tree}/Notifications", {"LogEnabled": "true"})
        before = await world.call("GET", tree)
        async with world.runtime.db.begin() as tx:
            await declared.declare(tx, settings)
        assert await world.call("GET", tree) == before
        assert (await world.call("GET", f"{tree}/Notifications"))[1]["log_enabled"]


async def test_the_accounts_webhooks_through_the_official_client(world) -> None:
    before = await world.api(lambda v1: v1.configuration.webhooks().fetch())
    assert (before.method, before.filters, before.pre_webhook_url) == ("POST", [], None)
    changed = await world.api(
        lambda v1: v1.configuration.webhooks().update(
            method="GET",
            filters=["onMessageAdded", "onMessageAdd", "onUserUpdate"],
            pre_webhook_url="https://example.com/pre",
            post_webhook_url="https://example.com/post",
            target="webhook",
        )
    )
    assert changed.filters == ["onMessageAdded", "onMessageAdd", "onUserUpdate"]
    await world.api(lambda v1: v1.configuration.webhooks().update(filters=["onMessageRemoved"]))
    path = f"{PATH}/Webhooks"
    assert await world.call("GET", path) == (
        200,
        {
            "account_sid": world.account_sid,
            "method": "GET",
            "filters": ["onMessageRemoved"],
            "pre_webhook_url": "https://example.com/pre",
            "post_webhook_url": "https://example.com/post",
            "target": "webhook",
            "url": world.base + path,
        },
    )
    _, cleared = await world.call("POST", path, {"Filters": "", "PreWebhookUrl": ""})
    assert (cleared["filters"], cleared["pre_webhook_url"]) == ([], None)


async def test_a_services_webhooks_override_the_accounts(world) -> None:
    form = {"PostWebhookUrl": "https://example.com/all", "Filters": "onConversationAdded"}
    await world.call("POST", f"{PATH}/Webhooks", form)
    tree = f"/v1/Services/{world.service_sid}"
    empty = await world.api(
        lambda v1: v1.services(world.service_sid).configuration.webhooks().fetch()
    )
    assert (empty.method, empty.filters, empty.chat_service_sid) == ("POST", [], world.service_sid)

    async def urls() -> list[str]:
        headers = {"X-Twilio-Webhook-Enabled": "true"}
        _, made = await world.call("POST", "/v1/Conversations", {}, headers=headers)
        async with world.runtime.db.begin() as tx:
            rows = await tx.sql.fetch(
                "SELECT url FROM outbox WHERE conversation_sid = $1", made["sid"]
            )
        return [row["url"] for row in rows]

    path = f"{tree}/Configuration/Webhooks"
    await world.call("POST", path, {"Filters": "onConversationAdded"})
    assert await urls() == ["https://example.com/all"], "without a URL nothing is overridden"
    status, body = await world.call("POST", path, {"PostWebhookUrl": "https://example.com/one"})
    assert (status, body) == (
        200,
        {
            "account_sid": world.account_sid,
            "chat_service_sid": world.service_sid,
            "pre_webhook_url": None,
            "post_webhook_url": "https://example.com/one",
            "filters": ["onConversationAdded"],
            "method": "POST",
            "url": world.base + path,
        },
    )
    assert await urls() == ["https://example.com/one"]
    await world.call("POST", path, {"PostWebhookUrl": ""})
    assert await urls() == ["https://example.com/all"]


@pytest.mark.parametrize(
    ("form", "code", "said"),
    [
        ({"Method": "PUT"}, 50055, "Invalid webhook method"),
        ({"Filters": "onMessageSent"}, 50054, "Invalid webhook format"),
        ({"Echo": "perhaps"}, 20001, "Invalid Echo"),
        ({"Payload": "rich"}, 20001, "Invalid Payload"),
        ({"Target": "flex"}, 50054, "Invalid webhook format"),
        ({"PreWebhookUrl": "ftp://x"}, 50077, "Invalid pre-webhook url"),
        ({"PostWebhookUrl": "x"}, 50078, "Invalid post-webhook url"),
        ({"PreWebhookOnTimeout": "maybe"}, 50054, "Invalid webhook format"),
        ({"PreWebhookTimeout": "0"}, 50392, "PreWebhookTimeout should be greater than 0ms"),
        ({"PreWebhookTimeout": "-5"}, 50392, "PreWebhookTimeout should be greater than 0ms"),
        ({"PreWebhookTimeout": "99"}, 20001, "Invalid PreWebhookTimeout"),
        ({"PreWebhookTimeout": "5001"}, 20001, "Invalid PreWebhookTimeout"),
        ({"PreWebhookTimeout": "5s"}, 20001, "Invalid PreWebhookTimeout"),
        ({"PreWebhookTimeout": ""}, 20001, "Invalid PreWebhookTimeout"),
        ({"PostWebhookUrl": "http://x/" + "x" * 2048}, 50078, "Invalid post-webhook url"),
    ],
)
async def test_what_webhooks_refuse(world, form, code: int, said: str) -> None:
    paths = [f"{PATH}/Webhooks"]
    if "Target" not in form:  # which only the account's have
        paths.append(f"/v1/Services/{world.service_sid}/Configuration/Webhooks")
    for path in paths:
        status, body = await world.call("POST", path, form)
        assert (status, body["code"], body["message"]) == (400, code, said)


async def test_every_documented_event_may_be_filtered(world) -> None:
    assert set(get_args(PostEvent)) < EVENTS
    assert len(EVENTS) == 23
    form = [("Filters", event) for event in sorted(EVENTS)]
    status, body = await world.call("POST", f"{PATH}/Webhooks", form)
    assert (status, body["filters"]) == (200, sorted(EVENTS))


@pytest.mark.parametrize("tree", ["", "/Services/{}"])
async def test_what_happens_without_an_answer_is_configured_and_kept(world, tree: str) -> None:
    path = f"/v1{tree.format(world.service_sid)}/Configuration/Webhooks"

    async def kept() -> tuple[str, int]:
        async with world.runtime.db.begin() as tx:
            row = await tx.sql.fetchrow(
                "SELECT pre_on_timeout, pre_timeout_ms FROM webhook_configurations"
                " WHERE account_sid = $1",
                world.account_sid,
            )
        return tuple(row)

    _, before = await world.call("POST", path, {"PreWebhookUrl": "https://example.com/pre"})
    assert await kept() == ("open", 5000)
    form = {"PreWebhookOnTimeout": "Closed", "PreWebhookTimeout": "100"}
    assert await world.call("POST", path, form) == (200, before), "the original's keys, no others"
    assert await kept() == ("closed", 100)
    await world.call("POST", path, {"Method": "GET"})
    assert await kept() == ("closed", 100)


async def test_echo_and_payload_are_set_and_not_shown(world) -> None:
    for path in (f"{PATH}/Webhooks", f"/v1/Services/{world.service_sid}/Configuration/Webhooks"):
        _, before = await world.call("GET", path)
        form = {"Echo": "true", "Payload": "enriched"}
        assert await world.call("POST", path, form) == (200, before)
    async with world.runtime.db.begin() as tx:
        kept = await tx.sql.fetch(
            "SELECT echo, payload FROM webhook_configurations WHERE account_sid = $1",
            world.account_sid,
        )
    assert [tuple(row) for row in kept] == [(True, "enriched")] * 2


async def test_webhooks_that_the_yaml_owns_are_changed_there(a_world) -> None:
    async with a_world(webhooks={"post_url": "https://example.com/a"}) as world:
        async with world.runtime.db.begin() as tx:
            await declared.declare(tx, world.runtime.settings)
        path = f"{PATH}/Webhooks"
        assert (await world.call("GET", path))[1]["post_webhook_url"] == "https://example.com/a"
        status, body = await world.call("POST", path, {"Method": "GET"})
        assert (status, body["code"]) == (409, 20409)
        assert body["details"] == {"declared_as": "webhooks"}


async def role(world, service_sid: str, type_: str) -> str:
    """A new role of this type."""
    sid = ids.new(ids.ROLE)
    async with world.runtime.db.begin() as tx:
        await tx.sql.execute(
            "INSERT INTO roles (sid, account_sid, chat_service_sid, friendly_name, type,"
            " date_created, date_updated) VALUES ($1, $2, $3, 'x', $4, $5, $5)",
            sid,
            world.account_sid,
            service_sid,
            type_,
            tx.now,
        )
    return sid


async def test_a_services_configuration_through_the_official_client(world) -> None:
    sid = world.other_service_sid
    talk, serve = await role(world, sid, "conversation"), await role(world, sid, "service")
    await world.service(
        lambda service: service.configuration().update(
            default_conversation_creator_role_sid=talk,
            default_conversation_role_sid=talk,
            default_chat_service_role_sid=serve,
            reachability_enabled=True,
        )
    )
    fetched = await world.service(lambda service: service.configuration().fetch())
    assert fetched.reachability_enabled is True
    path = f"/v1/Services/{sid}/Configuration"
    assert await world.call("GET", path) == (
        200,
        {
            "chat_service_sid": sid,
            "default_conversation_creator_role_sid": talk,
            "default_conversation_role_sid": talk,
            "default_chat_service_role_sid": serve,
            "reachability_enabled": True,
            "url": world.base + path,
            "links": {
                "notifications": f"{world.base}{path}/Notifications",
                "webhooks": f"{world.base}{path}/Webhooks",
            },
        },
    )


async def test_default_roles_exist_and_have_the_right_type(world) -> None:
    sid = world.other_service_sid
    path = f"/v1/Services/{sid}/Configuration"
    talk, serve = await role(world, sid, "conversation"), await role(world, sid, "service")
    elsewhere = await role(world, world.service_sid, "conversation")
    creator, member = "DefaultConversationCreatorRoleSid", "DefaultConversationRoleSid"
    user = "DefaultChatServiceRoleSid"
    for form, expected in (
        ({creator: "x"}, (400, 50101)),
        ({member: ids.new(ids.ROLE)}, (404, 50101)),
        ({member: elsewhere}, (404, 50101)),
        ({user: ids.new(ids.ROLE)}, (404, 50102)),
        ({creator: serve}, (400, 50105)),
        ({member: serve}, (400, 50105)),
        ({user: talk}, (400, 50105)),
        ({"ReachabilityEnabled": "maybe"}, (400, 20001)),
    ):
        status, body = await world.call("POST", path, form)
        assert (status, body["code"]) == expected, form


async def test_notifications_through_the_official_client(world) -> None:
    before = await world.service(lambda one: one.configuration.notifications().fetch())
    assert before.log_enabled is False
    assert before.added_to_conversation == {
        "enabled": False,
        "template": "You have been added to the conversation ${CONVERSATION} by ${PARTICIPANT}",
        "sound": None,
    }
    assert before.new_message["badge_count_enabled"] is False
    await world.service(
        lambda one: one.configuration.notifications().update(new_message_enabled=True)
    )
    path = f"/v1/Services/{world.other_service_sid}/Configuration/Notifications"
    status, body = await world.call("POST", path, NOTIFICATIONS)
    expected = {
        "account_sid": world.account_sid,
        "chat_service_sid": world.other_service_sid,
        "log_enabled": True,
        "new_message": {
            "enabled": True,
            "template": "a ${MESSAGE}",
            "sound": "ring",
            "badge_count_enabled": True,
            "with_media": {"enabled": True, "template": "b ${MEDIA}"},
        },
        "added_to_conversation": {"enabled": True, "template": "c", "sound": "in"},
        "removed_from_conversation": {"enabled": True, "template": "d", "sound": "out"},
        "url": world.base + path,
    }
    assert (status, body) == (200, expected)
    assert await world.call("GET", path) == (200, expected)
    _, body = await world.call("POST", path, {"AddedToConversation.Template": ""})
    assert body["added_to_conversation"] == before.added_to_conversation | {
        "enabled": True,
        "sound": "in",
    }


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"NewMessage.Template": "x" * 1025}, 50058),
        ({"NewMessage.WithMedia.Template": "x" * 1025}, 50058),
        ({"RemovedFromConversation.Sound": "x" * 257}, 50059),
        ({"LogEnabled": "maybe"}, 20001),
    ],
)
async def test_what_notifications_refuse(world, form, code: int) -> None:
    path = f"/v1/Services/{world.service_sid}/Configuration/Notifications"
    status, body = await world.call("POST", path, form)
    assert (status, body["code"]) == (400, code)


async def test_a_service_that_is_not_there_has_no_configuration(world) -> None:
    tree = f"/v1/Services/{ids.new(ids.SERVICE)}/Configuration"
    for path in ("", "/Notifications", "/Webhooks"):
        for method in ("GET", "POST"):
            status, body = await world.call(method, tree + path, {})
            assert (status, body["code"]) == (404, 20404)
    assert (await world.call("GET", f"{PATH}/Notifications"))[0] == 404
    assert (await world.call("DELETE", PATH))[0] == 405


@pytest.mark.parametrize(
    ("fragment", "code"), [("rc=9", 11243), ("rp=never", 11243), ("tt=soon", 11100)]
)
async def test_connection_overrides_that_mean_nothing_are_refused(
    world, fragment: str, code: int
) -> None:
    for name in ("PreWebhookUrl", "PostWebhookUrl"):
        form = {name: f"https://example.com/hook#{fragment}"}
        status, body = await world.call("POST", f"{PATH}/Webhooks", form)
        assert (status, body["code"]) == (400, code)
