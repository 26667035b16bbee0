"""Who may use console and API, and from where; and what they leave on the disk."""

import http.cookies
import os
import signal
import stat
import unittest

from admin import API, Admin
from broker import Broker, command

JSON = {"Content-Type": "application/json"}


class Guarded(unittest.TestCase):
    def setUp(self):
        self.broker = Broker(shards=1).ready()
        self.addCleanup(self.broker.stop)
        self.admin = Admin(self.broker)

    def refused(self, answer, status, kind):
        """Every refusal is a problem with a remedy, and says nothing else."""
        self.assertEqual((answer.status, answer.headers["Content-Type"]), (status, "application/problem+json"))
        problem = answer.json
        self.assertEqual((problem["status"], problem["type"]), (status, f"tidemq:{kind}"))
        self.assertTrue(problem["detail"] and problem["remedy"], problem)

    def test_without_a_good_token_nothing_is_told(self):
        for headers in {}, {"Authorization": "Bearer wrong"}, {"Authorization": self.admin.token}:
            answer = self.admin.ask("GET", f"{API}/status", headers=headers, token=False)
            self.refused(answer, 401, "unauthorised")
            self.assertIn("WWW-Authenticate", answer.headers)
        self.assertEqual(self.admin.ask("GET", f"{API}/status").status, 200)
        for path in ["/metrics", f"{API}/openapi.json", f"{API}/config/draft", f"{API}/trace"]:
            self.assertEqual(self.admin.ask("GET", path, token=False).status, 401, path)
        for path in ["/health/live", "/health/ready"]:
            self.assertEqual(self.admin.ask("GET", path, token=False).status, 200, path)

    def test_a_page_of_another_origin_is_refused_even_with_the_token(self):
        for origin in ["http://evil.example", "null", f"https://{self.admin.host}", "http://127.0.0.1"]:
            for method, path in ("GET", f"{API}/status"), ("POST", f"{API}/apply"):
                self.refused(self.admin.ask(method, path, headers={"Origin": origin}), 403, "other-origin")
        own = {"Origin": f"http://{self.admin.host}"}
        self.assertEqual(self.admin.ask("GET", f"{API}/status", headers=own).status, 200)
        cross = self.admin.ask("GET", f"{API}/status", headers={"Sec-Fetch-Site": "cross-site"})
        self.refused(cross, 403, "other-origin")

    def test_by_another_name_the_broker_is_not_known(self):
        # A name of an attacker's that resolves to this machine.
        for host in ["evil.example", f"evil.example:{self.admin.url.port}"]:
            for token in True, False:
                self.refused(self.admin.ask("GET", f"{API}/status", headers={"Host": host}, token=token), 403, "wrong-host")
        for host in [f"localhost:{self.admin.url.port}", "127.0.0.1"]:
            self.assertEqual(self.admin.ask("GET", f"{API}/status", headers={"Host": host}).status, 200, host)

    def test_who_guesses_has_to_wait(self):
        wrong = [self.admin.ask("POST", f"{API}/session", {"secret": f"guess {n}"}, token=False) for n in range(30)]
        statuses = [answer.status for answer in wrong]
        first = statuses.index(429)
        self.assertEqual(statuses, [401] * first + [429] * (30 - first))
        self.assertLessEqual(first, 10)
        self.refused(wrong[-1], 429, "too-many")
        headers = {"Authorization": "Bearer guess"}
        self.refused(self.admin.ask("GET", f"{API}/status", headers=headers, token=False), 429, "too-many")
        # A token cannot be guessed: who has it need not wait for who tries.
        self.assertEqual(self.admin.ask("GET", f"{API}/status").status, 200)
        self.login()
        # The command line has a way of its own.
        self.assertEqual(command("status", "--data", self.broker.data).returncode, 0)

    def login(self, secret=None):
        answer = self.admin.ask("POST", f"{API}/session", {"secret": secret or self.admin.token}, token=False)
        self.assertEqual(answer.status, 204, answer.body)
        cookies = http.cookies.SimpleCookie(answer.headers["Set-Cookie"])
        (cookie,) = cookies.values()
        return cookie

    def test_a_session_is_a_cookie_that_no_page_can_read_or_send_from_elsewhere(self):
        cookie = self.login()
        self.assertTrue(cookie["httponly"])
        self.assertEqual((cookie["samesite"], cookie["path"], cookie["domain"]), ("Strict", "/", ""))
        self.assertGreaterEqual(len(cookie.value), 32)
        self.assertNotIn(self.admin.token, cookie.value)
        sent = {"Cookie": f"{cookie.key}={cookie.value}"}
        own = sent | {"Origin": f"http://{self.admin.host}"}
        self.assertEqual(self.admin.ask("GET", f"{API}/status", headers=sent, token=False).status, 200)
        change = ["POST", f"{API}/login-links"]
        self.refused(self.admin.ask(*change, headers=sent, token=False), 403, "no-origin")
        self.assertEqual(self.admin.ask(*change, headers=own, token=False).status, 200)
        self.assertEqual(self.admin.ask("DELETE", f"{API}/session", headers=own, token=False).status, 204)
        self.refused(self.admin.ask("GET", f"{API}/status", headers=sent, token=False), 401, "unauthorised")

    def test_a_link_logs_in_once(self):
        url = command("console", "--data", self.broker.data).stdout.split()[0]
        self.assertTrue(url.startswith(f"http://{self.admin.host}/login/"), url)
        path = url.split(self.admin.host)[1]
        first = self.admin.ask("GET", path, token=False)
        self.assertIn("Set-Cookie", first.headers, (first.status, first.body))
        again = self.admin.ask("GET", path, token=False)
        self.assertNotIn("Set-Cookie", again.headers)

    def test_every_answer_tells_a_browser_to_be_careful(self):
        for path in [f"{API}/status", "/login", "/nothing", "/health/live"]:
            headers = self.admin.ask("GET", path).headers
            for name in [
                "Content-Security-Policy",
                "X-Content-Type-Options",
                "X-Frame-Options",
                "Referrer-Policy",
                "Cross-Origin-Opener-Policy",
            ]:
                self.assertIn(name, headers, path)
            self.assertIn("frame-ancestors 'none'", headers["Content-Security-Policy"])
            self.assertNotIn("Access-Control-Allow-Origin", headers)

    def test_what_lies_on_the_disk_is_its_owners_alone(self):
        self.assertEqual(stat.S_IMODE(os.stat(self.broker.data).st_mode), 0o700)
        for name in ["admin.token", "control.sock", "state/home.key"]:
            self.assertEqual(stat.S_IMODE(os.stat(self.broker.data / name).st_mode), 0o600, name)
        for key in (self.broker.data / "pki" / "keys").iterdir():
            self.assertEqual(stat.S_IMODE(os.stat(key).st_mode), 0o600, key)

    def test_no_answer_and_no_log_holds_a_secret(self):
        command("user", "add", "anna", "--data", self.broker.data, "--apply", input="correct horse")
        paths = ["config/applied", "config/changes", "users", "history", "history/2", "status", "rejected"]
        said = [self.admin.ask("GET", f"{API}/{path}").body.decode() for path in paths]
        said += [command("config", "show", "--data", self.broker.data).stdout]
        self.broker.signal(signal.SIGHUP)
        said += [self.broker.log.wait("generation 2").string]
        for each in said:
            for secret in ["$argon2id$", "correct horse", self.admin.token]:
                self.assertNotIn(secret, each)
        # The text of the draft is the file as it is, for who may edit it.
        self.assertIn("$argon2id$", self.admin.get("/config/draft")["text"])

    def test_off_loopback_it_needs_tls(self):
        done = command("config", "set", "admin.address", "0.0.0.0:0", "--data", self.broker.data)
        refused = done if done.returncode else command("config", "apply", "--data", self.broker.data)
        self.assertEqual(refused.returncode, 3, refused.stdout)
        self.assertIn("tls = true", refused.stderr)


class Watched(unittest.TestCase):
    """What happens, as it happens."""

    def setUp(self):
        self.broker = Broker(shards=1).ready()
        self.addCleanup(self.broker.stop)
        self.admin = Admin(self.broker)

    def test_an_apply_is_told_to_who_listens_and_remembered(self):
        events = self.admin.events("/events")
        self.addCleanup(events.close)
        done = command("config", "set", "limits.topic_levels", "9", "--data", self.broker.data)
        self.assertEqual(done.returncode, 0, done.stderr)
        applied = command("config", "apply", "--comment", "why not", "--data", self.broker.data)
        self.assertEqual(applied.returncode, 0, applied.stderr)
        name, data = events.next()
        self.assertEqual(name, "applied")
        self.assertIn("limits.topic_levels", data)
        history = command("config", "history", "--data", self.broker.data).stdout
        self.assertRegex(history, r"(?m)^ +2 .*user \d+ of this machine .*why not$")
        shown = command("config", "history", "2", "--data", self.broker.data).stdout
        self.assertIn("limits.topic_levels: 128 -> 9", shown)
        back = command("config", "rollback", "1", "--data", self.broker.data)
        self.assertEqual(back.returncode, 0, back.stderr)
        self.assertIn("topic_levels = 128", self.broker.config.read_text())

    def test_what_is_not_confirmed_is_taken_back(self):
        place = ["--data", self.broker.data]
        events = self.admin.events("/events")
        self.addCleanup(events.close)
        command("config", "set", "limits.topic_levels", "9", *place)
        done = command("config", "apply", "--confirm-within", "1s", *place)
        self.assertEqual(done.returncode, 0, done.stderr)
        while events.next()[0] != "reverted":
            pass
        self.assertEqual(self.admin.get("/config/applied")["config"]["limits"]["topic_levels"], 128)
        command("config", "set", "limits.topic_levels", "8", *place)
        self.assertEqual(command("config", "apply", "--confirm-within", "1h", *place).returncode, 0)
        confirmed = command("config", "confirm", *place)
        self.assertEqual((confirmed.returncode, confirmed.stderr), (0, ""))
        self.assertIsNone(self.admin.get("/apply/confirmation")["confirm_until"])


if __name__ == "__main__":
    unittest.main()
