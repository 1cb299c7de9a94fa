// The driver in Node: requests and answers are lines.
"use strict";

const readline = require("node:readline");
const { Client } = require("@twilio/conversations");
const { driving, unhandled } = require("./driver.js");

function say(line) {
  process.stdout.write(JSON.stringify(line) + "\n");
}

const take = driving(Client, say, {
  file: (bytes) => Buffer.from(bytes),
  base64: (bytes) => Buffer.from(bytes).toString("base64"),
});
process.on("unhandledRejection", (error) => say(unhandled(error)));
readline.createInterface({ input: process.stdin })
  .on("line", (line) => take(JSON.parse(line)))
  .on("close", () => process.exit(0));
say({ who: null, event: "ready", data: process.version });
