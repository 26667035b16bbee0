"""The API against its own OpenAPI document: schemathesis makes requests of it, good and bad ones, and no answer may be a
fault or one that the document does not know.

`TIDEMQ_API_EXAMPLES` is how many it makes of each operation [5].
"""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from admin import API, Admin
from broker import Broker
from client import V5, Client

EXAMPLES = os.environ.get("TIDEMQ_API_EXAMPLES", "5")
# The same requests each time.
SEED = 20261130
CHECKS = ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance"]
# Streams do not end, and who logs in wrongly ten times is not heard for a minute; test_admin has both.
LEFT_OUT = [f"{API}/events", f"{API}/trace", f"{API}/session"]
LONGEST = 900


class Documented(unittest.TestCase):
    def setUp(self):
        # Whatever it writes into [admin], it goes on being heard where it is.
        self.broker = Broker("--admin", "127.0.0.1:0", shards=2).ready()
        self.addCleanup(self.broker.stop)
        self.admin = Admin(self.broker)

    def test_every_path_of_the_document_is_served_and_tells_what_it_is(self):
        document = self.admin.get("/openapi.json")
        self.assertRegex(document["openapi"], r"^3\.1")
        for path, item in document["paths"].items():
            for method, operation in item.items():
                self.assertTrue(operation["summary"] or operation["description"], (method, path))
                self.assertIn("401", operation["responses"], (method, path))
        unknown = self.admin.ask("GET", f"{API}/nothing")
        self.assertEqual((unknown.status, unknown.headers["Content-Type"]), (404, "application/problem+json"))

    def test_no_request_finds_a_fault_or_an_answer_that_is_not_documented(self):
        # Something to be found.
        client = Client(self.broker, "a/client id", version=V5, expiry=600)
        client.connect()
        self.addCleanup(client.close)
        client.subscribe("a/#")
        client.publish("a/topic", b"kept", qos=1, retain=True)
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [
                    Path(sys.executable).with_name("schemathesis"),
                    *["run", f"http://{self.admin.host}{API}/openapi.json"],
                    *["--url", f"http://{self.admin.host}"],
                    *["--header", f"Authorization: Bearer {self.admin.token}"],
                    *["--checks", ",".join(CHECKS)],
                    *["--max-examples", EXAMPLES, "--seed", str(SEED), "--phases", "examples,coverage,fuzzing"],
                    *["--generation-database", "none", "--no-shrink", "--continue-on-failure", "--no-color"],
                    # It gives up where it has thrown away many of its own guesses, which is not a finding about us.
                    *["--request-timeout", "60", "--warnings", "off", "--suppress-health-check", "all"],
                    *[word for path in LEFT_OUT for word in ("--exclude-path", path)],
                ],
                capture_output=True,
                text=True,
                timeout=LONGEST,
                check=False,
                cwd=folder,
                env={**os.environ, "SCHEMATHESIS_HOOKS": "toml_body", "PYTHONPATH": str(Path(__file__).parent)},
            )
        self.assertEqual(done.returncode, 0, done.stdout[-20_000:] + done.stderr[-2_000:])
        self.assertTrue(self.admin.ask("GET", "/health/live").status == 200)


if __name__ == "__main__":
    unittest.main()
