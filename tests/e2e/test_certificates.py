"""Certificates by command line, and openssl as the judge: what it makes is taken here, what is made here it verifies."""

import os
import re
import socket
import ssl
import subprocess
import tempfile
import unittest
from pathlib import Path

from broker import HANG, Broker, command

# Exit codes, as `tidemq --help` lists them.
DATA, GIVEN = 6, 8

AUTHORITY = (
    "-addext", "basicConstraints=critical,CA:TRUE",
    "-addext", "keyUsage=critical,keyCertSign,cRLSign",
)
SERVER = ("-addext", "extendedKeyUsage=serverAuth", "-addext", "subjectAltName=DNS:broker.example,IP:192.0.2.7")
EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
PASSWORD = "geheim ä"


def openssl(*arguments, fails=False, checked=True, **options):
    """Runs openssl; what it says."""
    done = subprocess.run(
        ["openssl", *map(str, arguments)], capture_output=True, timeout=HANG, check=False, text=True, **options
    )
    if checked and (done.returncode != 0) != fails:
        raise AssertionError(f"openssl {arguments}: {done.returncode} {done.stdout} {done.stderr}")
    return done.stdout + done.stderr


def knows_old_ciphers():
    """Some systems have them in a package of their own."""
    done = subprocess.run(
        ["openssl", "list", "-providers", "-provider", "legacy"], capture_output=True, timeout=HANG, check=False
    )
    return done.returncode == 0


OLD_CIPHERS = knows_old_ciphers()


class Certificates(unittest.TestCase):
    """A data directory and a folder for files, both empty."""

    def setUp(self):
        temp = tempfile.TemporaryDirectory(prefix="tidemq-e2e-")
        self.addCleanup(temp.cleanup)
        self.files = Path(temp.name)
        self.data = self.files / "data"
        self.password = self.file("password")
        self.password.write_text(PASSWORD + "\n", encoding="utf-8")
        # The first command makes the folder and a configuration, with an authority of its own.
        if "built-in" in self.tidemq("ca", "list"):
            self.tidemq("ca", "remove", "built-in")
        self.assertIn("there are no authorities", self.tidemq("ca", "list"))

    def file(self, name):
        return self.files / name

    def run_command(self, *arguments, **options):
        return command(*arguments, "--data", self.data, **options)

    def tidemq(self, *arguments, **options):
        """Runs a command that must succeed; what it says."""
        done = self.run_command(*arguments, **options)
        self.assertEqual((done.returncode, done.stderr), (0, ""), arguments)
        return done.stdout

    def refused(self, *arguments, because, exit=GIVEN, **options):
        """Runs a command that must fail with a remedy, and leave everything as it was."""
        before = self.tree()
        done = self.run_command(*arguments, **options)
        self.assertEqual(done.returncode, exit, (arguments, done.stdout, done.stderr))
        self.assertIn(because, done.stderr, arguments)
        self.assertEqual(done.stdout, "")
        self.assertEqual(len(done.stderr.splitlines()), 2, done.stderr)
        self.assertNotIn(PASSWORD, done.stderr)
        self.assertEqual(self.tree(), before, arguments)

    def tree(self):
        files = [path for path in self.files.rglob("*") if path.is_file()]
        return {path: path.read_bytes() for path in files}

    def configuration(self):
        return (self.data / "config.toml").read_text(encoding="utf-8")

    def create(self, name="Plant 7", key_type="ecdsa-p256"):
        """An authority; its certificate as PEM."""
        self.tidemq("ca", "create", "--name", name, "--key-type", key_type)
        root = self.file(f"{name}.pem")
        self.tidemq("ca", "export", name, "--out", root)
        return root

    def made_by_openssl(self, stem, *more, subject="/CN=Foreign", key=EC, days=30):
        """A self-signed certificate and its key."""
        certificate, private = self.file(f"{stem}.pem"), self.file(f"{stem}.key")
        openssl(
            "req", "-x509", *key, "-nodes", "-subj", subject, "-days", days, *more, "-keyout", private,
            "-out", certificate,
        )
        return certificate, private


class OpensslVerifies(Certificates):
    """What is made here."""

    def test_clients_and_brokers_of_every_type_of_key(self):
        for key_type in "ecdsa-p256", "ecdsa-p384", "ed25519", "rsa-2048":
            with self.subTest(key_type):
                root = self.create(key_type, key_type)
                self.tidemq("ca", "use", key_type)
                client, broker = self.file(f"{key_type}.client"), self.file(f"{key_type}.broker")
                self.tidemq(
                    "ca", "issue", "--name", "device1", "--key-type", key_type, "--san", "device1.example",
                    "--pem", client,
                )
                self.assertEqual(client.stat().st_mode & 0o777, 0o600)
                openssl("verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", root, client)
                openssl("verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", root, client, fails=True)
                public = openssl("x509", "-in", client, "-noout", "-pubkey")
                self.assertEqual(openssl("pkey", "-in", client, "-pubout"), public)
                self.tidemq(
                    "cert", "broker", "new", "--san", "broker.example", "--san", "192.0.2.7", "--key-type", key_type
                )
                self.tidemq("cert", "broker", "export", "--out", broker)
                self.assertNotIn("PRIVATE", broker.read_text())
                for known_as in ("-verify_hostname", "broker.example"), ("-verify_ip", "192.0.2.7"):
                    openssl(
                        "verify", "-x509_strict", "-purpose", "sslserver", *known_as, "-CAfile", root, broker
                    )
                openssl("verify", "-verify_hostname", "other.example", "-CAfile", root, broker, fails=True)

    def test_a_broker_certificate_of_its_own(self):
        self.tidemq("cert", "broker", "new", "--san", "broker.example")
        broker = self.file("broker.pem")
        self.tidemq("cert", "broker", "export", "--out", broker)
        openssl("verify", "-purpose", "sslserver", "-verify_hostname", "broker.example", "-CAfile", broker, broker)

    def test_pkcs12_opens_with_its_password_only(self):
        root = self.create()
        for stem, more, flags in ("modern", (), ()), ("old", ("--old-encryption",), ("-legacy",)):
            if stem == "old" and not OLD_CIPHERS:
                continue
            bundle, opened = self.file(f"{stem}.p12"), self.file(f"{stem}.pem")
            self.tidemq(
                "ca", "issue", "--name", stem, "--pkcs12", bundle, "--password-file", self.password, *more
            )
            word = f"pass:{PASSWORD}"
            openssl("pkcs12", "-in", bundle, "-passin", word, "-nodes", *flags, "-out", opened)
            openssl("pkcs12", "-in", bundle, "-passin", "pass:x", "-nodes", *flags, "-out", self.file("x"), fails=True)
            openssl("verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", root, opened)
            self.assertIn(f"CN = {stem}", openssl("x509", "-in", opened, "-noout", "-subject"))
            self.assertEqual(openssl("pkey", "-in", opened, "-pubout"), openssl("x509", "-in", opened, "-noout", "-pubkey"))

    def test_thumbprints_and_der_are_those_of_openssl(self):
        root = self.create()
        der = self.file("root.der")
        self.tidemq("ca", "export", "Plant 7", "--der", "--out", der)
        said = self.tidemq("ca", "show", "Plant 7").lower()
        for digest in "sha1", "sha256":
            told = openssl("x509", "-inform", "DER", "-in", der, "-noout", "-fingerprint", f"-{digest}")
            self.assertIn(told.split("=")[1].strip().replace(":", "").lower(), said)
        self.assertEqual(openssl("x509", "-in", root), openssl("x509", "-inform", "DER", "-in", der))

    def test_requests_are_signed_and_not_believed(self):
        root = self.create()
        keys = {
            "ec": EC,
            "ed25519": ("-newkey", "ed25519"),
            "rsa": ("-newkey", "rsa:2048"),
            "p384-sha256": ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1", "-sha256"),
        }
        for stem, key in keys.items():
            for form in "PEM", "DER":
                with self.subTest(stem + form):
                    request, signed = self.file(f"{stem}.{form}.csr"), self.file(f"{stem}.{form}.pem")
                    openssl(
                        "req", "-new", *key, "-nodes", "-subj", f"/O=Other/CN={stem}", "-outform", form,
                        "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "extendedKeyUsage=serverAuth",
                        "-addext", "subjectAltName=DNS:d.example,IP:192.0.2.9",
                        "-keyout", self.file("key"), "-out", request,
                    )
                    self.tidemq("ca", "sign", request, "--out", signed)
                    openssl("verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", root, signed)
                    text = openssl("x509", "-in", signed, "-noout", "-text")
                    for told in f"Subject: CN = {stem}\n", "CA:FALSE", "DNS:d.example, IP Address:192.0.2.9":
                        self.assertIn(told, text)
                    self.assertNotIn("TLS Web Server", text)
                    self.assertEqual(
                        openssl("req", "-in", request, "-inform", form, "-noout", "-pubkey"),
                        openssl("x509", "-in", signed, "-noout", "-pubkey"),
                    )


class OpensslMakes(Certificates):
    """What is taken here."""

    def issues(self, root, name):
        """The authority that was imported can issue, and openssl agrees."""
        self.tidemq("ca", "use", name)
        client = self.file(f"{name}-client.pem")
        self.tidemq("ca", "issue", "--name", "device1", "--pem", client)
        openssl("verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", root, client)

    def test_authorities_with_long_names_issue(self):
        names = {
            "units": "/OU=First/OU=Second/CN=Two units",
            "domain": "/DC=com/DC=example/CN=A Windows domain",
            "together": "/O=Plant+OU=Seven/CN=Two in one",
        }
        for stem, subject in names.items():
            with self.subTest(stem):
                root, private = self.made_by_openssl(
                    stem, *AUTHORITY, "-multivalue-rdn", subject=subject
                )
                self.tidemq("ca", "import", root, "--key", private, "--name", stem)
                self.issues(root, stem)

    def test_keys_in_every_form(self):
        for stem, key in ("ec", EC), ("rsa", ("-newkey", "rsa:2048")), ("ed", ("-newkey", "ed25519")):
            root, private = self.made_by_openssl(stem, *AUTHORITY, subject=f"/CN={stem}", key=key)
            for form, convert in {
                "pkcs8-der": ("pkcs8", "-topk8", "-nocrypt", "-outform", "DER"),
                "traditional": ("pkey", "-traditional"),
                "traditional-der": ("pkey", "-traditional", "-outform", "DER"),
                "aes": ("pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", f"pass:{PASSWORD}"),
                "aes-der": ("pkcs8", "-topk8", "-v2", "aes-128-cbc", "-outform", "DER", "-passout", f"pass:{PASSWORD}"),
                "scrypt": ("pkcs8", "-topk8", "-scrypt", "-passout", f"pass:{PASSWORD}"),
            }.items():
                if stem == "ed" and "-traditional" in convert:
                    # There is none.
                    continue
                with self.subTest(f"{stem} {form}"):
                    converted = self.file(f"{stem}.{form}")
                    openssl(*convert, "-in", private, "-out", converted)
                    self.tidemq(
                        "ca", "import", root, "--key", converted, "--password-file", self.password, "--name", stem
                    )
                    self.issues(root, stem)
                    self.tidemq("ca", "remove", stem, "--apply", "--destroy-key")
                    converted.unlink()
                    self.file(f"{stem}-client.pem").unlink()

    def test_pkcs12_of_every_age(self):
        ages = {
            "new": (),
            "legacy": ("-legacy",),
            "3des": ("-legacy", "-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"),
            "without-encrypted-certificates": ("-certpbe", "NONE"),
        }
        for stem, flags in ages.items():
            if "-legacy" in flags and not OLD_CIPHERS:
                continue
            with self.subTest(stem):
                root, private = self.made_by_openssl(stem, *AUTHORITY, subject=f"/CN={stem}")
                bundle = self.file(f"{stem}.p12")
                openssl(
                    "pkcs12", "-export", *flags, "-in", root, "-inkey", private, "-name", "friendly",
                    "-passout", f"pass:{PASSWORD}", "-out", bundle,
                )
                wrong = self.file("wrong")
                wrong.write_text("wrong\n")
                self.refused("ca", "import", bundle, "--password-file", wrong, because="password does not open")
                self.refused("ca", "import", bundle, because="protected by a password", stdin=subprocess.DEVNULL)
                said = self.tidemq("ca", "import", bundle, "--password-file", self.password)
                self.assertIn(f"`{stem}`, with its private key", said)
                self.issues(root, stem)

    def test_an_intermediate_authority_brings_its_chain(self):
        root, root_key = self.made_by_openssl("root", *AUTHORITY, subject="/CN=Root")
        request, middle, extensions = self.file("middle.csr"), self.file("middle.pem"), self.file("ext")
        extensions.write_text("basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n")
        openssl("req", "-new", *EC, "-nodes", "-subj", "/CN=Middle", "-keyout", self.file("middle.key"), "-out", request)
        openssl(
            "x509", "-req", "-in", request, "-CA", root, "-CAkey", root_key, "-CAcreateserial", "-days", "20",
            "-extfile", extensions, "-out", middle,
        )
        everything = self.file("everything.pem")
        everything.write_bytes(root.read_bytes() + self.file("middle.key").read_bytes() + middle.read_bytes())
        self.tidemq("ca", "import", everything)
        self.assertIn("Middle", self.tidemq("ca", "list"))
        client = self.file("client.pem")
        self.tidemq("ca", "issue", "--name", "device1", "--pem", client)
        openssl("verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", root, "-untrusted", client, client)
        self.assertEqual(client.read_text().count("BEGIN CERTIFICATE"), 3)

    def test_an_authority_without_its_key_is_trusted_and_cannot_issue(self):
        root, private = self.made_by_openssl("root", *AUTHORITY)
        self.assertIn("cannot issue", self.tidemq("ca", "import", root))
        self.refused("ca", "use", "Foreign", because="has no private key and cannot issue")
        self.refused(
            "ca", "issue", "--name", "a", "--authority", "Foreign", "--pem", self.file("x"), because="has no private key"
        )
        self.refused("ca", "issue", "--name", "a", "--pem", self.file("x"), because="no authority that issues")
        self.refused("ca", "import", root, because="it is there already, as `Foreign`")
        # Its key comes later.
        self.tidemq("ca", "import", root, "--key", private)
        self.issues(root, "Foreign")

    def test_broker_certificates(self):
        certificate, private = self.made_by_openssl("server", *SERVER, subject="/CN=broker.example")
        self.tidemq("cert", "broker", "import", certificate, "--key", private)
        self.assertIn("imported", self.tidemq("cert", "broker", "show"))
        exported = self.file("exported.pem")
        self.tidemq("cert", "broker", "export", "--out", exported)
        self.assertEqual(openssl("x509", "-in", exported), openssl("x509", "-in", certificate))
        told = openssl("x509", "-in", certificate, "-noout", "-fingerprint", "-sha256").split("=")[1].strip()
        thumbprint = told.replace(":", "").lower()
        self.assertIn(f'certificate = "{thumbprint}"', self.configuration())
        self.tidemq("cert", "broker", "use", "auto")
        self.assertIn('certificate = "auto"', self.configuration())
        self.tidemq("cert", "broker", "use", told)
        self.assertIn(f'certificate = "{thumbprint}"', self.configuration())

        self.refused("cert", "broker", "import", certificate, because="without its private key")
        _, other = self.made_by_openssl("other")
        self.refused("cert", "broker", "import", certificate, "--key", other, because="does not belong to")
        # What people make at a stroke is an authority's.
        root, root_key = self.made_by_openssl("root")
        said = self.tidemq("cert", "broker", "import", root, "--key", root_key)
        for doubt in "warning: it is an authority's own", "warning: it has no alternative names":
            self.assertIn(doubt, said)
        client = ("-addext", "extendedKeyUsage=clientAuth", "-addext", "subjectAltName=DNS:a.example",
                  "-addext", "basicConstraints=critical,CA:FALSE")
        device, device_key = self.made_by_openssl("device", *client)
        self.refused("cert", "broker", "import", device, "--key", device_key, because="not meant for server authentication")


class BadInput(Certificates):
    """Each is named with its remedy, and nothing is stored."""

    def setUp(self):
        super().setUp()
        self.create()

    def taken_nowhere(self, file, because, *more, **options):
        for where in ("ca", "import"), ("cert", "broker", "import"), ("cert", "client", "add"):
            extra = more if where[-1] == "import" else ()
            with self.subTest(f"{where} {file.name}"):
                self.refused(*where, file, *extra, because=because, **options)

    def test_files_that_are_something_else(self):
        certificate, private = self.made_by_openssl("root", *AUTHORITY)
        request = self.file("request.csr")
        openssl("req", "-new", "-key", private, "-subj", "/CN=a", "-out", request)
        text, cut, empty = self.file("notes.txt"), self.file("cut.pem"), self.file("empty")
        text.write_text("not a certificate\n")
        cut.write_bytes(certificate.read_bytes()[:-60])
        empty.write_bytes(b"")
        public, pkcs7 = self.file("public.pem"), self.file("all.p7b")
        openssl("pkey", "-in", private, "-pubout", "-out", public)
        openssl("crl2pkcs7", "-nocrl", "-certfile", certificate, "-out", pkcs7)
        pkcs7_der = self.file("all-der.p7b")
        openssl("crl2pkcs7", "-nocrl", "-certfile", certificate, "-outform", "DER", "-out", pkcs7_der)
        for file, because in (
            (request, "signing request"), (text, "some other text"), (cut, "damaged"), (empty, "empty"),
            (public, "a public key"), (pkcs7, "PKCS#7"), (pkcs7_der, "PKCS#7"), (private, "no certificate"),
            (self.file("missing"), "cannot read it"),
        ):
            self.taken_nowhere(file, because)
        self.refused("ca", "sign", certificate, "--out", self.file("out"), because="certificate already")

    def test_keys_that_cannot_be_opened(self):
        certificate, private = self.made_by_openssl("root", *AUTHORITY)
        old = self.file("old.key")
        openssl("ec", "-in", private, "-aes256", "-passout", f"pass:{PASSWORD}", "-out", old)
        self.refused(
            "ca", "import", certificate, "--key", old, "--password-file", self.password, because="openssl pkey"
        )
        wrong = self.file("wrong")
        wrong.write_text("wrong\n")
        locked = self.file("locked.key")
        openssl("pkcs8", "-topk8", "-in", private, "-passout", f"pass:{PASSWORD}", "-out", locked)
        self.refused("ca", "import", certificate, "--key", locked, "--password-file", wrong, because="password does not open")
        self.refused("ca", "import", certificate, "--key", locked, because="--password-file", stdin=subprocess.DEVNULL)
        self.refused("ca", "import", certificate, "--key", certificate, because="should hold the private key")

    def test_certificates_that_will_not_do(self):
        plain, plain_key = self.made_by_openssl("plain", "-addext", "basicConstraints=critical,CA:FALSE")
        self.refused("ca", "import", plain, because="CA:TRUE")
        self.assertIn("CA:TRUE", self.run_command("ca", "import", plain).stderr)
        first, expired = self.file("v1.pem"), self.file("expired.pem")
        request = self.file("v1.csr")
        openssl("req", "-new", "-key", plain_key, "-subj", "/CN=v1", "-out", request)
        openssl("x509", "-req", "-in", request, "-signkey", plain_key, "-days", "9", "-out", first)
        self.refused("ca", "import", first, because="version 1")
        self.refused("cert", "broker", "import", first, "--key", plain_key, because="version 1")
        extensions = self.file("ext")
        extensions.write_text("basicConstraints=critical,CA:TRUE\nsubjectAltName=DNS:a.example\n")
        self.expired(request, plain_key, extensions, expired)
        for where in ("ca", "import"), ("cert", "client", "add"):
            self.refused(*where, expired, because="has expired on")
        # To revoke an expired one is no mistake.
        self.tidemq("cert", "client", "add", expired, "--revoked")
        self.assertIn("(expired)", self.tidemq("cert", "client", "list"))

    def expired(self, request, key, extensions, out):
        make = ("x509", "-req", "-in", request, "-signkey", key, "-extfile", extensions, "-out", out)
        try:
            openssl(*make, "-days", "-1")
        except AssertionError:
            # Newer ones take dates, and no negative numbers.
            openssl(*make, "-not_before", "20200101000000Z", "-not_after", "20200102000000Z")

    def test_what_is_asked_for_badly(self):
        there = self.file("there")
        there.write_text("mine\n")
        for arguments, because in (
            (("ca", "create", "--name", "Plant 7"), "already"),
            (("ca", "create", "--name", "x" * 65), "more than 64 characters"),
            (("ca", "create", "--name", "a\nb"), "control characters"),
            (("ca", "create", "--name", "b", "--days", "0"), "0 days"),
            (("ca", "issue", "--name", "a", "--pem", there), "exists already"),
            (("ca", "issue", "--name", "a", "--pem", self.file("no") / "file"), "cannot write it"),
            (("ca", "issue", "--name", "a", "--pkcs12", self.file("x")), "needs a password"),
            (("ca", "issue", "--name", "a", "--pem", self.file("x"), "--authority", "No"), "no authority `No`"),
            (("ca", "export", "No"), "no authority `No`"),
            (("cert", "client", "revoke", "No"), "no client certificate `No`"),
            (("cert", "client", "remove", "0" * 64), "is not listed"),
            (("cert", "broker", "new", "--san", "email:a@b.example"), "no name of a broker"),
            (("cert", "broker", "use", "0" * 40), "no thumbprint"),
        ):
            with self.subTest(arguments):
                self.refused(*arguments, because=because, stdin=subprocess.DEVNULL)
        self.refused("cert", "broker", "use", "0" * 64, because="no private key", exit=DATA)

    def test_a_store_that_others_can_read(self):
        key = next((self.data / "pki" / "keys").iterdir())
        for path, mode, remedy in (key, 0o644, "chmod 600"), (key.parent, 0o755, "chmod 700"):
            was = path.stat().st_mode
            path.chmod(mode)
            self.refused("ca", "list", because=remedy, exit=DATA)
            path.chmod(was)


class Listed(Certificates):
    """Client certificates by name, thumbprint and file; and the draft."""

    def entry(self, name, status):
        return f'name = "{name}"\n', f'status = "{status}"'

    def statuses(self):
        rows = self.tidemq("cert", "client", "list").splitlines()[1:]
        return {row.split()[0]: row.split()[1] for row in rows}

    def test_from_issued_to_removed(self):
        self.create()
        comments = [line for line in self.configuration().splitlines() if line.startswith("#")]
        device = self.file("device1.pem")
        self.tidemq("ca", "issue", "--name", "device1", "--pem", device)
        self.assertEqual(self.statuses(), {"device1": "issued"})
        self.assertNotIn("client_certificate]]\nname", self.configuration())
        self.tidemq("cert", "client", "authorize", "device1")
        self.assertEqual(self.statuses(), {"device1": "authorized"})
        told = openssl("x509", "-in", device, "-noout", "-fingerprint", "-sha256").split("=")[1].strip()
        self.tidemq("cert", "client", "revoke", told)
        self.assertEqual(self.statuses(), {"device1": "revoked"})
        self.tidemq("cert", "client", "authorize", device)
        self.assertEqual(self.statuses(), {"device1": "authorized"})
        self.refused("cert", "client", "add", device, because="listed already, as `device1` (authorized)")
        self.assertIn("CN=device1", self.tidemq("cert", "client", "show", "device1"))
        exported = self.tidemq("cert", "client", "export", "device1")
        self.assertIn("BEGIN CERTIFICATE", exported)
        self.assertNotIn("PRIVATE", exported)
        # One that replaces it bears its name.
        self.tidemq("ca", "issue", "--name", "device1", "--pem", self.file("again.pem"), "--authorize")
        self.assertIn('name = "device1 (2)"', self.configuration())
        self.tidemq("cert", "client", "remove", "device1")
        self.assertNotIn('\nname = "device1"\n', self.configuration())
        # It was issued here, and is known until it is removed once more.
        self.assertIn("device1", self.statuses())
        self.assertIn("is listed no longer", self.tidemq("cert", "client", "remove", told))
        self.assertNotIn(told.replace(":", "").lower(), self.tidemq("cert", "client", "list"))
        self.refused("cert", "client", "remove", told, because="is not listed")
        unknown = "ab" * 32
        self.tidemq("cert", "client", "revoke", unknown)
        self.assertIn(unknown, self.configuration())
        kept = [line for line in self.configuration().splitlines() if line.startswith("#")]
        self.assertEqual(kept, comments)
        self.tidemq("config", "check")

    def test_several_at_once_or_none(self):
        files = [self.made_by_openssl(f"d{number}", subject=f"/CN=d{number}")[0] for number in range(3)]
        bad = self.file("bad")
        bad.write_text("nothing\n")
        self.refused("cert", "client", "add", *files, bad, because="some other text")
        self.tidemq("cert", "client", "add", *files)
        self.assertEqual(self.statuses(), {f"d{number}": "authorized" for number in range(3)})

    def test_a_pasted_certificate(self):
        certificate, _ = self.made_by_openssl("pasted", subject="/CN=pasted")
        with open(certificate, encoding="ascii") as pasted:
            self.tidemq("cert", "client", "add", "-", stdin=pasted)
        self.assertEqual(self.statuses(), {"pasted": "authorized"})

    def test_the_draft_waits_for_apply(self):
        said = self.tidemq("ca", "create", "--name", "A")
        self.assertIn("tidemq config apply", said)
        self.assertIn("it issues from now on", said)
        self.assertIn("generation = 0", self.configuration())
        said = self.tidemq("ca", "create", "--name", "B", "--apply")
        self.assertIn("`A` goes on issuing", said)
        self.assertIn("generation 1 is applied", said)
        self.assertIn("generation = 1", self.configuration())
        self.assertIn("B", self.tidemq("ca", "list"))
        keys = self.data / "pki" / "keys"
        before = len(list(keys.iterdir()))
        self.assertNotIn("no authority issues", self.tidemq("ca", "remove", "B", "--apply"))
        self.assertEqual(len(list(keys.iterdir())), before)
        said = self.tidemq("ca", "remove", "A", "--apply", "--destroy-key")
        self.assertIn("no authority issues now", said)
        self.assertIn("is destroyed", said)
        self.assertEqual(len(list(keys.iterdir())), before - 1)

    @unittest.skipUnless(os.geteuid() == 0, "only root can give files away")
    def test_another_users_directory_is_left_alone(self):
        self.create()
        os.chown(self.data, 12345, 12345)
        self.refused("ca", "create", "--name", "B", because="sudo -u '#12345'", exit=DATA)


# A CONNACK of 3.1.1, PINGREQ and PINGRESP.
ACCEPTED = b"\x20\x02\x00\x00"
PING, PONG = b"\xc0\x00", b"\xd0\x00"


def connect_packet(client_id):
    """A CONNECT of 3.1.1 with a clean session."""
    rest = b"\x00\x04MQTT\x04\x02\x00\x3c" + len(client_id).to_bytes(2, "big") + client_id.encode()
    return b"\x10" + bytes([len(rest)]) + rest


class AtTheBroker(Certificates):
    """A running broker that requires client certificates, and what becomes of its clients."""

    def setUp(self):
        super().setUp()
        self.root = self.create()
        for field in "listener[0].tls", "certificates.require":
            self.tidemq("config", "set", field, "true")
        self.tidemq("cert", "broker", "new", "--san", "localhost")
        self.broker = Broker("--listen", "mqtts://127.0.0.1:0", data=self.data, listen=False).ready()
        self.addCleanup(self.broker.stop)
        told = [re.match(r"listening on tls 127.0.0.1:(\d+)$", line) for line in self.broker.out.seen]
        self.port = next(int(found[1]) for found in told if found)

    def issued(self, name, *more):
        bundle = self.file(f"{name}.pem")
        self.tidemq("ca", "issue", "--name", name, "--pem", bundle, *more)
        return bundle

    def connect(self, bundle, version):
        """A connection that is up as far as TLS goes; with 1.3 that says nothing of the certificate."""
        context = ssl.create_default_context(cafile=self.root)
        context.minimum_version = context.maximum_version = version
        if bundle:
            context.load_cert_chain(bundle)
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=HANG)
        try:
            return context.wrap_socket(plain, server_hostname="localhost")
        except BaseException:
            plain.close()
            raise

    def answer(self, connection, packet):
        connection.sendall(packet)
        return connection.recv(16)

    def gets_in(self, bundle, version=ssl.TLSVersion.TLSv1_3):
        connection = self.connect(bundle, version)
        self.addCleanup(connection.close)
        # Another client's identifier would be refused.
        self.assertEqual(self.answer(connection, connect_packet(bundle.stem)), ACCEPTED)
        return connection

    def stays_out(self, bundle, version=ssl.TLSVersion.TLSv1_3):
        try:
            with self.connect(bundle, version) as connection:
                self.assertEqual(self.answer(connection, connect_packet("a")), b"")
        except (ssl.SSLError, ConnectionError):
            pass

    def test_who_was_issued_a_certificate_gets_in_until_it_is_revoked(self):
        bundles = [self.issued(f"{key_type}-device", "--key-type", key_type) for key_type in ("ecdsa-p256", "rsa-2048")]
        stranger, stranger_key = self.made_by_openssl("stranger", "-addext", "basicConstraints=critical,CA:FALSE")
        foreign = self.file("foreign.pem")
        foreign.write_bytes(stranger.read_bytes() + stranger_key.read_bytes())
        for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
            for bundle in bundles:
                self.gets_in(bundle, version).close()
            self.stays_out(foreign, version)
            self.stays_out(None, version)
        revoked, bystander = self.gets_in(bundles[0]), self.gets_in(bundles[1])
        self.tidemq("cert", "client", "revoke", "ecdsa-p256-device", "--apply")
        try:
            self.assertEqual(revoked.recv(16), b"")
        except (ssl.SSLError, ConnectionError):
            pass
        self.stays_out(bundles[0])
        self.assertEqual(self.answer(bystander, PING), PONG)
        self.tidemq("cert", "client", "authorize", "ecdsa-p256-device", "--apply")
        self.gets_in(bundles[0])

    def test_what_a_removed_authority_issued_is_trusted_no_longer(self):
        bundle = self.issued("device1")
        connection = self.gets_in(bundle)
        self.create("Other")
        self.tidemq("ca", "use", "Other", "--apply")
        self.assertEqual(self.answer(connection, PING), PONG)
        # The broker has a new certificate by now, from the other one.
        both = self.file("both.pem")
        both.write_bytes(self.root.read_bytes() + self.file("Other.pem").read_bytes())
        self.root = both
        self.gets_in(bundle)
        self.tidemq("ca", "remove", "Plant 7", "--apply")
        try:
            self.assertEqual(connection.recv(16), b"")
        except (ssl.SSLError, ConnectionError):
            pass
        self.stays_out(bundle)
        self.gets_in(self.issued("device2"))

    def test_the_brokers_certificate_changes_and_nobody_is_dropped(self):
        connection = self.gets_in(self.issued("device1"))

        def presented():
            return openssl("s_client", "-connect", f"127.0.0.1:{self.port}", "-showcerts", input="", checked=False)

        before = presented()
        certificate, private = self.made_by_openssl("server", *SERVER, subject="/CN=imported.example")
        self.tidemq("cert", "broker", "import", certificate, "--key", private, "--apply")
        self.assertNotIn("imported.example", before)
        self.assertIn("imported.example", presented())
        self.tidemq("cert", "broker", "use", "auto", "--apply")
        self.assertNotIn("imported.example", presented())
        self.assertEqual(self.answer(connection, PING), PONG)


if __name__ == "__main__":
    unittest.main()
