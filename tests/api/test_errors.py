"""Every refusal that a caller can meet here: status, code and text, as a table."""

from __future__ import annotations

import base64
import io

import pytest

from app import ids

from .conftest import KEY_SECRET, LONELY, OURS, OURS_TOO, OURS_WHATSAPP, TOKEN

PERSON = "+15558675310"
ADDRESS, PROXY = "MessagingBinding.Address", "MessagingBinding.ProxyAddress"
PROJECTED = "MessagingBinding.ProjectedAddress"
PAIR = {ADDRESS: PERSON, PROXY: OURS}
CLOSED = "Can't update conversation as it's in final closed state"
C, P, M = "conversation", "participant", "message"
CS, PS, MS, AS = "conversations", "participants", "messages", "addresses"
CHAT, DONE, DONE_P, DONE_M, A = "chat", "closed", "closed participant", "closed message", "address"
LONG = "x" * 257
CONFIGURE = {"Type": "sms", "Address": OURS_TOO}

REFUSALS = [
    # conversations
    (CS, {"FriendlyName": LONG}, 400, 50003, "Friendly name too long"),
    (CS, {"UniqueName": LONG}, 400, 50004, "Unique Name too long"),
    (
        CS,
        {"UniqueName": "taken"},
        409,
        50353,
        "Conversation with provided unique name already exists",
    ),
    (
        CS,
        {"UniqueName": "CH" + "a" * 32},
        400,
        50390,
        "Unique name should not match conversation sid pattern",
    ),
    (CS, {"Attributes": "{"}, 400, 50304, "Attributes not valid JSON"),
    (CS, {"Attributes": '"' + "x" * 16_384 + '"'}, 400, 50303, "Attributes too long"),
    (CS, {"MessagingServiceSid": "MG1"}, 400, 50341, "Invalid messaging service SID"),
    (CS, {"State": ""}, 400, 50374, "'State' field can't be empty"),
    (CS, {"State": "initializing"}, 400, 50378, "'State' parameter value is invalid"),
    (CS, {"State": "closed"}, 400, 50384, "Initial state can't be 'closed"),
    (
        CS,
        {"Timers.Inactive": "PT59S"},
        400,
        50375,
        "TimeToInactive should be greater or equal to 1 minute",
    ),
    (
        CS,
        {"Timers.Closed": "PT599S"},
        400,
        50376,
        "TimeToClosed should be greater or equal to 10 minutes",
    ),
    (CS, {"Timers.Inactive": "P6M"}, 400, 50379, "TimeToInactive format is invalid"),
    (CS, {"Timers.Closed": "P1Y"}, 400, 50380, "TimeToClosed format is invalid"),
    (CS, {"DateCreated": "yesterday"}, 400, 50308, "Invalid Date Created parameter"),
    (
        CS,
        {"DateUpdated": "0001-01-01T00:00:00+14:00"},
        400,
        50309,
        "Invalid Date Updated parameter",
    ),
    (CS, {"Bindings.Email.Address": LONG}, 400, 20001, "Invalid Bindings.Email.Address"),
    (CS, {"Bindings.Email.Address": "zzz"}, 400, 20001, "Invalid Bindings.Email.Address"),
    (CS, {"Bindings.Email.Address": "+12125551234"}, 400, 20001, "Invalid Bindings.Email.Address"),
    (CS, {"FriendlyName": "a\x00b"}, 400, 20001, "Invalid FriendlyName"),
    (C, {}, 400, 50347, "Parameters are missing for channel update request"),
    (C, {"State": "gone"}, 400, 50378, "'State' parameter value is invalid"),
    (
        C,
        {"UniqueName": "taken"},
        409,
        50353,
        "Conversation with provided unique name already exists",
    ),
    (DONE, {"FriendlyName": "x"}, 400, 50377, CLOSED),
    (DONE, {"State": "active"}, 400, 50377, CLOSED),
    # participants
    (PS, {}, 400, 20001, f"Missing required parameter Identity or {ADDRESS} in the post body"),
    (PS, {"Identity": "taken"}, 409, 50433, "Participant already exists"),
    (PS, {"Identity": ""}, 400, 50204, "Identity not provided"),
    (PS, {"Identity": LONG}, 400, 50207, "Identity too long"),
    (PS, {"Identity": "US" + "a" * 32}, 400, 50206, "Identity should not match user SID pattern"),
    (PS, {"Identity": "system"}, 400, 50203, "Identity reserved"),
    (
        PS,
        {"Identity": "a", **PAIR},
        400,
        50211,
        "Identity parameter not acceptable for this Participant",
    ),
    (PS, {ADDRESS: "", PROXY: OURS}, 400, 50411, "Participant address is empty"),
    (PS, {PROXY: OURS}, 400, 50411, "Participant address is empty"),
    (PS, {ADDRESS: PERSON, PROXY: ""}, 400, 50412, "Participant proxy address is empty"),
    (PS, {ADDRESS: "5558675310", PROXY: OURS}, 400, 50407, "Invalid messaging binding address"),
    (PS, {ADDRESS: OURS_TOO, PROXY: OURS}, 400, 50407, "Invalid messaging binding address"),
    (PS, {ADDRESS: PERSON, PROXY: "nobody"}, 400, 50408, "Invalid participant proxy address"),
    (PS, {ADDRESS: OURS, PROXY: OURS}, 400, 50409, "Participant address equals proxy address"),
    (
        PS,
        {ADDRESS: PERSON, PROXY: "+15005550099"},
        403,
        50413,
        "Account is not authorized to use proxy address",
    ),
    (
        PS,
        {ADDRESS: PERSON, PROXY: OURS_WHATSAPP},
        400,
        50414,
        "Participant address type does not match proxy address type",
    ),
    (
        PS,
        {ADDRESS: f"whatsapp:{PERSON}", PROXY: f"whatsapp:{OURS}"},
        400,
        50415,
        "Proxy address is not WhatsApp enabled sender",
    ),
    (
        PS,
        {ADDRESS: PERSON, PROXY: LONELY},
        400,
        50373,
        "No Messaging Service assigned to Conversation",
    ),
    (
        PS,
        {ADDRESS: "a@example.com", PROXY: OURS},
        400,
        50453,
        "Proxy Address of participant is not supported for this channel",
    ),
    (PS, {ADDRESS: "+15558675312"}, 400, 50435, "Group MMS activation failed"),
    (PS, {"Identity": "a", PROJECTED: OURS}, 400, 50435, "Group MMS activation failed"),
    (PS, {PROJECTED: ""}, 400, 50434, "Participant projected address not provided"),
    (
        PS,
        {PROJECTED: "+15005550099"},
        403,
        50439,
        "Account is not authorized to use the projected address",
    ),
    (
        PS,
        {ADDRESS: PERSON, PROJECTED: OURS},
        400,
        50443,
        "Failed to add a projected address to a participant",
    ),
    (
        PS,
        {ADDRESS: PERSON, PROXY: OURS_TOO, "MessagingBinding.Level": "cc"},
        400,
        50420,
        "Participant Messaging Binding type does not support all of the provided Messaging"
        " Binding parameters",
    ),
    (
        PS,
        {"Identity": "a", "Attributes": '"' + "x" * 4096 + '"'},
        400,
        50303,
        "Attributes too long",
    ),
    (PS, {"Identity": "a", "RoleSid": "RL1"}, 400, 50109, "Conversation role not found"),
    (DONE + " participants", {"Identity": "b"}, 400, 50377, CLOSED),
    (P, {"LastReadMessageIndex": "x"}, 400, 50421, "Invalid last read message index format"),
    (P, {"LastReadMessageIndex": str(2**31)}, 400, 50421, "Invalid last read message index format"),
    (P, {"LastReadTimestamp": "x"}, 400, 50405, "Invalid last consumption timestamp format"),
    (P, {PROXY: ""}, 400, 50440, "Failed to remove the proxy address of a participant"),
    (
        P,
        {PROXY: OURS_WHATSAPP},
        400,
        50414,
        "Participant address type does not match proxy address type",
    ),
    (CHAT, {PROXY: OURS}, 400, 50441, "Failed to add a proxy address to a participant"),
    (
        CHAT,
        {PROJECTED: "null"},
        400,
        50442,
        "Failed to remove the projected address of a participant",
    ),
    (CHAT, {PROXY: "null"}, 400, 50440, "Failed to remove the proxy address of a participant"),
    (P, {PROJECTED: OURS}, 400, 50443, "Failed to add a projected address to a participant"),
    (CHAT, {PROJECTED: OURS}, 400, 50435, "Group MMS activation failed"),
    (CHAT, {"Identity": "bob"}, 400, 50444, "Failed to add an identity to a participant"),
    (CHAT, {"Identity": ""}, 400, 50204, "Identity not provided"),
    (P, {"RoleSid": "RL" + "a" * 32}, 404, 50109, "Conversation role not found"),
    (P, {"Identity": "bob"}, 400, 50444, "Failed to add an identity to a participant"),
    (DONE_P, {"Attributes": "{}"}, 400, 50377, CLOSED),
    # messages
    (MS, {}, 400, 50503, "Message body not provided"),
    (MS, {"Body": ""}, 400, 50503, "Message body not provided"),
    (MS, {"Body": "ä" * 16_385}, 400, 50504, "Message body parameter is too long"),
    (MS, {"Body": "x", "Author": LONG}, 400, 50310, "Author parameter is too long"),
    (MS, {"Body": "x", "Subject": LONG}, 400, 20001, "Invalid Subject"),
    (MS, {"Body": "x", "Attributes": "no"}, 400, 50304, "Attributes not valid JSON"),
    (MS, {"MediaSid": "x"}, 400, 50510, "Invalid message media SID"),
    (MS, {"MediaSid": "ME" + "a" * 32}, 404, 50507, "Media not found"),
    (MS, {"ContentSid": "x"}, 400, 50526, "Invalid content SID"),
    (MS, {"ContentSid": "HX" + "a" * 32}, 404, 20404, "Content not found"),
    (MS, {"Body": "x", "ContentVariables": "[]"}, 400, 50527, "Invalid content variables format"),
    (MS, {"Body": "x", "ContentVariables": "{}"}, 400, 50528, "Content SID is missing"),
    (MS, {"Body": "x", "DateCreated": ""}, 400, 50308, "Invalid Date Created parameter"),
    (DONE + " messages", {"Body": "x"}, 400, 50377, CLOSED),
    (M, {"Body": ""}, 400, 50503, "Message body not provided"),
    (M, {"Body": "x" * 32_769}, 400, 50504, "Message body parameter is too long"),
    (DONE_M, {"Body": "x"}, 400, 50377, CLOSED),
    # address configurations
    (AS, {"Address": OURS_TOO}, 400, 20001, "Missing required parameter Type in the post body"),
    (AS, {"Type": "sms"}, 400, 20001, "Missing required parameter Address in the post body"),
    (AS, CONFIGURE | {"Type": "pigeon"}, 400, 20001, "Invalid Type"),
    (AS, CONFIGURE | {"Address": "x"}, 400, 20001, "Invalid Address"),
    (
        AS,
        CONFIGURE | {"Type": "whatsapp"},
        400,
        20001,
        "Invalid Type: the Address is of another type",
    ),
    (
        AS,
        CONFIGURE | {"Address": PERSON},
        403,
        50413,
        "Account is not authorized to use proxy address",
    ),
    (
        AS,
        CONFIGURE | {"Address": OURS},
        409,
        20409,
        f"An address configuration for {OURS} already exists",
    ),
    (AS, CONFIGURE | {"FriendlyName": LONG}, 400, 50003, "Friendly name too long"),
    (AS, CONFIGURE | {"AddressCountry": "USA"}, 400, 20001, "Invalid AddressCountry"),
    (AS, CONFIGURE | {"AutoCreation.Enabled": "maybe"}, 400, 20001, "Invalid AutoCreation.Enabled"),
    (AS, CONFIGURE | {"AutoCreation.Type": "magic"}, 400, 20001, "Invalid AutoCreation.Type"),
    (
        AS,
        CONFIGURE | {"AutoCreation.ConversationServiceSid": "IS" + "a" * 32},
        404,
        50050,
        "Service Instance not found",
    ),
    (A, {"AutoCreation.Type": "webhook"}, 400, 50369, "Conversation webhook URL not provided"),
    (A, {"AutoCreation.WebhookUrl": "ftp://x"}, 400, 20001, "Invalid AutoCreation.WebhookUrl"),
    (
        A,
        {"AutoCreation.WebhookUrl": "http://x/" + "x" * 512},
        400,
        50372,
        "Conversation webhook URL is too long",
    ),
    (A, {"AutoCreation.WebhookMethod": "PUT"}, 400, 50055, "Invalid webhook method"),
    (
        A,
        {"AutoCreation.WebhookFilters": "onMessageAdd"},
        400,
        50365,
        "Invalid conversation webhook filter",
    ),
    (A, {"AutoCreation.Type": "studio"}, 400, 50367, "Invalid conversation webhook flow SID"),
    (A, {"AutoCreation.StudioFlowSid": "x"}, 400, 50367, "Invalid conversation webhook flow SID"),
    (A, {"AutoCreation.StudioRetryCount": "4"}, 400, 50065, "Invalid webhook retry count"),
]


async def scene(world) -> dict[str, str]:
    """Something of everything; gives URLs."""
    urls = {CS: "/v1/Conversations", AS: "/v1/Configuration/Addresses"}
    _, made = await world.call("POST", urls[CS], {"UniqueName": "taken"})
    _, made = await world.call("POST", urls[CS], {})
    urls |= {C: made["url"], PS: f"{made['url']}/Participants", MS: f"{made['url']}/Messages"}
    _, closed = await world.call("POST", urls[CS], {})
    for name, parent in (("", made), ("closed ", closed)):
        await world.call("POST", f"{parent['url']}/Participants", {"Identity": "taken"})
        theirs = PAIR if name == "" else PAIR | {ADDRESS: "+15558675319"}
        _, bound = await world.call("POST", f"{parent['url']}/Participants", theirs)
        _, said = await world.call("POST", f"{parent['url']}/Messages", {"Body": "x"})
        urls |= {f"{name}participant": bound["url"], f"{name}message": said["url"]}
    await world.call("POST", closed["url"], {"State": "closed"})
    _, configured = await world.call("POST", urls[AS], {"Type": "sms", "Address": OURS})
    return urls | {
        DONE: closed["url"],
        DONE + " participants": f"{closed['url']}/Participants",
        DONE + " messages": f"{closed['url']}/Messages",
        CHAT: f"{urls[PS]}/taken",
        A: configured["url"],
    }


async def test_every_refusal_has_its_status_code_and_text(world) -> None:
    urls = await scene(world)
    wrong = []
    for where, form, status, code, message in REFUSALS:
        got, body = await world.call("POST", urls[where], form)
        expected = {
            "code": code,
            "message": message or body["message"],
            "more_info": f"https://www.twilio.com/docs/errors/{code}",
            "status": status,
        }
        seen = {name: body.get(name) for name in expected}
        if (got, seen) != (status, expected) or set(body) - set(expected) - {"details"}:
            wrong.append((where, form, got, body))
    assert wrong == []


async def test_what_is_below_a_closed_conversation_stays_as_it_is(world) -> None:
    urls = await scene(world)
    for name in (DONE_P, DONE_M):
        status, body = await world.call("DELETE", urls[name])
        assert (status, body["code"]) == (400, 50377)
        assert (await world.call("GET", urls[name]))[0] == 200
    assert (await world.call("DELETE", urls[DONE]))[0] == 204


async def test_a_conversation_still_being_created_may_not_be_changed(world) -> None:
    urls = await scene(world)
    async with world.runtime.db.begin() as tx:
        await tx.sql.execute(
            "UPDATE conversations SET state = 'initializing' WHERE sid = $1", urls[C][-34:]
        )
    for where, form in (
        (C, {"State": "active"}),
        (PS, {"Identity": "x"}),
        (P, {"Attributes": "{}"}),
        (MS, {"Body": "x"}),
        (M, {"Body": "x"}),
    ):
        status, body = await world.call("POST", urls[where], form)
        assert (status, body["code"]) == (409, 50386)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("path", ["", "/", "/Nothing", "/Conversations/a/b/c", "/Conversations/"])
async def test_an_unknown_path_is_not_found(world, method: str, path: str) -> None:
    status, body = await world.call(method, f"/v1{path}")
    assert (status, body["code"]) == (404, 20404)
    assert body["message"] == f"The requested resource {path} was not found"


async def test_other_versions_are_not_found_cleanly(world) -> None:
    for path in ("/v2/Conversations", "/v2/ControlPlane/Configurations"):
        status, body = await world.call("POST", path, {"a": "b"})
        assert (status, body["code"]) == (404, 20404)


async def test_a_method_that_a_path_does_not_have_is_not_allowed(world) -> None:
    urls = await scene(world)
    for method, where in (
        ("PUT", CS),
        ("PATCH", C),
        ("DELETE", CS),
        ("PUT", M),
        ("DELETE", MS),
        ("HEAD", CS),
    ):
        status, body = await world.call(method, urls[where])
        assert status == 405
        assert method == "HEAD" or (body["code"], body["message"]) == (20004, "Method not allowed")


def basic(text: str | bytes) -> str:
    raw = text if isinstance(text, bytes) else text.encode()
    return f"Basic {base64.b64encode(raw).decode()}"


async def test_only_the_accounts_own_credentials_pass(world) -> None:
    account, key = world.account_sid, world.key_sid
    for good in ((account, TOKEN), (key, KEY_SECRET)):
        assert (await world.call("GET", "/v1/Conversations", auth=good))[0] == 200
    bad = [
        None,
        "",
        "Basic",
        "Basic !!!",
        "Bearer " + TOKEN,
        basic(""),
        basic(account),
        basic(f"{account}:"),
        basic(f"{account}:{TOKEN} "),
        basic(f"{account}:{KEY_SECRET}"),
        basic(f"{key}:{TOKEN}"),
        basic(f"{ids.new('AC')}:{TOKEN}"),
        basic(b"\xff\xfe:\x00"),
    ]
    for header in bad:
        headers = {} if header is None else {"Authorization": header}
        for path in ("/v1/Conversations", "/v1/Nothing"):
            async with world.http.post(world.base + path, headers=headers) as answer:
                assert answer.status == 401
                assert answer.headers["WWW-Authenticate"] == 'Basic realm="Twilio API"'
                assert await answer.json() == {
                    "code": 20003,
                    "message": "Authenticate",
                    "more_info": "https://www.twilio.com/docs/errors/20003",
                    "status": 401,
                }


async def test_a_body_that_is_too_large_is_refused_whole_and_in_pieces(world) -> None:
    large = b"Body=" + b"x" * (1 << 20)

    async def pieces():
        for start in range(0, len(large), 1 << 16):
            yield large[start : start + (1 << 16)]

    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    for body in (io.BytesIO(large), pieces()):
        status, answer = await world.call("POST", "/v1/Conversations", body, headers=kind)
        assert (status, answer["code"], answer["status"]) == (413, 20413, 413)


async def test_a_body_that_is_no_form_is_refused(world) -> None:
    for headers in ({"Content-Type": "application/json"}, {"Content-Type": "text/plain"}):
        status, body = await world.call(
            "POST", "/v1/Conversations", b'{"FriendlyName": "x"}', headers=headers
        )
        assert (status, body["code"]) == (400, 20001)
    many = "&".join(f"a{number}=b" for number in range(1001))
    status, body = await world.call(
        "POST",
        "/v1/Conversations",
        many.encode(),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert (status, body["code"]) == (400, 20001)


async def test_a_database_that_is_away_is_said_to_be(a_world) -> None:
    async with a_world() as world:
        world.runtime.db.engine = world.runtime.db.engine.execution_options()
        database = world.runtime.db
        away = type(database)("postgresql://x@127.0.0.1:1/x", database.clock)
        world.runtime.db, kept = away, database
        async with world.http.get(
            f"{world.base}/v1/Conversations",
            headers={"Authorization": basic(f"{world.account_sid}:{TOKEN}")},
        ) as answer:
            body = await answer.json()
            assert (answer.status, body["code"], answer.headers["Retry-After"]) == (503, 20503, "1")
        world.runtime.db = kept
        await away.close()


async def test_what_breaks_inside_is_observed_and_not_shown(a_world) -> None:
    async with a_world() as world:
        async with world.runtime.db.begin() as tx:
            await tx.sql.execute(
                "UPDATE accounts SET default_closed_timer_s = -2147483648 WHERE sid = $1",
                world.account_sid,
            )
            await tx.sql.execute(
                "ALTER TABLE conversations ADD CONSTRAINT broken CHECK"
                f" (account_sid <> '{world.account_sid}') NOT VALID"
            )
        status, body = await world.call("POST", "/v1/Conversations", {})
        async with world.runtime.db.begin() as tx:
            await tx.sql.execute("ALTER TABLE conversations DROP CONSTRAINT broken")
        assert (status, body["code"], body["message"]) == (500, 20500, "Internal Server Error")
        [failed] = world.observed
        assert failed.where == "api POST /v1/Conversations"
