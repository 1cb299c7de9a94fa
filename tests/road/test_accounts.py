"""Two accounts in one house: whose message it is, who is told, who may ask."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.customer import Customer, customer
from tests.support.house import House, house
from tests.support.settings import ACCOUNT, POST_EVENTS, SMS, TOKEN, WHATSAPP

SECOND, ITS_TOKEN = "AC" + "b" * 32, "the-second-token"
THEIRS = "+15005550009"
MARIA = "+15551230001"


@dataclass
class Houses:
    """A house in which THEIRS belongs to a second account, and that account's customer."""

    house: House
    customer: Customer

    async def get(self, account: str, token: str, path: str) -> tuple[int, Any]:
        """Ask as one of the accounts."""
        login = b64encode(f"{account}:{token}".encode()).decode()
        url = self.house.service.url + path
        headers = {"Authorization": f"Basic {login}"}
        async with self.house.http.get(url, headers=headers) as response:
            return response.status, await response.json()


@pytest.fixture
async def houses(dsn: str) -> AsyncIterator[Houses]:
    async with customer(ITS_TOKEN) as second:
        hooks = {"post_url": f"{second.url}/second", "filters": list(POST_EVENTS)}
        sections: dict[str, Any] = {
            "accounts": [{"sid": SECOND, "auth_token": ITS_TOKEN, "webhooks": hooks}],
            "messaging_services": {
                "default": {"autocreate": True},
                "second": {"autocreate": True, "account": SECOND},
            },
            "senders": [
                {"address": SMS, "carrier": "lab", "messaging_service": "default"},
                {"address": WHATSAPP, "carrier": "lab"},
                {
                    "address": THEIRS,
                    "carrier": "lab",
                    "messaging_service": "second",
                    "account": SECOND,
                    "rate": "1000/s",
                },
            ],
        }
        async with house(dsn, **sections) as one:
            yield Houses(one, second)


async def test_a_message_is_of_the_account_that_owns_its_to_address(houses: Houses) -> None:
    one = houses.house
    ours = await one.conversation(MARIA, SMS)
    theirs = await one.conversation(MARIA, THEIRS)
    for account, token, mine, other in (
        (ACCOUNT, TOKEN, ours, theirs),
        (SECOND, ITS_TOKEN, theirs, ours),
    ):
        status, found = await houses.get(account, token, f"/v1/Conversations/{mine}")
        assert (status, found["account_sid"]) == (200, account)
        assert (await houses.get(account, token, f"/v1/Conversations/{other}"))[0] == 404
        _, listed = await houses.get(account, token, "/v1/Conversations")
        assert [each["sid"] for each in listed["conversations"]] == [mine]


async def test_each_account_is_told_of_its_own_with_its_own_signature(houses: Houses) -> None:
    one = houses.house
    await one.conversation(MARIA, SMS)
    await one.conversation(MARIA, THEIRS)
    for told, account in ((one.customer, ACCOUNT), (houses.customer, SECOND)):
        await told.until(lambda told=told: bool(told.events("onMessageAdded")))
        assert {hook.form["AccountSid"] for hook in told.hooks} == {account}
        assert all(hook.signed for hook in told.hooks)


async def test_an_answer_leaves_from_the_accounts_own_sender(houses: Houses) -> None:
    one = houses.house
    theirs = await one.conversation(MARIA, THEIRS)
    login = b64encode(f"{SECOND}:{ITS_TOKEN}".encode()).decode()
    url = f"{one.service.url}/v1/Conversations/{theirs}/Messages"
    headers = {"Authorization": f"Basic {login}"}
    async with one.http.post(url, data={"Body": "hello"}, headers=headers) as response:
        assert response.status == 201
        receipts = (await response.json())["links"]["delivery_receipts"]
    for _ in range(200):
        _, listed = await houses.get(SECOND, ITS_TOKEN, receipts[len(one.service.url) :])
        if listed["delivery_receipts"][0]["status"] == "delivered":
            return
        await one.service.runtime.clock.sleep(0.05)
    raise AssertionError(listed)


async def test_operators_see_their_own_account_only(houses: Houses) -> None:
    one = houses.house
    theirs = await one.conversation(MARIA, THEIRS)
    query = f"/ops/explain?To=%2B{THEIRS[1:]}&From=%2B{MARIA[1:]}"
    for account, token, status, outcome in (
        (SECOND, ITS_TOKEN, 200, "joined"),
        (ACCOUNT, TOKEN, 404, "dropped"),
    ):
        assert (await houses.get(account, token, f"/ops/trace/{theirs}"))[0] == status
        _, explained = await houses.get(account, token, query)
        assert explained["outcome"] == outcome
