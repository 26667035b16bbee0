"""openssl as an operator uses it: it makes authorities and certificates, and it is a TLS client of its own.

Everything is made when a test wants it, in a folder of the test's: nothing here could expire in a repository.
"""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from broker import HANG

EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
P384 = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1")
ED25519 = ("-newkey", "ed25519")
RSA = ("-newkey", "rsa:2048")

# 3.1.1, clean, without an identifier; and DISCONNECT behind it.
CONNECT_AND_GO = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00" + b"\xe0\x00"
ACCEPTED = b"\x20\x02\x00\x00"
REFUSED_NOT_AUTHORIZED = b"\x20\x02\x00\x05"

# Names of any length: openssl itself would take 64 characters. `ca` is for dates that lie in the past.
SETTINGS = """
openssl_conf = all
[all]
stbl_section = strings
[strings]
CN = min:1,max:20000
[req]
distinguished_name = none
string_mask = utf8only
utf8 = yes
prompt = no
[none]
[ca]
default_ca = here
[here]
database = {folder}/index
rand_serial = yes
new_certs_dir = {folder}
default_md = sha256
policy = any
email_in_dn = no
[any]
commonName = optional
"""


def run(*arguments, fails=False, **options):
    """Runs openssl; what it says."""
    done = subprocess.run(
        ["openssl", *map(str, arguments)], capture_output=True, timeout=HANG, check=False, text=True, **options
    )
    if (done.returncode != 0) != fails:
        raise AssertionError(f"openssl {arguments}: {done.returncode} {done.stdout} {done.stderr}")
    return done.stdout + done.stderr


@dataclass
class Made:
    """A certificate with its key."""

    bundle: Path
    """Key, certificate, and what leads to its authority: one file for every client."""
    pem: Path
    key: Path
    chain: str = ""
    """What leads from it to its root, itself included and the root not."""
    others: Path | None = None
    """The chain without itself, if anything is left of it."""


class Maker:
    """Makes certificates in a folder."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self._settings = self.folder / "openssl.cnf"
        self._settings.write_text(SETTINGS.format(folder=self.folder))
        (self.folder / "index").write_text("")
        (self.folder / "index.attr").write_text("unique_subject = no\n")
        self._environment = {"OPENSSL_CONF": str(self._settings), "PATH": "/usr/local/bin:/usr/bin:/bin"}

    def _run(self, *arguments):
        return run(*arguments, env=self._environment)

    def authority(self, stem, issuer=None, key=EC):
        """A root, or an authority that another one has issued."""
        uses = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"]
        return self._make(stem, f"/CN={stem}", issuer, key, 30, uses)

    def client(self, stem, issuer=None, subject=None, key=EC, usage="clientAuth", days=30):
        """A client's certificate; its Common Name is `stem` unless a subject is given."""
        uses = ["basicConstraints=critical,CA:FALSE", f"extendedKeyUsage={usage}"]
        return self._make(stem, subject or f"/CN={stem}", issuer, key, days, uses)

    def request(self, stem):
        """A signing request for somebody else."""
        made = Request(*(self.folder / f"{stem}.{end}" for end in ("csr", "key", "crt")))
        self._run("req", "-new", *EC, "-nodes", "-subj", f"/CN={stem}", "-keyout", made.key, "-out", made.request)
        return made

    def at_another_time(self, stem, issuer, begins, ends):
        """A client's certificate that is valid between two moments, as `20200101000000Z`."""
        made, extensions = self.request(stem), self.folder / f"{stem}.ext"
        extensions.write_text("basicConstraints=critical,CA:FALSE\nextendedKeyUsage=clientAuth\n")
        self._run(
            "ca", "-batch", "-notext", "-cert", issuer.pem, "-keyfile", issuer.key, "-startdate", begins,
            "-enddate", ends, "-extfile", extensions, "-in", made.request, "-out", made.pem,
        )
        return self._bundled(stem, made.pem, made.key, issuer)

    def _make(self, stem, subject, issuer, key, days, uses):
        pem, private = self.folder / f"{stem}.crt", self.folder / f"{stem}.key"
        signed = ["-CA", issuer.pem, "-CAkey", issuer.key] if issuer else []
        more = [word for use in uses for word in ("-addext", use)]
        self._run(
            "req", "-x509", *key, "-nodes", "-subj", subject, "-days", days, *more, *signed, "-keyout", private,
            "-out", pem,
        )
        return self._bundled(stem, pem, private, issuer)

    def _bundled(self, stem, pem, private, issuer):
        chain = pem.read_text() + (issuer.chain if issuer else "")
        bundle = self.folder / f"{stem}.pem"
        bundle.write_text(private.read_text() + chain)
        others = None
        if issuer and issuer.chain:
            others = self.folder / f"{stem}.others"
            others.write_text(issuer.chain)
        # A root is known to whom it concerns; the chain ends before it.
        return Made(bundle, pem, private, chain if issuer else "", others)


@dataclass
class Request:
    """A signing request of a client that keeps its key, and the file for what comes back."""

    request: Path
    key: Path
    pem: Path

    def made(self):
        """Once it is signed."""
        bundle = self.pem.with_suffix(".pem")
        bundle.write_text(self.key.read_text() + self.pem.read_text())
        return Made(bundle, self.pem, self.key)


@dataclass
class Visit:
    """What s_client saw."""

    connack: bytes | None
    said: str

    @property
    def accepted(self):
        return self.connack == ACCEPTED

    @property
    def resumed(self):
        return "Reused, TLSv1" in self.said


def visit(host, port, ca, *options, certificate=None):
    """Connects with s_client, which verifies the broker by `ca`, and speaks MQTT through it."""
    line = ["openssl", "s_client", "-connect", f"{host}:{port}", "-CAfile", ca, "-verify_return_error"]
    line += ["-verify_hostname" if host[0].isalpha() else "-verify_ip", host, "-ign_eof", *options]
    if certificate:
        line += ["-cert", certificate.bundle, "-key", certificate.bundle]
        line += ["-cert_chain", certificate.others] if certificate.others else []
    done = subprocess.run(
        list(map(str, line)), input=CONNECT_AND_GO, capture_output=True, timeout=HANG, check=False
    )
    connack = re.search(rb"\x20\x02\x00[\x00-\x05]", done.stdout)
    return Visit(connack and connack[0], (done.stdout + done.stderr).decode(errors="replace"))
