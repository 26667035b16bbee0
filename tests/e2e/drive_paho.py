"""paho-mqtt (Python) as a client program of the matrix; `words` says what it obeys and answers."""

import queue
import ssl
import sys
from urllib.parse import urlsplit

import paho.mqtt
import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from words import Words, written


def say(verb, **fields):
    sys.stdout.write(written(verb, **fields) + "\n")
    sys.stdout.flush()


def properties(kind, **values):
    """Those that have a value; none at all become None."""
    made = Properties(kind)
    for name, value in values.items():
        if value not in (None, []):
            setattr(made, name, value)
    return None if made.isEmpty() else made


def encryption(line):
    """The terms of TLS: whom it trusts, what it shows, and which version it speaks at most."""
    context = ssl.create_default_context(cafile=line.text("ca"))
    if line.text("certificate"):
        context.load_cert_chain(line.text("certificate"))
    if line.text("tls") == "1.2":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


class Program:
    def __init__(self):
        self.paho = None
        self.five = False
        self.told = False
        """Whether it was said how the connection came out."""
        self.answers = queue.SimpleQueue()
        self.aliases = {}

    def connect(self, line):
        url = urlsplit(line.text("url"))
        transport = "tcp" if url.scheme in ("tcp", "mqtts") else "websockets"
        self.five = line.number("version") == 5
        self.aliases = {}
        options = {} if self.five else {"clean_session": line.flag("clean")}
        self.paho = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            line.text("id"),
            protocol=line.number("version"),
            transport=transport,
            reconnect_on_failure=False,
            **options,
        )
        self.paho.max_inflight_messages_set(1000)
        if transport == "websockets":
            self.paho.ws_set_options(path=url.path)
        if line.text("ca"):
            self.paho.tls_set_context(encryption(line))
        if line.text("will-topic"):
            self.paho.will_set(
                line.text("will-topic"), line.data("will-payload"), line.number("will-qos"), line.flag("will-retain")
            )
        self.paho.on_connect = self.connected
        self.paho.on_message = self.message
        self.paho.on_subscribe = lambda _c, _u, _mid, reasons, _p: say("subscribed", reason=reasons[0].value)
        self.paho.on_unsubscribe = lambda *_: say("unsubscribed")
        self.paho.on_publish = lambda *_: say("published")
        self.paho.on_disconnect = self.disconnected
        if self.five:
            options["clean_start"] = line.flag("clean")
            options["properties"] = properties(
                PacketTypes.CONNECT,
                SessionExpiryInterval=line.number("expiry"),
                TopicAliasMaximum=line.number("alias-maximum"),
            )
        else:
            options = {}
        self.told = False
        try:
            self.paho.connect(url.hostname, url.port, **options)
        except (OSError, mqtt.WebsocketConnectionError) as error:
            self.refused(error)
            return
        self.paho.loop_start()

    def connected(self, _client, _user, flags, reason, props):
        if reason.is_failure:
            self.refused(reason)
        else:
            self.told = True
            assigned = getattr(props, "AssignedClientIdentifier", None)
            say("connected", session_present=flags.session_present, assigned=assigned)

    def disconnected(self, _client, _user, _flags, reason, _props):
        if self.told:
            self.answers.put("end")
        else:
            self.refused(reason)

    def refused(self, why):
        """Once: a refusal is followed by the end of the connection."""
        if not self.told:
            self.told = True
            say("refused", why=why)

    def message(self, _client, _user, message):
        props = message.properties
        # The library leaves the table of the broker's aliases to its user.
        alias = getattr(props, "TopicAlias", None)
        topic = message.topic or self.aliases[alias]
        if alias is not None:
            self.aliases[alias] = topic
        say(
            "message",
            topic=topic,
            payload=message.payload,
            qos=message.qos,
            retain=message.retain,
            expiry=getattr(props, "MessageExpiryInterval", None),
            identifier=getattr(props, "SubscriptionIdentifier", []),
            user=[f"{key}:{value}" for key, value in getattr(props, "UserProperty", [])],
        )

    def subscribe(self, line):
        if self.five:
            props = properties(PacketTypes.SUBSCRIBE, SubscriptionIdentifier=line.number("identifier"))
            options = SubscribeOptions(qos=line.number("qos"))
            self.paho.subscribe(line.text("filter"), options=options, properties=props)
        else:
            self.paho.subscribe(line.text("filter"), line.number("qos"))

    def unsubscribe(self, line):
        self.paho.unsubscribe(line.text("filter"))

    def publish(self, line):
        props = properties(
            PacketTypes.PUBLISH,
            MessageExpiryInterval=line.number("expiry"),
            TopicAlias=line.number("alias"),
            UserProperty=line.pairs("user"),
        )
        self.paho.publish(
            line.text("topic"), line.data("payload"), line.number("qos"), line.flag("retain"), properties=props
        )

    def disconnect(self, _line):
        self.paho.disconnect()
        self.answers.get()
        self.paho.loop_stop()
        say("disconnected")


def main():
    say("hello", version=paho.mqtt.__version__)
    program = Program()
    for text in sys.stdin:
        line = Words(text.rstrip("\n"))
        getattr(program, line.verb)(line)


main()
