"""Every number that a refusal here can carry, each reached over HTTP; and that none is left out."""

from __future__ import annotations

import ast
import io
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import jwt
import pytest

from app import ids
from app.api.client_media import service_path
from app.rules import access_tokens
from app.rules.access_tokens import Signer
from app.vault import Vault

from .conftest import LONELY, OURS, OURS_TOO, OURS_WHATSAPP, TOKEN, World
from .test_keys import make

ROOT = Path(__file__).parents[2] / "app"
ROOMS = (
    "api/*.py",
    "files/*.py",
    "media/*.py",
    "road/*.py",
    "rules/*.py",
    "store/*.py",
    "vault.py",
)
# A number to which a status is added for what has none of its own: 20413, 20422.
NO_CODE = {20000}
# What only who comes by the socket can be told: tests/realtime.
BY_SOCKET = {50430, 50531}

PERSON, OTHER, THIRD = "+15558675310", "+15558675311", "+15558675312"
ADDRESS, PROXY = "MessagingBinding.Address", "MessagingBinding.ProxyAddress"
PROJECTED, LEVEL = "MessagingBinding.ProjectedAddress", "MessagingBinding.Level"
PAIR = {ADDRESS: PERSON, PROXY: OURS}
LONG = "x" * 257
IT, WITH = "Conversations/it", "ConversationWithParticipants"
P, M, W = f"{IT}/Participants", f"{IT}/Messages", f"{IT}/Webhooks"
DONE, GROUP = "Conversations/done", "Conversations/group"
ANN, BOB = f"{P}/ann", f"{P}/bob"
CONFIG, ADDRESSES = "Configuration", "Configuration/Addresses"
SERVICE = "Services/{service}/Configuration"
ROLE = {"FriendlyName": "r", "Type": "conversation", "Permission": "sendMessage"}
HOOK = {
    "Target": "webhook",
    "Configuration.Url": "https://x.example/",
    "Configuration.Filters": "onMessageAdded",
}
TRIGGER = {"Target": "trigger", "Configuration.Url": "https://x.example/"}
TRIGGERS = "Configuration.Triggers"
SMS = {"Type": "sms", "Address": OURS}
NOBODY, ELSEWHERE = "0" * 32, "a" * 32

Form = dict[str, str] | list[tuple[str, str]]

POSTED: list[tuple[int, int, str, Form]] = [
    (20001, 400, P, {}),
    (20404, 404, f"Conversations/CH{NOBODY}", {"State": "active"}),
    (20409, 409, ADDRESSES, SMS),
    (50000, 400, "Services", {"FriendlyName": ""}),
    (50003, 400, "Conversations", {"FriendlyName": LONG}),
    (50004, 400, "Conversations", {"UniqueName": LONG}),
    (50050, 404, CONFIG, {"DefaultChatServiceSid": f"IS{NOBODY}"}),
    (50054, 400, f"{CONFIG}/Webhooks", {"Filters": "onNothing"}),
    (50392, 400, f"{CONFIG}/Webhooks", {"PreWebhookTimeout": "0"}),
    (50055, 400, f"{CONFIG}/Webhooks", {"Method": "PUT"}),
    (50058, 400, f"{SERVICE}/Notifications", {"NewMessage.Template": "x" * 1025}),
    (50059, 400, f"{SERVICE}/Notifications", {"NewMessage.Sound": LONG}),
    (50065, 400, ADDRESSES, SMS | {"AutoCreation.StudioRetryCount": "4"}),
    (50077, 400, f"{CONFIG}/Webhooks", {"PreWebhookUrl": "ftp://x"}),
    (50078, 400, f"{CONFIG}/Webhooks", {"PostWebhookUrl": "ftp://x"}),
    (50100, 404, "Users", {"Identity": "x", "RoleSid": f"RL{NOBODY}"}),
    (50101, 404, SERVICE, {"DefaultConversationRoleSid": f"RL{NOBODY}"}),
    (50102, 404, SERVICE, {"DefaultChatServiceRoleSid": f"RL{NOBODY}"}),
    (50103, 400, "Users", {"Identity": "x", "RoleSid": ""}),
    (50104, 400, "Roles", ROLE | {"Permission": "fly"}),
    (50105, 400, "Roles", ROLE | {"Type": "channel"}),
    (50109, 404, P, {"Identity": "x", "RoleSid": f"RL{NOBODY}"}),
    (50201, 409, "Users", {"Identity": "ann"}),
    (50203, 400, P, {"Identity": "system"}),
    (50204, 400, P, {"Identity": ""}),
    (50206, 400, P, {"Identity": f"US{ELSEWHERE}"}),
    (50207, 400, P, {"Identity": LONG}),
    (50210, 400, "Users/ann/Conversations/it", {"NotificationLevel": "loud"}),
    (50211, 400, P, {"Identity": "x", **PAIR}),
    (50303, 400, P, {"Identity": "x", "Attributes": f'"{"x" * 4096}"'}),
    (50304, 400, P, {"Identity": "x", "Attributes": "{"}),
    (50308, 400, "Conversations", {"DateCreated": "then"}),
    (50309, 400, "Conversations", {"DateUpdated": "then"}),
    (50310, 400, M, {"Body": "x", "Author": LONG}),
    (50341, 400, "Conversations", {"MessagingServiceSid": "MG1"}),
    (50347, 400, IT, {}),
    (50353, 409, "Conversations", {"UniqueName": "it"}),
    (50362, 400, W, [*TRIGGER.items(), *((TRIGGERS, str(n)) for n in range(6))]),
    (50364, 400, W, HOOK | {"Target": "pigeon"}),
    (50365, 400, W, HOOK | {"Configuration.Filters": "onMessageAdd"}),
    (50366, 400, W, TRIGGER | {TRIGGERS: "x" * 249}),
    (50367, 400, W, {"Target": "studio", "Configuration.FlowSid": "x"}),
    (50368, 400, W, HOOK | {"Target": ""}),
    (50369, 400, W, {"Target": "webhook"}),
    (50370, 400, W, {"Target": "webhook", "Configuration.Url": "https://x.example/"}),
    (50371, 400, W, TRIGGER),
    (50372, 400, W, HOOK | {"Configuration.Url": "http://x/" + "x" * 512}),
    (50373, 400, P, {ADDRESS: PERSON, PROXY: LONELY}),
    (50374, 400, "Conversations", {"State": ""}),
    (50375, 400, "Conversations", {"Timers.Inactive": "PT59S"}),
    (50376, 400, "Conversations", {"Timers.Closed": "PT599S"}),
    (50377, 400, f"{DONE}/Messages", {"Body": "x"}),
    (50378, 400, "Conversations", {"State": "gone"}),
    (50379, 400, "Conversations", {"Timers.Inactive": "P1M"}),
    (50380, 400, "Conversations", {"Timers.Closed": "P1Y"}),
    (50384, 400, "Conversations", {"State": "closed"}),
    (50386, 409, "Conversations/young/Messages", {"Body": "x"}),
    (50390, 400, "Conversations", {"UniqueName": f"CH{NOBODY}"}),
    (50405, 400, ANN, {"LastReadTimestamp": "then"}),
    (50407, 400, P, {ADDRESS: "nobody", PROXY: OURS}),
    (50408, 400, P, {ADDRESS: PERSON, PROXY: "nobody"}),
    (50409, 400, P, {ADDRESS: OURS, PROXY: OURS}),
    (50411, 400, P, {ADDRESS: "", PROXY: OURS}),
    (50412, 400, P, {ADDRESS: PERSON, PROXY: ""}),
    (50413, 403, P, {ADDRESS: PERSON, PROXY: "+15005550099"}),
    (50414, 400, P, {ADDRESS: PERSON, PROXY: OURS_WHATSAPP}),
    (50415, 400, P, {ADDRESS: f"whatsapp:{PERSON}", PROXY: f"whatsapp:{OURS}"}),
    (50416, 409, P, PAIR),
    (50420, 400, P, {ADDRESS: PERSON, PROXY: OURS_TOO, LEVEL: "cc"}),
    (50421, 400, ANN, {"LastReadMessageIndex": "x"}),
    (50424, 400, WITH, {"Participant": "["}),
    (50425, 409, WITH, {"Participant": f'{{"{ADDRESS}": "{PERSON}", "{PROXY}": "{OURS}"}}'}),
    (50426, 400, WITH, [("Participant", '{"identity": "x"}')] * 11),
    (50433, 409, P, {"Identity": "ann"}),
    (50434, 400, f"{GROUP}/Participants", {"Identity": "x"}),
    (50435, 400, P, {ADDRESS: THIRD}),
    (50437, 409, f"{GROUP}/Participants", {ADDRESS: OTHER}),
    (50438, 409, "Conversations/twin/Participants", {ADDRESS: OTHER}),
    (50439, 403, P, {PROJECTED: "+15005550099"}),
    (50440, 400, ANN, {PROXY: ""}),
    (50441, 400, ANN, {PROXY: OURS}),
    (50442, 400, ANN, {PROJECTED: ""}),
    (50443, 400, P, PAIR | {PROJECTED: OURS}),
    (50444, 400, ANN, {"Identity": "bob"}),
    (50453, 400, P, {ADDRESS: "ann@example.com", PROXY: OURS}),
    (50503, 400, M, {}),
    (50504, 400, M, {"Body": "x" * 32_769}),
    (50507, 404, M, {"MediaSid": f"ME{NOBODY}"}),
    (50510, 400, M, {"MediaSid": "x"}),
    (50513, 400, f"{GROUP}/Messages", {"Body": "x", "Author": "stranger"}),
    (50526, 400, M, {"ContentSid": "x"}),
    (50527, 400, M, {"Body": "x", "ContentVariables": "[]"}),
    (50528, 400, M, {"Body": "x", "ContentVariables": "{}"}),
    (50529, 400, M, {"ContentVariables": json.dumps({str(n): "" for n in range(101)})}),
    (50540, 400, M, {"ContentVariables": json.dumps({"k" * 17: ""})}),
    (50541, 400, M, {"ContentVariables": json.dumps({"k": "v" * 257})}),
]
ASKED: list[tuple[int, int, str]] = [
    (20007, 400, "Conversations?PageSize=1001"),
    (50209, 400, "Services/{service}/Bindings?BindingType=pigeon"),
    (50350, 404, f"Messages/Search?Query=x&ConversationSid=CH{NOBODY}"),
    (50396, 400, "Conversations?StartDate=2024-01-02&EndDate=2024-01-01"),
    (50451, 400, f"ParticipantConversations?Identity=ann&Address=%2B{PERSON[1:]}"),
    (50530, 404, "{message}/ChannelMetadata"),
]


async def scene(world: World) -> dict[str, str]:
    """Something of everything; gives what paths leave open."""
    for name in ("it", "done", "young", "group", "twin"):
        await world.call("POST", "/v1/Conversations", {"UniqueName": name})
    for url, form in (
        (P, {"Identity": "ann"}),
        (P, PAIR),
        (f"{GROUP}/Participants", {PROJECTED: OURS}),
        (f"{GROUP}/Participants", {ADDRESS: OTHER}),
        ("Conversations/twin/Participants", {PROJECTED: OURS}),
        (ADDRESSES, SMS),
    ):
        status, body = await world.call("POST", f"/v1/{url}", form)
        assert status == 201, body
    _, said = await world.call("POST", f"/v1/{M}", {"Body": "x"})
    await world.call("POST", f"/v1/{DONE}", {"State": "closed"})
    async with world.runtime.db.begin() as tx:
        await tx.sql.execute(
            "UPDATE conversations SET state = 'initializing'"
            " WHERE account_sid = $1 AND unique_name = 'young'",
            world.account_sid,
        )
    message = said["url"].partition("/v1/")[2]
    return {"service": world.service_sid, "message": message}


async def test_every_number_that_a_change_can_meet(world) -> None:
    names, wrong = await scene(world), []
    for code, status, path, form in POSTED:
        got, body = await world.call("POST", f"/v1/{path.format(**names)}", form)
        if (got, body.get("code")) != (status, code):
            wrong.append((code, path, form, got, body))
    assert wrong == []


async def test_every_number_that_a_question_can_meet(world) -> None:
    names = await scene(world)
    for code, status, path in ASKED:
        got, body = await world.call("GET", f"/v1/{path.format(**names)}")
        assert (got, body["code"]) == (status, code), path


Reached = Callable[[World], Awaitable[tuple[int, Any]]]
SPECIAL: dict[int, tuple[int, dict[str, Any], Reached]] = {}


def reached(code: int, status: int, **settings: Any) -> Callable[[Reached], Reached]:
    """How a number is reached that needs a world with settings of its own."""

    def keep(reach: Reached) -> Reached:
        SPECIAL[code] = (status, settings, reach)
        return reach

    return keep


def limits(**given: float) -> dict[str, float]:
    return {"actions_per_s": 0, **given}


async def joined(world: World, *forms: dict[str, str]) -> tuple[int, Any]:
    """The answer to the last of several who join one conversation."""
    _, made = await world.call("POST", "/v1/Conversations", {})
    answers = [await world.call("POST", f"{made['url']}/Participants", form) for form in forms]
    assert {status for status, _ in answers[:-1]} <= {201}
    return answers[-1]


@reached(20003, 401)
async def _(world: World) -> tuple[int, Any]:
    return await world.call("GET", "/v1/Conversations", auth=(world.account_sid, TOKEN + "x"))


@reached(20004, 405)
async def _(world: World) -> tuple[int, Any]:
    return await world.call("PUT", "/v1/Conversations")


@reached(20006, 403)
async def _(world: World) -> tuple[int, Any]:
    return await world.call("POST", "/v1/Conversations", {}, auth=await make(world, "read"))


@reached(20403, 403)
async def _(world: World) -> tuple[int, Any]:
    world.runtime.vault = Vault()
    return await world.call("POST", "/v1/Credentials", {"Type": "fcm", "Secret": "x"})


@reached(20413, 413)
async def _(world: World) -> tuple[int, Any]:
    return await world.call("POST", "/v1/Conversations", io.BytesIO(b"x" * (1 << 21)))


@reached(20422, 422)
async def _(world: World) -> tuple[int, Any]:
    headers = {"Idempotency-Key": ids.token()}
    await world.call("POST", "/v1/Conversations", {}, headers=headers)
    return await world.call("POST", "/v1/Conversations", {"State": "active"}, headers=headers)


@reached(20429, 429, limits=limits(actions_per_s=0.01))
async def _(world: World) -> tuple[int, Any]:
    await world.call("POST", "/v1/Conversations", {})
    return await world.call("POST", "/v1/Conversations", {})


@reached(20500, 500)
async def _(world: World) -> tuple[int, Any]:
    broken = f"CHECK (account_sid <> '{world.account_sid}') NOT VALID"
    async with world.runtime.db.begin() as tx:
        await tx.sql.execute(f"ALTER TABLE conversations ADD CONSTRAINT broken {broken}")
    answer = await world.call("POST", "/v1/Conversations", {})
    async with world.runtime.db.begin() as tx:
        await tx.sql.execute("ALTER TABLE conversations DROP CONSTRAINT broken")
    return answer


@reached(20503, 503)
async def _(world: World) -> tuple[int, Any]:
    kept = world.runtime.db
    world.runtime.db = type(kept)("postgresql://x@127.0.0.1:1/x", kept.clock)
    answer = await world.call("GET", "/v1/Conversations")
    await world.runtime.db.close()
    world.runtime.db = kept
    return answer


@reached(50214, 400, limits=limits(conversations_per_identity_max=1))
async def _(world: World) -> tuple[int, Any]:
    await joined(world, {"Identity": "ann"})
    return await joined(world, {"Identity": "ann"})


@reached(50342, 403, messaging_services={}, senders=[])
async def _(world: World) -> tuple[int, Any]:
    form = {"DefaultMessagingServiceSid": f"MG{NOBODY}"}
    return await world.call("POST", f"/v1/{CONFIG}", form)


@reached(50361, 400, limits=limits(scoped_webhooks_max=1))
async def _(world: World) -> tuple[int, Any]:
    await world.call("POST", "/v1/Conversations", {"UniqueName": "it"})
    await world.call("POST", f"/v1/{W}", HOOK)
    return await world.call("POST", f"/v1/{W}", HOOK)


@reached(50393, 400)
async def _(world: World) -> tuple[int, Any]:
    _, made = await world.call("POST", "/v1/Conversations", {})
    path = f"/v3/Services/{world.service_sid}/Channels/{made['sid']}"
    return await world.call("POST", path, {"type": "public"})


@reached(50417, 400, limits=limits(participants_max=1))
async def _(world: World) -> tuple[int, Any]:
    return await joined(world, {"Identity": "ann"}, {"Identity": "bob"})


@reached(50418, 400, limits=limits(participants_external_max=1))
async def _(world: World) -> tuple[int, Any]:
    return await joined(world, PAIR, {ADDRESS: OTHER, PROXY: OURS})


@reached(50436, 400, limits=limits(participants_group_max=2))
async def _(world: World) -> tuple[int, Any]:
    return await joined(world, {PROJECTED: OURS}, {ADDRESS: PERSON}, {ADDRESS: OTHER})


@reached(50452, 403, senders=[{"address": OURS, "carrier": "lab", "channels": ["sms"]}])
async def _(world: World) -> tuple[int, Any]:
    return await joined(world, {PROJECTED: OURS})


@reached(50542, 400)
async def _(world: World) -> tuple[int, Any]:
    types = {"twilio/carousel": {"body": "x"}}
    content = {"language": "en", "types": types}
    _, made = await world.call("POST", "/v1/Content", json=content)
    _, conversation = await world.call("POST", "/v1/Conversations", {})
    path = conversation["links"]["messages"]
    return await world.call("POST", path, {"ContentSid": made["sid"]})


async def sent(world: World, data: bytes, kind: str = "image/png") -> tuple[int, Any]:
    path = f"/v1/Services/{world.service_sid}/Media"
    return await world.call("POST", path, data, headers={"Content-Type": kind})


async def carrying(world: World, token: str) -> tuple[int, Any]:
    path = f"{service_path(world.service_sid)}/ME{NOBODY}"
    return await world.call("GET", path, headers={"X-Twilio-Token": token})


def signing(code: int, header: dict[str, str] | None = None, **claims: Any) -> None:
    """A token with these differences is refused so."""

    async def reach(world: World) -> tuple[int, Any]:
        sid, secret = await make(world, "write")
        now = int(world.runtime.clock.now().timestamp())
        times = {name: now + claims.pop(name, 0) for name in ("nbf", "exp") if name in claims}
        grants = {"identity": "ann", "chat": {"service_sid": world.service_sid}}
        said = {"iss": sid, "sub": world.account_sid, "exp": now + 60, "grants": grants}
        token = jwt.encode(
            {**said, **times, **claims},
            secret,
            "HS256",
            headers={"cty": "twilio-fpa;v=1", **(header or {})},
        )
        return await carrying(world, token[:-8] + "AAAAAAAA" if code == 20107 else token)

    reached(code, 401)(reach)


signing(20102, {"cty": "none"})
signing(20103, sub="AC" + NOBODY)
signing(20104, exp=-1)
signing(20105, nbf=100)
signing(20106, grants={})
signing(20107)
signing(20157, exp=100_000)


@reached(50107, 403)
async def _(world: World) -> tuple[int, Any]:
    sid, secret = await make(world, "write")
    signer = Signer(sid, world.account_sid, secret)
    now = world.runtime.clock.now()
    token = access_tokens.make(signer, world.service_sid, "ann", now=now, ttl_s=60)
    path = service_path(world.service_sid)
    return await world.call("POST", path, b"x", headers={"X-Twilio-Token": token})


@reached(20101, 401)
async def _(world: World) -> tuple[int, Any]:
    return await carrying(world, "x")


@reached(50508, 409)
async def _(world: World) -> tuple[int, Any]:
    _, parent = await world.call("POST", "/v1/Conversations", {})
    _, made = await sent(world, b"x", "text/plain")
    for _ in range(2):
        answer = await world.call("POST", f"{parent['url']}/Messages", {"MediaSid": made["sid"]})
    return answer


@reached(50511, 400)
async def _(world: World) -> tuple[int, Any]:
    return await sent(world, b"no picture")


@reached(50512, 400, media={"bytes_max": 10})
async def _(world: World) -> tuple[int, Any]:
    return await sent(world, b"x" * 100, "text/plain")


@pytest.mark.parametrize("code", sorted(SPECIAL))
async def test_a_number_that_needs_a_world_of_its_own(a_world, code: int) -> None:
    status, settings, reach = SPECIAL[code]
    async with a_world(**settings) as world:
        got, body = await reach(world)
    assert (got, body["code"], body["status"]) == (status, code, status)
    assert body["more_info"].endswith(f"/{code}")


def raised() -> set[int]:
    """Every number of a refusal that stands anywhere in the rooms that refuse."""
    sources = [source for room in ROOMS for source in ROOT.glob(room)]
    return {
        node.value
        for source in sources
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.Constant)
        and type(node.value) is int
        and (20_000 < node.value < 20_600 or 50_000 <= node.value < 51_000)
    }


def test_no_number_is_left_out() -> None:
    here = {code for code, *_ in [*POSTED, *ASKED]} | set(SPECIAL)
    assert raised() - here == BY_SOCKET
    assert here - raised() == {20413}  # made of a status (20422 too, and of definitions)
