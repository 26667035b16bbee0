// MQTT.js as a client of the matrix, in node and in a page: `words.py` says what it obeys and answers.
// `drive(mqtt, say)` returns the function that takes a line; it knows neither streams nor the page. Node says besides
// what a line means for TLS; a page leaves that to its browser.

"use strict";

function hexOf(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// The page has no Buffer; MQTT.js takes a Uint8Array in both.
function bytesOf(hex) {
  return Uint8Array.from({ length: hex.length / 2 }, (_, index) => parseInt(hex.substr(index * 2, 2), 16));
}

function written(verb, fields) {
  const words = [verb];
  for (const [key, value] of Object.entries(fields)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== undefined && each !== null) {
        const text = typeof each === "boolean" ? Number(each) : each;
        words.push(`${key}=${encodeURIComponent(text)}`);
      }
    }
  }
  return words.join(" ");
}

function read(line) {
  const [verb, ...words] = line.split(" ");
  const fields = new Map();
  for (const word of words) {
    const at = word.indexOf("=");
    const values = fields.get(word.slice(0, at)) ?? [];
    values.push(decodeURIComponent(word.slice(at + 1)));
    fields.set(word.slice(0, at), values);
  }
  const text = (key) => fields.get(key)?.[0];
  const number = (key) => (fields.has(key) ? Number(text(key)) : undefined);
  return { verb, text, number, flag: (key) => text(key) === "1", all: (key) => fields.get(key) ?? [] };
}

// Properties that have a value; the library sends what is there, undefined included.
function present(values) {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

function pairs(words) {
  const made = {};
  for (const word of words) {
    const [key, value] = [word.slice(0, word.indexOf(":")), word.slice(word.indexOf(":") + 1)];
    made[key] = key in made ? [].concat(made[key], value) : value;
  }
  return words.length === 0 ? undefined : made;
}

function drive(mqtt, speak, encryption = () => ({})) {
  let client;
  let five;
  // The topics behind the broker's aliases. The library keeps such a table too, but at QoS 2 it hands the message over
  // as it came, without its topic.
  const aliases = new Map();
  const say = (verb, fields = {}) => speak(written(verb, fields));
  const problem = (error) => say("problem", { why: String(error) });

  function message(topic, payload, packet) {
    const { messageExpiryInterval, subscriptionIdentifier, topicAlias, userProperties } = packet.properties ?? {};
    const named = String(topic) || aliases.get(topicAlias);
    if (topicAlias) aliases.set(topicAlias, named);
    say("message", {
      topic: named,
      payload: hexOf(payload),
      qos: packet.qos,
      retain: packet.retain,
      expiry: messageExpiryInterval,
      identifier: subscriptionIdentifier,
      user: Object.entries(userProperties ?? {}).flatMap(([key, values]) =>
        [].concat(values).map((value) => `${key}:${value}`)
      ),
    });
  }

  const verbs = {
    connect(line) {
      five = line.number("version") === 5;
      aliases.clear();
      const url = line.text("url").replace(/^tcp:/, "mqtt:");
      const will = line.text("will-topic") && {
        topic: line.text("will-topic"),
        payload: bytesOf(line.text("will-payload")),
        qos: line.number("will-qos"),
        retain: line.flag("will-retain"),
      };
      client = mqtt.connect(url, {
        protocolVersion: line.number("version"),
        clientId: line.text("id"),
        clean: line.flag("clean"),
        reconnectPeriod: 0,
        resubscribe: false,
        ...encryption(line),
        // Aliases are given by hand, and the library keeps the table of those that it was given.
        ...(will && { will }),
        ...(five && {
          properties: present({
            sessionExpiryInterval: line.number("expiry"),
            topicAliasMaximum: line.number("alias-maximum"),
          }),
        }),
      });
      // Whether it was said how the connection came out. A refusal may be reported as several errors and an end.
      let outcome;
      const refused = (why) => {
        if (!outcome) say("refused", { why: String(why) });
        outcome = "refused";
      };
      client.on("connect", (connack) => {
        outcome = "connected";
        say("connected", {
          "session-present": connack.sessionPresent,
          assigned: connack.properties?.assignedClientIdentifier,
        });
      });
      client.on("message", message);
      client.on("error", (error) => {
        // The library may still acknowledge a message on a stream that it has ended itself.
        if (error.code === "ERR_STREAM_WRITE_AFTER_END") return;
        if (outcome === "connected") problem(error);
        else refused(error);
      });
      client.on("close", () => refused("the connection was closed"));
      client.on("packetreceive", (packet) => {
        if (packet.cmd === "suback") say("subscribed", { reason: packet.granted[0] });
      });
    },
    subscribe(line) {
      const identifier = line.number("identifier");
      const options = identifier ? { properties: { subscriptionIdentifier: identifier } } : {};
      // What the SUBACK says is reported when it comes; the library turns a refusal into an error without its number.
      client.subscribe(line.text("filter"), { qos: line.number("qos"), ...options }, () => {});
    },
    unsubscribe(line) {
      client.unsubscribe(line.text("filter"), (error) => (error ? problem(error) : say("unsubscribed")));
    },
    publish(line) {
      const properties = present({
        messageExpiryInterval: line.number("expiry"),
        topicAlias: line.number("alias"),
        userProperties: pairs(line.all("user")),
      });
      client.publish(
        line.text("topic"),
        bytesOf(line.text("payload") ?? ""),
        { qos: line.number("qos"), retain: line.flag("retain"), ...(five && { properties }) },
        (error) => (error ? problem(error) : say("published"))
      );
    },
    disconnect() {
      client.end(false, () => say("disconnected"));
    },
  };

  say("hello", { version: mqtt.MqttClient.VERSION });
  return (text) => {
    const line = read(text);
    try {
      verbs[line.verb](line);
    } catch (error) {
      problem(error);
    }
  };
}

globalThis.drive = drive;
