// MQTT.js on node: `node node.js FOLDER`, where FOLDER/node_modules holds it.

"use strict";

const { createRequire } = require("node:module");
const path = require("node:path");
const readline = require("node:readline");

require("./driver.js");

const mqtt = createRequire(path.join(path.resolve(process.argv[2]), "index.js"))("mqtt");
const hear = globalThis.drive(mqtt, (line) => process.stdout.write(`${line}\n`));
readline.createInterface({ input: process.stdin }).on("line", hear);
