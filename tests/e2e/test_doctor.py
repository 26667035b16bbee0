"""`tidemq doctor`, completions and the manual: what an operator has before and beside a running broker."""

import json
import socket
import subprocess
import tempfile
import unittest
from pathlib import Path

from broker import BINARY, Broker, command

NO = 9


def doctor(data):
    """Its exit code and its findings."""
    done = command("doctor", "--json", "--data", data)
    return done.returncode, json.loads(done.stdout)


def found(report, check, verdict):
    return [each for each in report["findings"] if (each["check"], each["verdict"]) == (check, verdict)]


class Doctor(unittest.TestCase):
    def setUp(self):
        self.temp = tempfile.TemporaryDirectory(prefix="tidemq-e2e-")
        self.addCleanup(self.temp.cleanup)
        self.data = Path(self.temp.name) / "data"

    def test_before_the_first_start_it_finds_no_problem_and_makes_nothing(self):
        code, report = doctor(self.data)
        self.assertEqual((code, report["problems"]), (0, 0), report)
        self.assertTrue(found(report, "kernel", "ok") and found(report, "io_uring", "ok"))
        self.assertFalse(self.data.exists())

    def test_a_port_is_this_brokers_or_somebody_elses(self):
        with socket.create_server(("127.0.0.1", 0)) as holder:
            port = holder.getsockname()[1]
        broker = Broker("--enable", data=self.data, listen=False, shards=2)
        broker.ready().stop()
        broker.edit("127.0.0.1:1883", f"127.0.0.1:{port}")
        broker = Broker(data=self.data, listen=False, shards=2).ready()
        code, report = doctor(self.data)
        broker.stop()
        self.assertEqual(code, 0, report)
        held = [each["what"] for each in found(report, "port", "ok")]
        self.assertIn(f"listener[0]: 127.0.0.1:{port} is held by this broker (process {broker.process.pid})", held)
        with socket.create_server(("127.0.0.1", port)):
            code, report = doctor(self.data)
        self.assertEqual(code, NO)
        (taken,) = found(report, "port", "problem")
        self.assertIn(f"127.0.0.1:{port} is already in use by process", taken["what"])
        self.assertIn("choose another port", taken["remedy"])

    def test_a_key_that_others_may_read_and_a_bad_configuration_are_problems(self):
        Broker("--enable", data=self.data, shards=1).ready().stop()
        (self.data / "state" / "home.key").chmod(0o644)
        config = self.data / "config.toml"
        config.write_text(config.read_text().replace("topic_levels = 128", "topic_levels = 0"))
        code, report = doctor(self.data)
        self.assertEqual(code, NO)
        self.assertIn("home.key", found(report, "data", "problem")[0]["remedy"])
        self.assertIn("limits.topic_levels (line", found(report, "configuration", "problem")[0]["what"])

    def test_a_pipe_is_shown_no_colours(self):
        done = command("doctor", "--data", self.data)
        self.assertNotIn("\x1b", done.stdout)
        self.assertRegex(done.stdout, r"(?m)^ok +kernel +Linux ")


class Definition(unittest.TestCase):
    """What is made from the definition of the command line."""

    def test_a_shell_completes_commands_and_options(self):
        for shell in ["elvish", "fish", "powershell", "zsh"]:
            self.assertIn("doctor", command("completions", shell).stdout, shell)
        script = command("completions", "bash").stdout
        for words, wanted in [(["tidemq", "conf"], "config"), (["tidemq", "config", "ap"], "apply")]:
            asking = f'COMP_WORDS=({" ".join(words)}); COMP_CWORD={len(words) - 1}\n'
            asking += f'_tidemq tidemq {words[-1]} {words[-2]}; echo "${{COMPREPLY[*]}}"'
            done = subprocess.run(["bash"], input=script + asking, capture_output=True, text=True, check=True)
            self.assertEqual(done.stdout.split(), [wanted])

    def test_the_manual_has_a_page_for_every_command(self):
        self.assertIn(".TH tidemq 1", command("man").stdout)
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(command("man", "--out", folder).returncode, 0)
            pages = {page.name for page in Path(folder).iterdir()}
        self.assertLessEqual({"tidemq.1", "tidemq-serve.1", "tidemq-config-apply.1", "tidemq-doctor.1"}, pages)
        help_text = subprocess.run([BINARY, "--help"], capture_output=True, text=True, check=True).stdout
        commands = help_text.split("Commands:")[1].split("Options:")[0]
        names = [line.split()[0] for line in commands.splitlines() if line[:2] == "  " and line[2:3] != " "]
        self.assertLessEqual({f"tidemq-{name}.1" for name in names if name != "help"}, pages)


if __name__ == "__main__":
    unittest.main()
