"""Messages beyond a client's Receive Maximum wait, and all of them arrive in order [MQTT-3.3.4-9, MQTT-4.6.0-6].

Two well-known brokers lose them here. A client is slow without any clock: it is stopped by a signal, or it
acknowledges nothing, until the publisher has all its acknowledgements.
"""

import itertools
import os
import signal
import subprocess
import unittest

from broker import HANG, Broker, Lines
from client import V5, Client

COUNT = 10_000
# What mosquitto_sub asks for by itself.
RECEIVE_MAXIMUM = 20
# Two busy cores: this only ends a test that hangs.
PATIENCE = 10 * HANG

BROKER = None
NUMBERS = itertools.count()
EXPECTED = [str(number) for number in range(COUNT)]


def setUpModule():
    global BROKER
    BROKER = Broker("--listen", "ws://127.0.0.1:0/mqtt", shards=3).ready()


def tearDownModule():
    BROKER.stop()


def mosquitto(program, *arguments):
    return [program, "-h", BROKER.host, "-p", str(BROKER.port), "-V", "mqttv5", *map(str, arguments)]


def publish(topic, qos):
    """Publishes them all and returns when each is acknowledged."""
    done = subprocess.run(
        mosquitto("mosquitto_pub", "-t", topic, "-q", qos, "-l"),
        input="".join(f"{each}\n" for each in EXPECTED),
        text=True,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done


class MosquittoSub(unittest.TestCase):
    """mosquitto_sub with the Receive Maximum that it has by itself."""

    def arrive(self, qos, stopped):
        topic = f"window/{os.getpid()}/{next(NUMBERS)}"
        command = mosquitto("mosquitto_sub", "-t", topic, "-q", qos, "-C", COUNT, "-d", "-F", "MSG %p")
        process = subprocess.Popen(
            ["stdbuf", "-oL", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        out = Lines(process.stdout)
        try:
            out.wait(r"^Subscribed")
            if stopped:
                process.send_signal(signal.SIGSTOP)
            publish(topic, qos)
            if stopped:
                process.send_signal(signal.SIGCONT)
            # It ends by itself after the last.
            self.assertEqual(process.wait(timeout=PATIENCE), 0)
            got = [line.split(" ")[1] for line in out.rest() if line.startswith("MSG ")]
            self.assertEqual(got, EXPECTED)
        finally:
            process.kill()
            process.wait(timeout=HANG)
            out.rest()
            process.stdout.close()

    def test_qos_1(self):
        self.arrive(1, stopped=False)

    def test_qos_2(self):
        self.arrive(2, stopped=False)

    def test_qos_1_while_it_is_stopped(self):
        self.arrive(1, stopped=True)

    def test_qos_2_while_it_is_stopped(self):
        self.arrive(2, stopped=True)


class Paho(unittest.TestCase):
    """paho, which acknowledges when it is told to."""

    def arrive(self, qos, websocket):
        topic = f"window/{os.getpid()}/{next(NUMBERS)}"
        client = Client(
            BROKER, topic, V5, receive_maximum=RECEIVE_MAXIMUM, manual_ack=True, websocket=websocket
        )
        self.addCleanup(client.close)
        _flags, reason, _properties = client.connect()
        self.assertFalse(reason.is_failure, reason)
        client.subscribe(topic, qos=qos)
        publish(topic, qos)
        window = [client.message() for _ in range(RECEIVE_MAXIMUM)]
        # Whatever else was sent to it would come before this SUBACK.
        client.subscribe(f"{topic}/fence", qos=0)
        self.assertTrue(client.messages.empty(), "more than it allows")
        got = []
        for number in range(COUNT):
            message = window[number] if number < RECEIVE_MAXIMUM else client.message()
            got.append(message.payload.decode())
            client.paho.ack(message.mid, message.qos)
        self.assertEqual(got, EXPECTED)

    def test_qos_1_over_tcp(self):
        self.arrive(1, websocket=False)

    def test_qos_2_over_tcp(self):
        self.arrive(2, websocket=False)

    def test_qos_1_over_websocket(self):
        self.arrive(1, websocket=True)

    def test_qos_2_over_websocket(self):
        self.arrive(2, websocket=True)


if __name__ == "__main__":
    unittest.main()
