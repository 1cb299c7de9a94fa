// Takes webhooks: checks who they are from, and takes each once, though it may come twice.
//
// npm install twilio standardwebhooks; PARLEY_AUTH_TOKEN and PARLEY_WEBHOOK_SECRET in the
// environment, and PUBLIC_URL where the world knows it by another URL than it listens at.
import { createServer } from "node:http";
import { Webhook } from "standardwebhooks";
import twilio from "twilio";

const { PARLEY_AUTH_TOKEN, PARLEY_WEBHOOK_SECRET, PORT = "3000" } = process.env;
const standard = new Webhook(PARLEY_WEBHOOK_SECRET);
const taken = new Set(); // in your database
let base = process.env.PUBLIC_URL;

function signed(request, body, form) {
  const url = base + request.url; // as it is configured, without what follows #
  try {
    standard.verify(body, request.headers, { jsonParse: false });
  } catch {
    return false;
  }
  const signature = request.headers["x-twilio-signature"] ?? "";
  return twilio.validateRequest(PARLEY_AUTH_TOKEN, signature, url, form);
}

const server = createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  const body = Buffer.concat(parts).toString();
  const form = Object.fromEntries(new URLSearchParams(body));
  if (!signed(request, body, form)) return response.writeHead(403).end();
  const token = request.headers["i-twilio-idempotency-token"];
  if (!taken.has(token)) {
    taken.add(token);
    console.log(form.EventType, token);
  }
  response.writeHead(204).end();
});

server.listen(Number(PORT), "127.0.0.1", () => {
  base ??= `http://127.0.0.1:${server.address().port}`;
  console.log("listening at", base);
});
