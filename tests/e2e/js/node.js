// MQTT.js on node: `node node.js FOLDER`, where FOLDER/node_modules holds it.

"use strict";

const fs = require("node:fs");
const { createRequire } = require("node:module");
const path = require("node:path");
const readline = require("node:readline");

require("./driver.js");

const mqtt = createRequire(path.join(path.resolve(process.argv[2]), "index.js"))("mqtt");

// Whom it trusts, what it shows, and which version it speaks at most.
function encryption(line) {
  if (!line.text("ca")) return {};
  const shown = line.text("certificate") && fs.readFileSync(line.text("certificate"));
  return {
    ca: fs.readFileSync(line.text("ca")),
    ...(shown && { cert: shown, key: shown }),
    ...(line.text("tls") && { maxVersion: `TLSv${line.text("tls")}` }),
  };
}

const hear = globalThis.drive(mqtt, (line) => process.stdout.write(`${line}\n`), encryption);
readline.createInterface({ input: process.stdin }).on("line", hear);
