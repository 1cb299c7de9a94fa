// The network, as an operator's DNS makes it: loaded before anything else. NAMES says which names
// there are, and where on this machine who asks for port 443 of one finds it: "name=port,...".
// What was looked up is kept.
"use strict";

const dns = require("node:dns");
const net = require("node:net");

const ports = new Map(process.env.NAMES.split(",").map((one) => one.split("=")));
const looked = new Set();

dns.lookup = (name, options, callback) => {
  const answer = callback ?? options;
  looked.add(name);
  if (!ports.has(name)) {
    return process.nextTick(answer, Object.assign(new Error(name), { code: "ENOTFOUND" }));
  }
  const found = { address: "127.0.0.1", family: 4 };
  if (options.all) return process.nextTick(answer, null, [found]);
  return process.nextTick(answer, null, found.address, found.family);
};

const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...given) {
  const options = Array.isArray(given[0]) ? given[0][0] : given[0];
  if (Number(options.port) === 443) options.port = Number(ports.get(options.host));
  return connect.apply(this, given);
};

globalThis.looked = looked;
