"""paho's client with its callbacks turned into queues, so that a test waits for what it expects."""

import queue
import socket
import ssl
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from broker import HANG

V3 = mqtt.MQTTv311
V5 = mqtt.MQTTv5


def properties(kind, **values):
    """Properties of a packet: `properties(PacketTypes.PUBLISH, MessageExpiryInterval=60)`."""
    made = Properties(kind)
    for name, value in values.items():
        setattr(made, name, value)
    return made


def taken(box, what):
    try:
        return box.get(timeout=HANG)
    except queue.Empty:
        raise AssertionError(f"{what} never came") from None


class Client:
    """One client; `connect` before anything else."""

    def __init__(
        self,
        broker,
        client_id,
        version=V3,
        clean=True,
        expiry=0,
        keep_alive=60,
        will=None,
        receive_maximum=None,
        manual_ack=False,
        websocket=False,
        ca=None,
        certificate=None,
        user=None,
    ):
        """`ca`: over TLS, and whom to trust there; `certificate`: a file with key, certificate and chain to show.
        `user`: name and password."""
        options = {"clean_session": clean} if version == V3 else {}
        if websocket:
            options["transport"] = "websockets"
        self.paho = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id, protocol=version, reconnect_on_failure=False, **options
        )
        self.paho.max_inflight_messages_set(1000)
        self.broker, self.version, self.clean, self.expiry = broker, version, clean, expiry
        self.keep_alive, self.receive_maximum = keep_alive, receive_maximum
        if ca:
            self.url = urlsplit(broker.secure_websocket if websocket else broker.tls)
            context = ssl.create_default_context(cafile=ca)
            if certificate:
                context.load_cert_chain(certificate)
            self.paho.tls_set_context(context)
        else:
            self.url = urlsplit(broker.websocket if websocket else f"tcp://{broker.host}:{broker.port}")
        if websocket:
            self.paho.ws_set_options(path=self.url.path)
        if user:
            self.paho.username_pw_set(*user)
        self.paho.manual_ack_set(manual_ack)
        self.connacks, self.messages, self.acks, self.ends = (queue.Queue() for _ in range(4))
        self.pings, self.published = queue.Queue(), queue.Queue()
        if will:
            self.paho.will_set(**will)
        self.paho.on_connect = lambda _c, _u, flags, reason, props: self.connacks.put((flags, reason, props))
        self.paho.on_message = lambda _c, _u, message: self.messages.put(message)
        self.paho.on_subscribe = lambda _c, _u, _mid, reasons, _p: self.acks.put(reasons)
        self.paho.on_unsubscribe = lambda _c, _u, _mid, reasons, _p: self.acks.put(reasons)
        self.paho.on_publish = lambda _c, _u, _mid, reason, _p: self.published.put(reason)
        self.paho.on_disconnect = lambda _c, _u, _flags, reason, _p: self.ends.put(reason)
        self.paho.on_log = lambda _c, _u, _level, text: "PINGRESP" in text and self.pings.put(text)

    def connect(self):
        """Connects and returns (flags, reason, properties) of the CONNACK."""
        options = {}
        if self.version == V5:
            options["clean_start"] = self.clean
            options["properties"] = properties(PacketTypes.CONNECT, SessionExpiryInterval=self.expiry)
            if self.receive_maximum:
                options["properties"].ReceiveMaximum = self.receive_maximum
        self.paho.connect(self.url.hostname, self.url.port, keepalive=self.keep_alive, **options)
        # paho writes packets as they are queued; Nagle would only slow the test down.
        if self.url.scheme in ("tcp", "mqtts"):
            self.paho.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.paho.loop_start()
        return taken(self.connacks, "CONNACK")

    def subscribe(self, *filters, qos=0, **options):
        """Subscribes and returns the reason codes of the SUBACK."""
        if self.version == V5:
            props = options.pop("properties", None)
            wanted = [(each, SubscribeOptions(qos=qos, **options)) for each in filters]
            self.paho.subscribe(wanted, properties=props)
        else:
            self.paho.subscribe([(each, qos) for each in filters])
        return taken(self.acks, "SUBACK")

    def unsubscribe(self, *filters):
        self.paho.unsubscribe(list(filters))
        return taken(self.acks, "UNSUBACK")

    def publish(self, topic, payload=b"", qos=0, retain=False, props=None):
        """Publishes and waits until the hand-shake of its QoS is complete."""
        info = self.queue(topic, payload, qos, retain, props)
        info.wait_for_publish(HANG)
        assert info.is_published(), f"no acknowledgement for {topic}"

    def told(self, topic, payload=b"", qos=1, retain=False):
        """Publishes alone, and returns the code of its PUBACK or PUBREC."""
        while not self.published.empty():
            self.published.get()
        self.queue(topic, payload, qos, retain)
        return taken(self.published, "an acknowledgement").value

    def queue(self, topic, payload=b"", qos=0, retain=False, props=None):
        """Publishes without waiting."""
        options = {"properties": props} if self.version == V5 else {}
        return self.paho.publish(topic, payload, qos, retain, **options)

    def message(self):
        """The next message."""
        return taken(self.messages, "a message")

    def until(self, payload):
        """The payloads of every message before the one that says `payload`."""
        got = []
        while (message := self.message()).payload != payload:
            got.append(message.payload)
        return got

    def end(self):
        """The reason for which the connection ended."""
        return taken(self.ends, "the end of the connection")

    def cut(self):
        """Ends the connection as a broken network would: without DISCONNECT."""
        self.paho.socket().shutdown(socket.SHUT_RDWR)
        self.end()
        self.paho.loop_stop()

    def disconnect(self):
        self.paho.disconnect()
        self.end()
        self.paho.loop_stop()

    def close(self):
        """Ends whatever is left of it, for a test that is over."""
        self.paho.disconnect()
        self.paho.loop_stop()
