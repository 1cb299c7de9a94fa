// Clients of the unmodified SDK, driven by JSON: one request, one answer, and what the clients hear
// in between. A request is a piece of JavaScript, so that a test says what it does. In Node the
// JSON comes by lines (driver-node.js), in a page by DevTools (driver.html).
//
//   in   {"id": 1, "who": "alice", "code": "return client.version", "args": {}}
//   out  {"id": 1, "value": ...} | {"id": 1, "error": {"message", "status", "code", "name"}}
//        {"who": "alice", "event": "messageAdded", "data": {...}}
"use strict";

const EVENTS = [
  "initialized", "initFailed", "connectionStateChanged", "connectionError",
  "conversationAdded", "conversationJoined", "conversationLeft", "conversationRemoved",
  "conversationUpdated", "participantJoined", "participantLeft", "participantUpdated",
  "messageAdded", "messageRemoved", "messageUpdated", "typingStarted", "typingEnded",
  "userUpdated", "userSubscribed", "userUnsubscribed",
  "tokenAboutToExpire", "tokenExpired",
];
const AsyncFunction = (async () => {}).constructor;

/** What a test may want to know of an object of the SDK. */
function brief(value) {
  if (value === null || typeof value !== "object") return value;
  if (value instanceof Error) return wrong(value);
  if (Array.isArray(value)) return value.map(brief);
  const kind = value.constructor && value.constructor.name;
  if ("index" in value && "body" in value) {
    return {
      sid: value.sid, index: value.index, body: value.body, author: value.author,
      attributes: value.attributes, type: value.type, conversation: value.conversation.sid,
      participant: value.participantSid, edited: value.lastUpdatedBy,
      delivery: brief(value.aggregatedDeliveryReceipt),
      media: (value.attachedMedia || []).map((one) => ({
        sid: one.sid, filename: one.filename, type: one.contentType, size: one.size,
      })),
    };
  }
  if ("getParticipants" in value) {
    return {
      sid: value.sid, name: value.friendlyName, unique: value.uniqueName, status: value.status,
      attributes: value.attributes, read: value.lastReadMessageIndex, level: value.notificationLevel,
      state: value.state, last: value.lastMessage, by: value.createdBy,
    };
  }
  if ("roleSid" in value && "conversation" in value) {
    return {
      sid: value.sid, identity: value.identity, type: value.type, attributes: value.attributes,
      conversation: value.conversation.sid, read: value.lastReadMessageIndex, bindings: value.bindings,
    };
  }
  if ("isOnline" in value && "friendlyName" in value) {
    return {
      identity: value.identity, name: value.friendlyName, attributes: value.attributes,
      online: value.isOnline, notifiable: value.isNotifiable,
    };
  }
  if ("items" in value && "hasNextPage" in value) {
    return { items: value.items.map(brief), next: value.hasNextPage, prev: value.hasPrevPage };
  }
  if (value instanceof Map) return Object.fromEntries([...value].map(([k, v]) => [k, brief(v)]));
  if (kind === "AggregatedDeliveryReceipt" || "undelivered" in value) {
    const names = ["total", "sent", "delivered", "read", "undelivered", "failed"];
    return Object.fromEntries(names.map((name) => [name, value[name]]));
  }
  if (kind === "Object" || kind === undefined) {
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, brief(v)]));
  }
  return Object.fromEntries(
    Object.entries(value).filter(([k]) => !k.startsWith("_")).map(([k, v]) => [k, plain(v)]),
  );
}

function plain(value) {
  try {
    return JSON.parse(JSON.stringify(value) ?? "null");
  } catch {
    return String(value);
  }
}

function wrong(error) {
  const body = error && error.body;
  const numbers = error ? [error.status, error.code].filter((one) => typeof one === "number") : [];
  return {
    name: (error && error.name) || null, message: String((error && error.message) || error),
    status: numbers.length ? numbers[0] : null, code: (body && body.code) || (error && error.code) || null,
  };
}

/** Drives clients of this SDK: gives what takes a request. `helpers` are there for its code. */
function driving(Client, say, helpers) {
  const people = new Map();

  function open(who, { token, uri, options }) {
    const given = uri === null ? options : { Twilsock: { uri }, ...options };
    const client = Object.keys(given).length ? new Client(token, given) : new Client(token);
    people.set(who, client);
    for (const event of EVENTS) {
      client.on(event, (data) => say({ who, event, data: brief(data) ?? null }));
    }
    return null;
  }

  async function perform({ who, code, args }) {
    if (code === "open") return open(who, args);
    const context = { client: people.get(who), brief, ...helpers };
    const names = [...Object.keys(context), ...Object.keys(args)];
    const values = [...Object.values(context), ...Object.values(args)];
    return brief((await new AsyncFunction(...names, code)(...values)) ?? null);
  }

  return async (request) => {
    try {
      say({ id: request.id, value: await perform(request) });
    } catch (error) {
      say({ id: request.id, error: wrong(error) });
    }
  };
}

/** A promise that nobody took care of: the SDK leaves one alone when its socket drops while it opens
 *  a conversation. */
function unhandled(error) {
  return { who: null, event: "unhandled", data: wrong(error) };
}

if (typeof module === "object") module.exports = { driving, unhandled };
