#!/usr/bin/env python3
"""kill -9 at random moments of an Apply: whatever the moment, the next start comes up with the old configuration or the
new one, whole.

    cargo build
    bench/kill_apply.py                     # 200 rounds: some minutes
    bench/kill_apply.py --rounds 15         # as in tests/run

Each round gives the running broker another configuration - a limit, another limit and some rules that belong together,
and now and then a listener and a user - by the API, has it applied, and kills the broker somewhere in between: at a moment
drawn evenly from the time that both took before. Every fourth round kills `tidemq config apply` instead, while no broker
runs. Then the broker is started. It must say "ready"; what is applied must be all of the old or all of the new; the
configuration file must be valid, and one of the two as well.

`TIDEMQ` names the binary [the development build]. A seed repeats the moments that are drawn, not what they hit.
Exit code: 0, or 1 if a start failed or a configuration was not whole.
"""
import argparse, collections, http.client, json, os, random, signal, socket, subprocess, sys, tempfile, threading, time

HERE = os.path.dirname(os.path.abspath(__file__))
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(HERE, "..", "target"))
TIDEMQ = os.environ.get("TIDEMQ", os.path.join(TARGET, "debug", "tidemq"))
PATIENCE = 30
RULES = 20


class Local(http.client.HTTPConnection):
    """HTTP by the socket of a data directory."""

    def __init__(self, data):
        super().__init__("localhost", timeout=PATIENCE)
        self.path = os.path.join(data, "control.sock")

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self.path)

    def ask(self, method, path, body=None, kind="application/json"):
        self.request(method, "/api/v1" + path, body, {"Content-Type": kind} if body is not None else {})
        answer = self.getresponse()
        return answer.status, answer.read()


class Broken(Exception):
    pass


def marked(fresh, mark):
    """A configuration all parts of which say the same number."""
    text = fresh.replace("topic_levels = 128", f"topic_levels = {mark}")
    text = text.replace("topic_bytes = 1024", f"topic_bytes = {1_000 + mark}")
    assert text.count(str(mark)) >= 2, "the fresh file is not what this script knows"
    for number in range(RULES):
        text += f'\n[[rule]]\nname = "rule {mark} {number}"\naccess = "read"\nclient_match = "all"\ntopic_match = "specific"\n'
        text += f'topic = "t/{mark}/{number}"\n'
    if mark % 3 == 0:
        text += '\n[[listener]]\nprotocol = "tcp"\naddress = "127.0.0.1:0"\n'
    if mark % 4 == 0:
        password = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM0NTY$" + "A" * 43
        text += f'\n[[user]]\nname = "user {mark}"\npassword = "{password}"\n'
    return text


def mark_of(config):
    """The number that all parts of a configuration say; an error, if they do not agree."""
    mark = config["limits"]["topic_levels"]
    names = [rule["name"] for rule in config["rule"]]
    whole = (
        config["limits"]["topic_bytes"] == 1_000 + mark
        and names == [f"rule {mark} {number}" for number in range(RULES)]
        and [rule["topic"] for rule in config["rule"]] == [f"t/{mark}/{number}" for number in range(RULES)]
        and len(config["listener"]) == (3 if mark % 3 == 0 else 2)
        and [user["name"] for user in config["user"]] == ([f"user {mark}"] if mark % 4 == 0 else [])
    )
    if not whole:
        raise Broken(f"a configuration that is neither: {json.dumps(config)}")
    return mark


class Broker:
    def __init__(self, data):
        self.data = data
        command = [TIDEMQ, "serve", "--data", data, "--shards", "2", "--admin", "off"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if line == "ready\n":
                break
        else:
            raise Broken(f"it did not start: {self.process.stderr.read()}")
        # Nobody reads on; it goes on without.
        self.process.stdout.close()

    def applied(self):
        status, body = Local(self.data).ask("GET", "/config/applied")
        if status != 200:
            raise Broken(f"{status} {body}")
        return mark_of(json.loads(body)["config"])

    def apply(self, text):
        """Another draft, applied; how long both took."""
        began = time.monotonic()
        connection = Local(self.data)
        for method, path, body, kind in ("PUT", "/config/draft/text", text, "application/toml"), ("POST", "/apply", "{}", "application/json"):
            status, answer = connection.ask(method, path, body, kind)
            if status not in (200, 204):
                raise Broken(f"{method} {path}: {status} {answer.decode()}")
        return time.monotonic() - began

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()


def checked(data, marks):
    """What the configuration file says: it must be valid, and one of these."""
    done = subprocess.run([TIDEMQ, "config", "check", "--data", data], capture_output=True, text=True)
    if done.returncode:
        raise Broken(f"the configuration file is not valid: {done.stderr}")
    with open(os.path.join(data, "config.toml")) as f:
        text = f.read()
    found = [mark for mark in marks if f"topic_levels = {mark}\n" in text and text.count(f"rule {mark} ") == RULES]
    if len(found) != 1:
        raise Broken(f"the configuration file is neither of {marks}: {text}")


def killed_while_running(data, broker, fresh, mark, moment):
    """Gives the broker a configuration, and kills it at a moment."""
    def give():
        try:
            broker.apply(marked(fresh, mark))
        except (OSError, http.client.HTTPException, ValueError):
            pass  # It was killed.
    giving = threading.Thread(target=give)
    giving.start()
    time.sleep(moment)
    broker.kill()
    giving.join()


def killed_command(data, broker, fresh, mark, moment):
    """The same with the command, while no broker runs."""
    broker.process.send_signal(signal.SIGTERM)
    broker.process.wait()
    broker.process.stderr.close()
    config = os.path.join(data, "config.toml")
    with open(config + ".edited", "w") as f:
        f.write(marked(fresh, mark))
    os.replace(config + ".edited", config)
    command = subprocess.Popen([TIDEMQ, "config", "apply", "--data", data], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(moment)
    command.kill()
    command.communicate()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.randrange(1 << 32)
    moments = random.Random(seed)
    fresh = subprocess.run([TIDEMQ, "config", "show", "--fresh"], capture_output=True, text=True, check=True).stdout
    fresh = fresh.replace("enabled = false", "enabled = true", 1).replace("127.0.0.1:1883", "127.0.0.1:0")
    # It is taken as it is, and never rewritten: what the script writes is what there is.
    fresh = fresh.replace("generation = 0\n", "")
    outcomes = collections.Counter()
    with tempfile.TemporaryDirectory(prefix="tidemq-kill-") as folder:
        data = os.path.join(folder, "data")
        os.mkdir(data, 0o700)
        with open(os.path.join(data, "config.toml"), "w") as f:
            f.write(marked(fresh, 10))
        os.chmod(os.path.join(data, "config.toml"), 0o600)
        broker = Broker(data)
        old = broker.applied()
        longest = max(broker.apply(marked(fresh, mark)) for mark in (11, 12, 13, 14))
        old = 14
        print(f"seed {seed}; an Apply takes up to {longest * 1e3:.0f} ms", file=sys.stderr)
        began = time.monotonic()
        for number in range(options.rounds):
            new = 15 + number % 100
            new += new == old
            by_command = number % 4 == 3
            moment = moments.uniform(0, longest * (3 if by_command else 1.1))
            kill = killed_command if by_command else killed_while_running
            try:
                kill(data, broker, fresh, new, moment)
                checked(data, (old, new))
                broker = Broker(data)
                now = broker.applied()
                if now not in (old, new):
                    raise Broken(f"{now} is neither {old} nor {new}")
            except Broken as broken:
                print(f"round {number + 1}, killed after {moment * 1e3:.1f} ms: {broken}")
                sys.exit(1)
            outcomes["command" if by_command else "broker", "new" if now == new else "old"] += 1
            old = now
        broker.kill()
    took = time.monotonic() - began
    for (who, which), times in sorted(outcomes.items()):
        print(f"{who} killed: {times} times the {which} configuration")
    print(f"{options.rounds} starts after kill -9, every one whole; {took:.0f} s")


main()
