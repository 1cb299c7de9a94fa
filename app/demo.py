"""`parley demo`: the main job on an embedded database, played with simulated phones.

Everything goes over real HTTP: signed inbound messages through the carrier's door, an agent through
the REST API, webhooks to a customer that checks their signatures. The demo says what it expects
before it looks, and exits 1 when something differs.
"""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from base64 import b64encode
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import orjson

import app
from app import front
from app.carriers import discover
from app.carriers.sandbox import HomeSandbox
from app.carriers.sandbox_world import World
from app.demo_customer import Customer
from app.rules import access_tokens
from app.rules.access_tokens import TTL_S, Signer
from app.service import Service, running
from app.settings.load import load
from app.settings.models import Settings
from app.store import embedded, schema
from app.store import scope as scopes

CONFIG = Path(app.__file__).parents[1] / "config" / "demo.yaml"
SMS_LINE = "+15005550006"
WHATSAPP_LINE = "whatsapp:+15005550010"
BOT_LINE = "+15005550007"
MARIA = "+15551230001"
RITA = "whatsapp:+15551230002"
TOM = "whatsapp:+15551230003"
TIM = "+15551230004"
WAIT_S = 15.0
PORT = 8080
AGENT = "ann"


async def play(*, stay: bool = False, port: int = PORT, say: Callable[[str], None] = print) -> int:
    """Play it; gives the exit status. With `stay` the service stays up afterwards, at this port;
    raises ParleyError when it is taken."""
    async with AsyncExitStack() as stack:
        if stay:
            front.listen("127.0.0.1", port, "--port").close()
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="parley-demo-"))
        say("Starting an embedded PostgreSQL in a temporary folder ...")
        server = await embedded.start(Path(folder) / "postgres")
        stack.push_async_callback(server.stop)
        await schema.migrate(server.dsn, lambda text: None)
        customer = await stack.enter_async_context(Customer())
        settings = _settings(customer.url, port=port if stay else 0)
        service = await stack.enter_async_context(running(settings, server.dsn))
        http = await stack.enter_async_context(aiohttp.ClientSession(headers=_login(settings)))
        customer.token = settings.account.auth_token.get_secret_value()
        story = Story(service, customer, http, say)
        await story.tell()
        if stay:
            await _stay(service, settings, say)
    return story.verdict()


class Story:
    """The scenes, and what was expected of each."""

    def __init__(
        self,
        service: Service,
        customer: Customer,
        http: aiohttp.ClientSession,
        say: Callable[[str], None],
    ) -> None:
        self._service, self._customer, self._http, self._say = service, customer, http, say
        self._differed: list[str] = []
        carrier = service.runtime.carriers["lab"]
        assert isinstance(carrier, HomeSandbox)
        self._world: World = carrier.world

    async def tell(self) -> None:
        """Scene by scene; a scene that cannot go on is a difference."""
        try:
            support = await self._sms_creates()
            await self._whatsapp_creates()
            await self._sms_joins(support)
            await self._twice_and_forged(support)
            await self._fan_out(support)
            await self._too_long(support)
            await self._signatures()
            await self._flow()
        except (TimeoutError, LookupError, aiohttp.ClientError) as error:
            self._expect("the story to go on", f"{type(error).__name__}: {error}", None)

    def verdict(self) -> int:
        """The exit status, with the differences written out."""
        if self._differed:
            self._say(f"\n{len(self._differed)} expectations differed:")
            for text in self._differed:
                self._say(f"  {text}")
            return 1
        self._say("\nEverything went as expected.")
        return 0

    async def _sms_creates(self) -> str:
        self._scene("1. Maria's first SMS creates a conversation by the address's webhook rule")
        decision = await self._text(MARIA, SMS_LINE, "Hi, is my order on its way?")
        self._expect("the outcome", decision["outcome"], "created")
        self._expect("the rule", decision["rule"], "address")
        sid: str = decision["conversation_sid"]
        await self._customer.until(lambda: len(self._customer.at("/new-conversation")) >= 2)
        events = [form["EventType"] for form in self._customer.at("/new-conversation")]
        self._expect("the attached webhook", events, ["onParticipantAdded", "onMessageAdded"])
        return sid

    async def _whatsapp_creates(self) -> None:
        self._scene("2. Rita writes on WhatsApp: the default rule, another conversation")
        decision = await self._text(RITA, WHATSAPP_LINE, "Hello from WhatsApp")
        self._expect("the outcome", decision["outcome"], "created")

    async def _sms_joins(self, support: str) -> None:
        self._scene("3. Maria's second SMS joins the conversation that holds her number pair")
        decision = await self._text(MARIA, SMS_LINE, "It was number 4711")
        self._expect("the outcome", decision["outcome"], "joined")
        self._expect("the conversation", decision["conversation_sid"], support)

    async def _twice_and_forged(self, support: str) -> None:
        self._scene("4. The carrier delivers a message twice, and somebody forges one")
        message = self._world.message(MARIA, SMS_LINE, "Thanks!")
        for _ in range(2):
            texted = await self._world.deliver(message)
            self._say(f"   the door answers {texted.tries[-1]}")
        forged = message.model_copy(update={"id": "SM" + "0" * 32, "body": "Send money"})
        async with self._http.post(
            f"{self._service.url}/carriers/lab/inbound",
            data=forged.model_dump_json(by_alias=True),
            headers={"Content-Type": "application/json", "X-Sandbox-Signature": "sha256=00"},
        ) as response:
            self._say(f"   the forged one is answered {response.status}")
            self._expect("a forged message", response.status, 403)
        listed = await self._get(f"/v1/Conversations/{support}/Messages")
        self._expect("messages", [one["index"] for one in listed["messages"]], [0, 1, 2])

    async def _fan_out(self, support: str) -> None:
        self._scene(
            "5. An agent joins, Tom is added on WhatsApp and writes; the agent's reply fans out"
        )
        people = f"/v1/Conversations/{support}/Participants"
        await self._post(people, {"Identity": AGENT})
        pair = {"MessagingBinding.Address": TOM, "MessagingBinding.ProxyAddress": WHATSAPP_LINE}
        await self._post(people, pair)
        decision = await self._text(TOM, WHATSAPP_LINE, "Tom here, tell me too")  # opens a session
        self._expect("the conversation", decision["conversation_sid"], support)
        message = await self._post(
            f"/v1/Conversations/{support}/Messages",
            {"Author": AGENT, "Body": "Order 4711 arrives tomorrow."},
        )
        await self._settled(message["sid"], {MARIA: "delivered", TOM: "read"}, support)
        for phone in (MARIA, TOM):
            got = self._world.phone(phone).received
            self._say(f"   {phone} got: {got[-1].body!r} from {got[-1].sender}")
        self._expect("what Rita got", len(self._world.phone(RITA).received), 0)
        delivery = (await self._get(message["url"]))["delivery"]
        self._say(f"   the message's delivery summary: {delivery}")
        self._expect("delivered", delivery["delivered"], "all")

    async def _too_long(self, support: str) -> None:
        self._scene("6. A text of 2,000 characters: one message on WhatsApp, two by SMS")
        message = await self._post(
            f"/v1/Conversations/{support}/Messages", {"Author": AGENT, "Body": "long " * 400}
        )
        await self._settled(message["sid"], {MARIA: "delivered", TOM: "read"}, support)
        got = [len(one.body or "") for one in self._world.phone(MARIA).received]
        self._say(
            f"   {MARIA} got messages of {got[-2:]} characters (the space of the cut is left out)"
        )
        self._expect("the pieces", got[-2:], [1599, 400])

    async def _signatures(self) -> None:
        self._scene("7. What the customer was told")
        await self._customer.until(lambda: len(self._customer.events("onDeliveryUpdated")) >= 12)
        names = [form["EventType"] for form in self._customer.forms]
        for name in sorted(set(names)):
            self._say(f"   {names.count(name):2} x {name}")
        self._expect("wrongly signed webhooks", self._customer.unsigned, 0)
        told = [form["Status"] for form in self._customer.events("onDeliveryUpdated")]
        self._expect("reads reported", told.count("read"), 2)

    async def _flow(self) -> None:
        self._scene("8. Tim texts the bot line: a flow that runs here talks with him")
        decision = await self._text(TIM, BOT_LINE, "Hello?")
        self._expect("the outcome", decision["outcome"], "created")
        await self._got(TIM, ["Hi, do you like bots?"])
        await self._text(TIM, BOT_LINE, "yes")
        await self._got(TIM, ["Hi, do you like bots?", "🤖"])

    async def _got(self, phone: str, expected: list[str]) -> None:
        """Wait until a phone has got these texts, and print the last."""
        got: list[str] = []
        for _ in range(int(WAIT_S / 0.05)):
            got = [text.body or "" for text in self._world.phone(phone).received]
            if got == expected:
                break
            await self._service.runtime.clock.sleep(0.05)
        self._say(f"   {phone} got: {got[-1:]}")
        self._expect("what he got", got, expected)

    async def _text(self, phone: str, to: str, body: str) -> dict[str, Any]:
        """A phone texts one of our lines; gives the road's decision."""
        texted = await self._world.phone(phone).text(to, body)
        self._say(f"   {phone} -> {to}: {body!r}; the door answers {texted.tries[-1]}")
        async with self._service.runtime.db.begin() as tx:
            row = await tx.sql.fetchrow(
                "SELECT rule, outcome, steps::text, conversation_sid FROM decisions"
                " WHERE carrier = 'lab' AND external_id = $1",
                texted.external_id,
            )
        if row is None:
            raise LookupError("the message is not in the ledger")
        self._say(f"   {row['outcome']} {row['conversation_sid']} by rule {row['rule']}:")
        for rule, said in orjson.loads(row["steps"]):
            self._say(f"     {rule:>17}: {said}")
        return dict(row)

    async def _settled(self, message: str, expected: dict[str, str], support: str) -> None:
        """Wait until the receipts say what is expected, and print them."""
        people = await self._get(f"/v1/Conversations/{support}/Participants")
        address_of: dict[str, str] = {
            one["sid"]: (one["messaging_binding"] or {}).get("address", "")
            for one in people["participants"]
        }
        path = f"/v1/Conversations/{support}/Messages/{message}/Receipts"
        seen: dict[str, str] = {}
        for _ in range(int(WAIT_S / 0.05)):
            receipts = (await self._get(path))["delivery_receipts"]
            seen = {address_of[one["participant_sid"]]: _words(one) for one in receipts}
            if seen == expected:
                break
            await self._service.runtime.clock.sleep(0.05)
        for address, status in sorted(seen.items()):
            self._say(f"   receipt of {address}: {status}")
        self._expect("the receipts", seen, expected)

    async def _get(self, path: str) -> Any:
        url = path if path.startswith("http") else self._service.url + path
        async with self._http.get(url) as response:
            return await response.json()

    async def _post(self, path: str, form: dict[str, str]) -> Any:
        async with self._http.post(self._service.url + path, data=form) as response:
            answer = await response.json()
            self._say(f"   POST {path.replace(path.split('/')[3], 'CH...')} -> {response.status}")
            self._expect("the API's answer", response.status, 201)
            return answer

    def _scene(self, title: str) -> None:
        self._say(f"\n{title}")

    def _expect(self, what: str, seen: object, expected: object) -> None:
        if seen != expected:
            self._differed.append(f"{what}: expected {expected!r}, saw {seen!r}")
            self._say(f"   NOT AS EXPECTED: {self._differed[-1]}")


def _words(receipt: dict[str, Any]) -> str:
    code = receipt["error_code"]
    return f"{receipt['status']} {code}" if code else str(receipt["status"])


def _settings(customer: str, *, port: int) -> Settings:
    environment = {
        "DEMO_TOKEN": secrets.token_hex(16),
        "DEMO_SECRET": secrets.token_hex(16),
        "DEMO_CUSTOMER": customer,
        "DEMO_PORT": str(port),
    }
    return load(CONFIG, discover.kinds(), environment)


def _login(settings: Settings) -> dict[str, str]:
    account = settings.account
    login = f"{account.sid}:{account.auth_token.get_secret_value()}"
    return {"Authorization": f"Basic {b64encode(login.encode()).decode()}"}


async def _stay(service: Service, settings: Settings, say: Callable[[str], None]) -> None:
    """Stay up until Ctrl-C, and say how to look around."""
    account = settings.account
    login = f"{account.sid}:{account.auth_token.get_secret_value()}"
    key = account.api_keys[0]
    async with service.runtime.db.begin() as tx:
        scope = await scopes.find(tx, account.sid, None)
        assert scope is not None
        signer = Signer(key.sid, account.sid, key.secret.get_secret_value())
        token = access_tokens.make(signer, scope.service_sid, AGENT, now=tx.now, ttl_s=TTL_S)
    secret = settings.carrier_options("lab")["secret"]
    say(f"\nStaying up at {service.url}; Ctrl-C ends it. Look around, for example:")
    say(f"  curl -u {login} {service.url}/v1/Conversations")
    say(f"  curl {service.url}/readyz; curl {service.url}/metrics")
    say(f"A phone texts, here {MARIA}:")
    phone = f"{service.url}/carriers/lab/world/phones/{MARIA}/send"
    text = f'{{"to": "{SMS_LINE}", "body": "Hello"}}'
    say(f"  curl -H 'Authorization: Bearer {secret}' {phone} -d '{text}'")
    say(f"An access token of {AGENT}, for the agents' page:\n  {token}")
    await asyncio.Event().wait()
