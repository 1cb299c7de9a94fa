"""The agents' page in a headless Chromium, as an agent uses it: clicks, keys, files."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import pytest
from aiohttp import web
from PIL import Image

from tests.realtime.sdk import installed
from tests.realtime.sdk.chromium import Browser, Page
from tests.realtime.sdk.place import Place
from tests.support.serving import serving

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.parametrize("drive", ["node"], indirect=True, scope="session"),
]

TTL_S = 12
WATCH = (
    "window.states = []; new MutationObserver(() => states.push($('state').textContent))"
    ".observe($('state'), {childList: true})"
)
"""Keeps what the page says of its connection from now on."""
UNREAD = "(document.querySelector('[data-sid=\"{}\"] .unread') || {{}}).textContent"
BODIES = (
    "[...document.querySelectorAll('#messages li')].map((one) => one.childNodes[1].textContent)"
)


@dataclass
class Site:
    """Where the page is served, and fresh tokens: another origin than the service's. `renewed` is
    who asked for one."""

    here: Place
    url: str = ""
    renewed: list[str] = field(default_factory=list)

    async def token(self, request: web.Request) -> web.Response:
        """A token for who is named."""
        self.renewed.append(request.query["identity"])
        return web.Response(text=self.here.token(self.renewed[-1]))


@pytest.fixture(scope="session")
async def site(one_place: Place) -> AsyncIterator[Site]:
    """The customer's own server."""
    made = Site(one_place)
    application = web.Application()
    application.router.add_get("/token", made.token)
    application.router.add_static("/", installed.FOLDER)
    async with serving(application) as made.url:
        yield made


@pytest.fixture
async def agents(here: Place, browser: Browser, site: Site) -> AsyncIterator[Agents]:
    """Agents who come when they are asked for; none of their pages may break."""
    made = Agents(here, browser, site)
    yield made
    for page in made.pages:
        assert page.wrong == []


class Agents:
    """Opens pages."""

    def __init__(self, here: Place, browser: Browser, site: Site) -> None:
        self.here, self.browser, self.site = here, browser, site
        self.pages: list[Page] = []

    async def arrive(self, identity: str, *, ttl: int = 3600, renews: bool = False) -> Page:
        """The page of an agent, connected; `renews`: it knows where there are fresh tokens."""
        given = {"uri": self.here.uri, "token": self.here.token(identity, ttl)}
        if renews:
            given["renew"] = f"{self.site.url}/token?identity={identity}"
        page = await self.browser.open(f"{self.site.url}/page/index.html#{urlencode(given)}")
        self.pages.append(page)
        await page.until("typeof $ === 'function' && $('me').textContent !== 'Agent chat'")
        assert await page.value("$('state').textContent") == "connected"
        return page


def a_picture(path: Path) -> Path:
    made = io.BytesIO()
    Image.new("RGB", (20, 10), (200, 30, 30)).save(made, "PNG")
    path.write_bytes(made.getvalue())
    return path


async def test_an_agent_s_day(here: Place, agents: Agents, tmp_path: Path) -> None:
    ann, ben = here.stranger("ann"), here.stranger("ben")
    sid = await here.conversation(ann, ben, FriendlyName="Support")
    await here.say(sid, "hello <b>there</b>", "customer")
    page, other = await agents.arrive(ann), await agents.arrive(ben)

    # listed, with what is unread; opened, which reads it
    await page.sees("Support", "#conversations")
    await page.until(f"{UNREAD.format(sid)} === '1'")
    for one in (page, other):
        await one.click(f'[data-sid="{sid}"]')
        await one.sees("hello <b>there</b>")
        await one.sees(f"{ann}, {ben}", "#people")
    await page.until(f"!{UNREAD.format(sid)}")

    # pushed, typed, sent
    await here.say(sid, "pushed", "customer")
    await page.sees("pushed")
    await page.type("#text", "typed 😀")
    await other.sees(f"{ann} is typing", "#typing")
    await page.click("#send button")
    for one in (page, other):
        await one.sees("typed 😀")
    assert [one["author"] for one in await here.messages(sid)] == ["customer", "customer", ann]

    # edited, removed
    page.answers.append("edited")
    await page.click("#messages .edit")
    await other.sees("edited")
    await page.click("#messages .remove")
    await other.sees_no("edited")

    # a picture and another file, with words
    (tmp_path / "notes.txt").write_text("words in a file")
    await page.choose("#files", a_picture(tmp_path / "red.png"), tmp_path / "notes.txt")
    await page.type("#text", "with files")
    await page.click("#send button")
    await other.sees("with files")
    await other.until("document.querySelector('#messages img')?.naturalWidth === 20")
    await other.sees("notes.txt")
    link = "document.querySelector('#messages a').href"
    assert await other.value(f"fetch({link}).then((it) => it.text())") == "words in a file"

    # a conversation of their own
    await page.type("#name", "Mine")
    await page.click("#create button")
    await page.sees("Mine", "#conversations")


async def test_a_long_history_is_read_backwards(here: Place, agents: Agents) -> None:
    ann = here.stranger("ann")
    sid = await here.conversation(ann, FriendlyName="Long")
    for n in range(70):
        await here.say(sid, f"{n}")
    page = await agents.arrive(ann)
    await page.click(f'[data-sid="{sid}"]')
    for count in (30, 60, 70):
        await page.until(f"document.querySelectorAll('#messages li').length === {count}")
        if count < 70:
            await page.click("#older")
    assert await page.value(BODIES) == [f"{n}" for n in range(70)]
    assert await page.value("$('older').hidden") is True


async def test_a_lost_network_loses_no_message(here: Place, agents: Agents) -> None:
    ann = here.stranger("ann")
    sid = await here.conversation(ann, FriendlyName="Lost")
    page = await agents.arrive(ann)
    await page.click(f'[data-sid="{sid}"]')
    await page.sees("Lost", "#title")
    here.front.down = True
    here.front.cut()
    await page.until("$('state').textContent !== 'connected'")
    for n in range(10):
        path = f"{here.town.service.url}/v1/Conversations/{sid}/Messages"
        await here.rest("POST", path, {"Body": f"missed {n}"})
    here.front.down = False
    await page.sees("missed 9")
    await page.until("$('state').textContent === 'connected'")
    await here.say(sid, "after")
    await page.sees("after")
    assert await page.value(BODIES) == [*(f"missed {n}" for n in range(10)), "after"]


async def test_a_tab_that_is_loaded_again_goes_on(here: Place, agents: Agents) -> None:
    ann = here.stranger("ann")
    sid = await here.conversation(ann, FriendlyName="Again")
    page = await agents.arrive(ann)
    await page.sees("Again", "#conversations")
    await page.value("(window.before = true)")
    await page.send("Page.reload")
    await page.until("!window.before && typeof $ === 'function' && !!$('conversations')")
    await page.sees("Again", "#conversations")
    await page.click(f'[data-sid="{sid}"]')
    await page.type("#text", "still here")
    await page.click("#send button")
    await page.sees("still here")
    assert [one["body"] for one in await here.messages(sid)] == ["still here"]


async def test_a_page_that_renews_its_token_stays_when_the_first_one_ends(
    here: Place, agents: Agents
) -> None:
    ann, ben = here.stranger("ann"), here.stranger("ben")
    sid = await here.conversation(ann, ben, FriendlyName="Renewed")
    page = await agents.arrive(ann, ttl=TTL_S, renews=True)
    await page.click(f'[data-sid="{sid}"]')
    await page.sees("Renewed", "#title")
    await page.value(WATCH)
    other = await agents.arrive(ben, ttl=TTL_S)  # ends after ann's, and is not renewed
    await other.until("$('state').textContent !== 'connected'")
    assert agents.site.renewed.count(ann) == 1
    assert await page.value("[$('state').textContent, ...states]") == ["connected"]
    await here.say(sid, "still here")
    await page.sees("still here")
    await page.type("#text", "I am")
    await page.click("#send button")
    await page.sees("I am")
    assert await page.value("$('error').textContent") == ""


async def test_what_is_refused_is_said_on_the_page(here: Place, agents: Agents) -> None:
    ann = here.stranger("ann")
    role = await here.role("conversation", "leaveConversation")
    sid = await here.conversation(FriendlyName="Quiet")
    await here.join(sid, ann, RoleSid=role)
    page = await agents.arrive(ann)
    await page.click(f'[data-sid="{sid}"]')
    await page.sees("Quiet", "#title")
    await page.type("#text", "may I?")
    await page.click("#send button")
    await page.until("$('error').textContent !== ''")
    assert await here.messages(sid) == []
