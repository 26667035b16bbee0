#!/usr/bin/env python3
"""Side by side: CPU a delivery of several brokers, or of one on 1, 2 and 4 shards, in one interleaved run.

    cargo build --release --workspace
    bench/side_by_side.py shards            # tidemq on 1, 2 and 4 shards, all on core 0; ratio to 1 shard
    bench/side_by_side.py peers             # tidemq, and those of mosquitto and FlashMQ found on PATH
    bench/side_by_side.py peers --case fan-w16 --case p2p --rounds 9
    bench/side_by_side.py ws                # tidemq on one shard over TCP and over WebSocket; ratio to TCP
    bench/side_by_side.py tls               # the same over TCP and over TLS, and what a handshake costs
    bench/side_by_side.py tls --mosquitto   # and mosquitto over both, where it is found

The brokers run on core 0 and the load on core 1, in a closed loop, so that a broker seldom sleeps. A round runs every
broker once per case; figures are medians over the rounds, ratios are taken inside a round, with their quartiles in
brackets. Quote ratios: two machines, or two runs, differ by more than two brokers do.

`ws` runs the fan-outs (or the cases named), each over TCP and over WebSocket in turn, against a broker of its own for
each run; who begins changes from round to round. `tls` does so with fan-w1, fan-w16, fan-flood, fan-q1 and `connect`,
whose ns and rates are those of a connection: what a handshake costs is TLS less TCP, and what a core can do is a second
divided by that, not the rate, which may be the generator's. The bytes are resident ones a connection that is idle. The
certificates are the broker's own, on P-256, and not verified by the clients: that costs the broker nothing.
"""
import argparse, json, os, re, shutil, signal, statistics, subprocess, sys, time

from started import Started, quartiles

HERE = os.path.dirname(os.path.abspath(__file__))
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(HERE, "..", "target"))
TIDEMQ, LOAD = (os.path.join(TARGET, "release", name) for name in ("tidemq", "tidemq-load"))

CASES = {
    "fan-w1": "fanout --subscribers 1000 --messages 200 --window 1",
    "fan-w16": "fanout --subscribers 1000 --messages 1000 --window 16",
    "fan-flood": "fanout --subscribers 200 --messages 20000 --window 500",
    "fan-q1": "fanout --subscribers 1000 --messages 500 --window 16 --qos 1",
    "fan-q2": "fanout --subscribers 500 --messages 300 --window 16 --qos 2",
    "fanin": "fanin --publishers 100 --messages 100000 --window 200",
    "p2p": "p2p --pairs 200 --messages 100000 --window 400",
    "p2p-q1": "p2p --pairs 200 --messages 50000 --window 400 --qos 1",
    "connect": "connect --connections 2000 --hold 1s",
}
OF_TLS = ["fan-w1", "fan-w16", "fan-flood", "fan-q1", "connect"]


def tidemq(shards, scheme=""):
    def start(folder, port):
        return [TIDEMQ, "serve", "--data", folder, "--listen", f"{scheme}127.0.0.1:{port}", "--shards", str(shards),
                "--cores", "0"]
    start.scheme = scheme
    return start


def mosquitto(folder, port):
    path = os.path.join(folder, "mosquitto.conf")
    with open(path, "w") as f:
        f.write(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 100000\n"
                f"max_inflight_messages 1000\nset_tcp_nodelay true\npersistence false\nuser root\n")
    return [shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-c", path]


def secured(folder, port):
    """mosquitto over TLS, with a certificate of P-256 as tidemq's."""
    command = mosquitto(folder, port)
    key, cert = (os.path.join(folder, name) for name in ("key.pem", "cert.pem"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", "/CN=localhost", "-days", "2", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    with open(command[-1], "a") as f:
        f.write(f"certfile {cert}\nkeyfile {key}\n")
    return command


secured.scheme = "mqtts://"


def flashmq(folder, port):
    path = os.path.join(folder, "flashmq.conf")
    with open(path, "w") as f:
        f.write(f"allow_anonymous true\nthread_count 1\nstorage_dir {folder}\nlog_level error\n"
                f"max_qos_msg_pending_per_client 10000\nlisten {{\n protocol mqtt\n port {port}\n"
                f" inet_protocol ip4\n inet4_bind_address 127.0.0.1\n}}\n")
    return ["flashmq", "--config-file", path]


class Broker(Started):
    """A broker on core 0, for as long as the `with` block lasts."""

    def __init__(self, start):
        super().__init__()
        self.start(0, start(self.folder.name, self.port))

    def sleeps_and_wakes(self):
        """What SIGUSR1 prints of the shards, added up; only tidemq has it."""
        self.process.send_signal(signal.SIGUSR1)
        time.sleep(0.3)
        self.log.seek(0)
        found = re.findall(r"(\d+) turns, (\d+) sleeps, (\d+) wakes", self.log.read())
        return sum(int(f[1]) for f in found), sum(int(f[2]) for f in found)


def run(start, case):
    with Broker(start) as broker:
        out = os.path.join(broker.folder.name, "load.json")
        address = f"{getattr(start, 'scheme', '')}127.0.0.1:{broker.port}"
        command = [LOAD, *CASES[case].split(), "--broker", address, "--cores", "1", "--quiet",
                   "--broker-pid", str(broker.process.pid), "--json", out]
        if address.startswith("mqtts://"):
            command.append("--insecure")
        done = subprocess.run(command, capture_output=True, text=True)
        if not os.path.exists(out):
            return {"error": (done.stderr or done.stdout).strip().splitlines()[-1:]}
        with open(out) as f:
            report = json.load(f)
        if not report["ready"] or (case != "connect" and report["broker"]["cpu_ns_per_delivery"] is None):
            return {"error": report["problems"] + list(report["failures"])}
        if case == "connect":
            used = report["broker"]
            return {"ns": used["cpu_us_per_connection"] * 1000, "rate": report["ready"] / report["connect_secs"],
                    "lost": 0, "bytes": used["resident_bytes_per_connection"]}
        delivered = sum(m["unique"] for m in report["messages"])
        row = {"ns": report["broker"]["cpu_ns_per_delivery"],
               "rate": report["delivered_per_sec"],
               "lost": sum(m["lost"] for m in report["messages"])}
        if start.__name__ == "start":
            row["sleeps"], row["wakes"] = (n / max(delivered, 1) for n in broker.sleeps_and_wakes())
        return row


def table(names, cases, rows):
    base = names[0]
    print(f"\n{'case':10} {'broker':14} {'ns a delivery':>14} {'ratio to ' + base:>26} {'deliveries/s':>13} "
          f"{'lost':>6} {'sleeps':>8} {'wakes':>8}   (sleeps, wakes: per 1,000 deliveries)")
    for case in cases:
        for name in names:
            mine = [r.get((name, case), {}) for r in rows]
            good = [r for r in mine if "ns" in r]
            if not good:
                print(f"{case:10} {name:14} failed: {mine[0].get('error')}")
                continue
            ratios = [r[name, case]["ns"] / r[base, case]["ns"] for r in rows
                      if "ns" in r.get((name, case), {}) and "ns" in r.get((base, case), {})]
            spread = quartiles(ratios) if ratios else "-"
            median = {k: statistics.median(r[k] for r in good if k in r) for k in good[0]}
            slept = "".join(f" {median[k] * 1000:8.2f}" for k in ("sleeps", "wakes") if k in median)
            slept += f"   {median['bytes']:,.0f} bytes" if "bytes" in median else ""
            print(f"{case:10} {name:14} {median['ns']:14,.0f} {spread:>26} {median['rate']:13,.0f} "
                  f"{median['lost']:6.0f}{slept}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["shards", "peers", "ws", "tls"])
    parser.add_argument("--case", action="append", choices=CASES, help="only these cases")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mosquitto", action="store_true", help="tls: mosquitto, too")
    options = parser.parse_args()
    if options.what == "shards":
        brokers = {f"{n} shard{'s' if n > 1 else ''}": tidemq(n) for n in (1, 2, 4)}
    elif options.what == "ws":
        brokers = {"TCP": tidemq(1), "WebSocket": tidemq(1, "ws://")}
    elif options.what == "tls":
        brokers = {"TCP": tidemq(1), "TLS": tidemq(1, "mqtts://")}
        if options.mosquitto:
            brokers |= {"mosquitto": mosquitto, "mosquitto TLS": secured}
    else:
        brokers = {"tidemq": tidemq(1)}
        if shutil.which("mosquitto") or os.path.exists("/usr/sbin/mosquitto"):
            brokers["mosquitto"] = mosquitto
        if shutil.which("flashmq"):
            brokers["flashmq"] = flashmq
    fan_outs = [case for case in CASES if CASES[case].startswith("fanout")]
    usual = {"ws": fan_outs, "tls": OF_TLS}.get(options.what, [case for case in CASES if case != "connect"])
    cases, rows = options.case or usual, []
    for number in range(options.rounds):
        row = {}
        for case in cases:
            order = list(brokers.items())
            for name, start in reversed(order) if number % 2 else order:
                row[name, case] = run(start, case)
                print(f"round {number + 1} {case} {name}: {row[name, case]}", file=sys.stderr)
        rows.append(row)
    table(list(brokers), cases, rows)


main()
