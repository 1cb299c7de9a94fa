// An agent's chat on the official SDK, as its documentation describes it. The one thing that it
// needs to work with Parley is the option `Twilsock.uri`.
//
// The token comes from the form, or with the page: chat/#uri=wss://host/v3/wsconnect&token=...
// `#renew=URL` names where a fresh token is to be had, as text, when one is about to expire.
"use strict";

const $ = (id) => document.getElementById(id);
const PAGE = 30;

let client = null;
let current = null;
let oldest = null;
const rows = new Map();

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Whatever an action ends with, the page says it. */
function act(action) {
  return async (event) => {
    if (event && event.preventDefault) event.preventDefault();
    try {
      $("error").textContent = "";
      await action(event);
    } catch (error) {
      $("error").textContent = (error.body && error.body.message) || error.message || String(error);
    }
  };
}

function connect(uri, token, renew) {
  let expired = false;
  const again = act(async () => {
    expired = false;
    if (renew) await client.updateToken(await (await fetch(renew)).text());
  });
  $("login").hidden = true;
  client = new Twilio.Conversations.Client(token, { Twilsock: { uri } });
  client.on("connectionStateChanged", (state) => {
    $("state").textContent = $("state").dataset.state = state;
    if (expired && state === "disconnected") again();  // it takes no new token before
  });
  client.on("connectionError", ({ message }) => {
    // The SDK has no words for a server that is not there.
    $("error").textContent = /undefined$/.test(message) ? "No connection: is the server there?" : message;
  });
  client.on("initialized", act(async () => {
    $("me").textContent = client.user.friendlyName || client.user.identity;
    for (let page = await client.getSubscribedConversations(); ; page = await page.nextPage()) {
      await Promise.all(page.items.map(listed));
      if (!page.hasNextPage) break;
    }
  }));
  client.on("conversationJoined", act(listed));
  client.on("conversationUpdated", act(({ conversation }) => listed(conversation)));
  client.on("conversationLeft", unlisted);
  client.on("conversationRemoved", unlisted);
  client.on("messageAdded", act(async (message) => {
    const { conversation } = message;
    if (current && conversation.sid === current.sid) {
      await place(message);
      await seen();
    } else {
      await listed(conversation);
    }
  }));
  client.on("messageUpdated", act(({ message }) => $(message.sid) && place(message)));
  client.on("messageRemoved", ({ sid }) => { if ($(sid)) $(sid).remove(); });
  client.on("participantJoined", act(people));
  client.on("participantLeft", act(people));
  client.on("typingStarted", (one) => typing(one, true));
  client.on("typingEnded", (one) => typing(one, false));
  client.on("tokenAboutToExpire", again);
  client.on("tokenExpired", () => { expired = true; });
}

async function listed(conversation) {
  if (conversation.status !== "joined") return;
  const unread = current && current.sid === conversation.sid
    ? 0
    : await conversation.getUnreadMessagesCount() ?? await conversation.getMessagesCount();
  let item = rows.get(conversation.sid);
  if (!item) {
    item = make("li", { onclick: act(() => open(conversation)) });
    item.dataset.sid = conversation.sid;
    rows.set(conversation.sid, item);
    $("conversations").append(item);
  }
  const name = conversation.friendlyName || conversation.uniqueName || conversation.sid;
  item.replaceChildren(name);
  if (unread) item.append(make("span", { className: "unread", textContent: unread }));
}

function unlisted({ sid }) {
  if (rows.has(sid)) rows.get(sid).remove();
  rows.delete(sid);
  if (current && current.sid === sid) {
    current = null;
    $("messages").replaceChildren();
    $("title").textContent = "Choose a conversation";
  }
}

async function open(conversation) {
  current = conversation;
  for (const [sid, item] of rows) item.toggleAttribute("aria-current", sid === conversation.sid);
  $("title").textContent = conversation.friendlyName || conversation.sid;
  $("typing").textContent = "";
  $("messages").replaceChildren();
  await show(await conversation.getMessages(PAGE));
  await people();
  await seen();
}

async function show(page) {
  oldest = page;
  await Promise.all(page.items.map(place));
  $("older").hidden = !oldest.hasPrevPage;
}

/** Put a message where it belongs: others may come while its files are looked up. */
async function place(message) {
  const made = await row(message);
  if (!current || message.conversation.sid !== current.sid) return;
  if ($(message.sid)) $(message.sid).remove();
  const later = [...$("messages").children].find((one) => Number(one.dataset.index) > message.index);
  $("messages").insertBefore(made, later || null);
}

/** What is shown was read. */
async function seen() {
  const last = $("messages").lastElementChild;
  if (last) await current.advanceLastReadMessageIndex(Number(last.dataset.index));
  await listed(current);
}

async function people() {
  if (!current) return;
  const everybody = await current.getParticipants();
  const names = everybody.map((one) => one.identity || (one.bindings[one.type] || {}).address || one.type);
  $("people").textContent = names.sort().join(", ");
}

function typing({ identity, conversation }, started) {
  if (!current || conversation.sid !== current.sid) return;
  $("typing").textContent = started ? `${identity} is typing` : "";
}

async function row(message) {
  const item = make("li", { id: message.sid });
  item.dataset.index = message.index;
  item.append(make("span", { className: "author", textContent: message.author }), message.body || "");
  for (const medium of message.attachedMedia || []) {
    const url = await medium.getContentTemporaryUrl();
    item.append(medium.contentType.startsWith("image/")
      ? make("img", { src: url, alt: medium.filename || "a picture", crossOrigin: "anonymous" })
      : make("a", { href: url, textContent: medium.filename || medium.contentType }));
  }
  const receipt = message.aggregatedDeliveryReceipt;
  if (receipt) {
    const said = ["read", "delivered", "sent", "undelivered", "failed"]
      .find((state) => receipt[state] !== "none") || "queued";
    item.append(make("span", { className: "delivery", textContent: ` ${said}` }));
  }
  if (message.author === client.user.identity) {
    item.append(
      make("button", { className: "edit", textContent: "edit", onclick: act(async () => {
        const body = prompt("Message", message.body || "");
        if (body !== null) await message.updateBody(body);
      }) }),
      make("button", { className: "remove", textContent: "remove", onclick: act(() => message.remove()) }),
    );
  }
  return item;
}

$("login").onsubmit = act(() => connect($("socket").value, $("token").value));
$("create").onsubmit = act(async () => {
  const made = await client.createConversation({ friendlyName: $("name").value });
  await made.join();
  $("create").reset();
});
$("older").onclick = act(async () => {
  await show(await oldest.prevPage());
});
$("text").oninput = act(() => current && current.typing());
$("send").onsubmit = act(async () => {
  const message = current.prepareMessage();
  if ($("text").value) message.setBody($("text").value);
  for (const file of $("files").files) {
    const form = new FormData();
    form.append("file", file, file.name);
    message.addMedia(form);
  }
  $("send").reset();
  await message.build().send();
});

const given = new URLSearchParams(location.hash.slice(1));
if (given.has("token")) connect(given.get("uri"), given.get("token"), given.get("renew"));
