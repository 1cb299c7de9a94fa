"""What messages made of templates say, as applications read it: a medium of the category `body`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp

from tests.realtime.town import ACCOUNT, TOKEN, Town, joined, town

SECRETS = {"key": "the key of thirty-two characters or more"}
TYPES = {
    "twilio/text": {"body": "Hi {{1}}"},
    "twilio/quick-reply": {"body": "Well, {{1}}?", "actions": [{"title": "Yes {{2}}", "id": "y"}]},
}
RICH = "application/x-vnd.com.twilio.rich.twilio.quick-reply"


async def test_content_is_a_medium_that_only_applications_see(dsn: str, tmp_path: Path) -> None:
    media = {"fetch": False, "folder": str(tmp_path)}
    async with (
        town(dsn, secrets=SECRETS, media=media) as place,
        place.client("alice") as alice,
    ):
        sid = await place.conversation("alice", "bob")
        _, messages, _ = await joined(alice, sid)
        content = await template(place)
        form = {"ContentSid": content, "ContentVariables": '{"1": "Ann"}'}
        shown = await place.rest("POST", f"/Conversations/{sid}/Messages", form)
        assert (shown["media"], shown["body"]) == (None, "Well, Ann?")
        await alice.until(lambda: 0 in messages.items)
        data = messages.items[0][1]
        [body] = data["medias"]
        assert (data["type"], "media" in data, data["contentSid"]) == ("text", False, content)
        assert (body["category"], body["contentType"]) == ("body", RICH)

        # The template is changed: what was said stays.
        changed = {"types": {"twilio/text": {"body": "Something else"}}}
        await json(place, "PUT", f"/Content/{content}", changed)
        record = await asked(place, body["sid"], "alice")
        assert (record["category"], record["size"]) == ("body", body["size"])
        async with place.http.get(record["links"]["content_direct_temporary"]) as response:
            assert response.headers["Content-Type"] == RICH
            assert response.headers["Access-Control-Allow-Origin"] == "*"
            assert len(await response.read()) == body["size"]
            assert await response.json(content_type=None) == {
                "data": {"body": "Well, Ann?", "actions": [{"title": "Yes here", "id": "y"}]},
                "variables": {"1": "Ann", "2": "here"},
            }
        url = f"/Services/{place.service_sid}/Media/{body['sid']}"
        assert (await place.rest("GET", url))["content_type"] == RICH

        # Strangers, and everybody once it is gone, are told that it is not there.
        assert await asked(place, body["sid"], "mallory") is None
        await place.rest("DELETE", f"/Conversations/{sid}/Messages/{shown['sid']}")
        assert await asked(place, body["sid"], "alice") is None
        async with place.http.get(record["links"]["content_direct_temporary"]) as response:
            assert response.status == 404


async def template(place: Town) -> str:
    """A template of two types; gives its SID."""
    samples = {"1": "you", "2": "here"}
    made = {"friendly_name": "x", "language": "en", "variables": samples, "types": TYPES}
    sid: str = (await json(place, "POST", "/Content", made))["sid"]
    return sid


async def json(place: Town, method: str, path: str, body: Any) -> Any:
    """A request of the Content API that must go well."""
    login = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT, TOKEN)}
    url = f"{place.url}/v1{path}"
    async with place.http.request(method, url, json=body, headers=login) as response:
        assert response.status < 300, await response.text()
        return await response.json()


async def asked(place: Town, sid: str, identity: str) -> Any:
    """What the media service says of this to somebody; None: it is not there."""
    url = f"{place.url}/client/v1/Services/{place.service_sid}/MediaSet"
    asks = {"command": "get", "list": [{"media_sid": sid}]}
    token = {"X-Twilio-Token": place.token(identity)}
    async with place.http.post(url, json=asks, headers=token) as response:
        assert response.status == 200, await response.text()
        [found] = await response.json(content_type="application/json")
        return found["media_record"] if found["code"] == 200 else None
