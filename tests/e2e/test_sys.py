"""What the broker says of itself below $SYS, as mosquitto_sub hears it."""

import signal
import subprocess
import unittest

from broker import Broker, Lines, command
from client import V5, Client

ROOT = "$SYS/broker/"


class Listener:
    """A mosquitto_sub that has its SUBACK, and the last text of each topic that it heard."""

    def __init__(self, broker, *filters):
        arguments = [each for topic in filters for each in ("-t", topic)]
        self.process = subprocess.Popen(
            ["stdbuf", "-oL", "mosquitto_sub", "-h", broker.host, "-p", str(broker.port), "-V", "5", "-d"]
            + ["-F", "MSG\t%t\t%r\t%p", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.out = Lines(self.process.stdout)
        self.texts, self.retained, self._read = {}, set(), 0
        self.out.wait(r"^Subscribed")

    def hear(self, holds):
        """Listens until `holds` of what it knows."""
        while True:
            for line in self.out.seen[self._read :]:
                if line.startswith("MSG\t"):
                    _, topic, retained, text = line.split("\t")
                    self.texts[topic] = text
                    if retained == "1":
                        self.retained.add(topic)
            self._read = len(self.out.seen)
            if holds(self.texts):
                return
            self.out.wait("")

    def until(self, **texts):
        """Listens until each topic, by its name with `__` for `/`, has its text."""
        wanted = {ROOT + name.replace("__", "/"): str(text) for name, text in texts.items()}
        self.hear(lambda known: all(known.get(topic) == text for topic, text in wanted.items()))

    def end(self):
        """A mosquitto_sub that is told to stop says DISCONNECT."""
        self.process.send_signal(signal.SIGTERM)
        self.out.rest()
        self.process.stdout.close()
        self.process.wait()


class Sys(unittest.TestCase):
    def setUp(self):
        self.broker = Broker().ready()
        self.addCleanup(self.broker.stop)
        self.every(10, 1)

    def every(self, before, after):
        """Another interval, by Apply."""
        self.broker.edit(f"sys_interval_secs = {before}", f"sys_interval_secs = {after}")
        done = command("config", "apply", "--data", self.broker.data)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"status.sys_interval_secs: {before} -> {after} (live)", done.stdout)

    def listener(self, *filters):
        listener = Listener(self.broker, *filters)
        self.addCleanup(listener.end)
        return listener

    def client(self, name):
        client = Client(self.broker, name, version=V5)
        client.connect()
        self.addCleanup(client.close)
        return client

    def report(self):
        return command("report", "--data", self.broker.data).stdout

    def test_what_clients_do_is_told_and_what_the_broker_says_is_not_counted(self):
        listener = self.listener("$SYS/#")
        version = ROOT + "version"
        listener.hear(lambda known: known.get(version, "").startswith("tidemq version "))
        self.assertIn(version, listener.retained)
        client = self.client("client")
        client.subscribe("t", qos=1)
        for payload in [b"first", b"second"]:
            client.publish("t", payload, qos=1)
            self.assertEqual(client.message().payload, payload)
        client.publish("kept", b"1234", retain=True, qos=1)
        listener.until(
            clients__connected=2,
            clients__total=2,
            clients__disconnected=0,
            subscriptions__count=2,
            publish__messages__received=3,
            publish__messages__sent=2,
            publish__messages__dropped=0,
            publish__bytes__received=15,
            publish__bytes__sent=11,
            store__messages__count=1,
        )
        listener.hear(lambda known: known.get(ROOT + "retained messages/count") == "1")
        listener.hear(lambda known: float(known[ROOT + "load/publish/received/1min"]) > 0)
        client.disconnect()
        listener.until(clients__connected=1, clients__maximum=2)
        self.assertGreaterEqual(int(listener.texts[ROOT + "bytes/received"]), 15)
        report = self.report()
        self.assertRegex(report, r"messages received +3\n")
        self.assertRegex(report, r"messages sent +2\n")
        self.assertRegex(report, r"messages retained +1\n")
        self.assertNotIn("dropped", report)

    def test_a_wildcard_in_front_hears_nothing_of_it_and_nobody_else_says_it(self):
        everything = self.listener("#", "+/broker/#")
        listener = self.listener(ROOT + "uptime")
        forger = self.client("forger")
        forger.publish(ROOT + "uptime", b"forged", qos=1, retain=True)
        told = []
        listener.hear(lambda known: known.get(ROOT + "uptime") not in (None, *told))
        told.append(listener.texts[ROOT + "uptime"])
        listener.hear(lambda known: known.get(ROOT + "uptime") not in told)
        self.assertTrue(all(text.endswith(" seconds") for text in [*told, *listener.texts.values()]))
        forger.publish("end", b"now", qos=1)
        everything.hear(lambda known: "end" in known)
        self.assertEqual(list(everything.texts), ["end"])

    def test_an_interval_of_zero_clears_it_and_another_fills_it_again(self):
        listener = self.listener("$SYS/#")
        listener.until(clients__connected=1)
        self.every(1, 0)
        listener.hear(lambda known: not any(known.values()))
        late = self.listener("$SYS/#")
        self.every(0, 1)
        late.until(clients__connected=2)
        self.assertEqual(late.retained, set(), "nothing was retained when it came")


if __name__ == "__main__":
    unittest.main()
