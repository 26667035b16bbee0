//! Certificates that openssl makes, presented by openssl: another opinion on what a certificate, a handshake and a
//! session are. `tests/run` installs it.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustls::AlertDescription;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tidemq::net::tls::presented;
use tidemq::policy::certificates::{Listing, Requirement};

use super::issue::{broker, pem};
use super::node::{Broker, CARRIED};
use super::table::{listing, trusting};
use super::wire::Carried;

/// CONNECT of 3.1.1 with a clean session, and a DISCONNECT.
const CONNECT: &[u8] = b"\x10\x0e\0\x04MQTT\x04\x02\0\x3c\0\x02os\xe0\0";
const ACCEPTED: &[u8] = b"\x20\x02\0\0";
const NOT_AUTHORIZED: &[u8] = b"\x20\x02\0\x05";

/// Versions as openssl's option and as it says them.
const VERSIONS: [(&str, &str); 2] = [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")];

/// What `openssl req -newkey` is told for a key of each kind.
const KINDS: [(&str, &[&str]); 5] = [
    ("rsa", &["rsa:2048"]),
    ("p256", &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]),
    ("p384", &["ec", "-pkeyopt", "ec_paramgen_curve:P-384"]),
    ("p521", &["ec", "-pkeyopt", "ec_paramgen_curve:P-521"]),
    ("ed25519", &["ed25519"]),
];

/// A folder in which openssl works.
struct Workshop(tempfile::TempDir);

impl Workshop {
    fn new() -> Workshop {
        let workshop = Workshop(tempfile::tempdir().expect("a folder"));
        std::fs::write(workshop.path("broker.pem"), pem(&broker().1.certificate)).expect("written");
        std::fs::write(workshop.path("client.ext"), "extendedKeyUsage=clientAuth\n").expect("written");
        workshop
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) {
        let output = Command::new("openssl")
            .args(arguments)
            .current_dir(&self.0)
            .output()
            .expect("openssl is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// An authority, in `NAME.pem` and `NAME.key`.
    fn authority(&self, name: &str, kind: &[&str]) {
        let (key, certificate, subject) =
            (format!("{name}.key"), format!("{name}.pem"), format!("/CN={name}"));
        let fixed = ["req", "-x509", "-nodes", "-days", "30", "-subj", &subject, "-keyout", &key];
        self.run([&fixed[..], &["-out", &certificate, "-newkey"], kind].concat());
    }

    /// A certificate of a client, in `NAME.pem` and `NAME.key`; `extensions` are more arguments for `openssl x509`.
    fn client(&self, name: &str, kind: &[&str], authority: &str, extensions: &[&str]) {
        let (key, request, certificate) =
            (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
        let subject = format!("/O=Example/CN={name}");
        let fixed = ["req", "-nodes", "-subj", &subject, "-keyout", &key, "-out", &request, "-newkey"];
        self.run([&fixed[..], kind].concat());
        let (issuer, issuer_key) = (format!("{authority}.pem"), format!("{authority}.key"));
        let fixed = ["x509", "-req", "-days", "30", "-in", &request, "-out", &certificate];
        let issued = ["-CA", &issuer, "-CAkey", &issuer_key, "-CAcreateserial"];
        self.run([&fixed[..], &issued, extensions].concat());
    }

    fn certificate(&self, name: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.path(&format!("{name}.pem"))).expect("a certificate")
    }

    /// Connects as `name`, and says all that openssl said. `more`: more of its arguments.
    fn connect(&self, name: Option<&str>, broker: &Broker, more: &[&str]) -> Said {
        let address = broker.address(Carried::Bare).to_string();
        // -ign_eof: the end of what we send is not the end of what we read, and no letter is a command.
        let fixed = ["60", "openssl", "s_client", "-connect", &address, "-CAfile", "broker.pem", "-ign_eof"];
        let mut command = Command::new("timeout");
        command.args(fixed).args(["-verify_return_error"]).args(more).current_dir(&self.0);
        if let Some(name) = name {
            command.args(["-cert", &format!("{name}.pem"), "-key", &format!("{name}.key")]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("openssl is installed");
        // It may have been refused and gone before it is told what to send.
        let _gone = child.stdin.take().expect("piped").write_all(CONNECT);
        let output = child.wait_with_output().expect("it ended");
        Said([output.stdout, output.stderr].concat())
    }
}

struct Said(Vec<u8>);

impl Said {
    fn contains(&self, part: &[u8]) -> bool {
        self.0.windows(part.len()).any(|window| window == part)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }

    fn was_told(&self, alert: AlertDescription) -> bool {
        self.text().contains(&format!("SSL alert number {}\n", u8::from(alert)))
    }
}

const EXTENDED: &[&str] = &["-extfile", "client.ext"];

#[test]
fn certificates_of_every_kind_are_accepted() {
    let workshop = Workshop::new();
    let broker = Broker::start(trusting(&[]), Requirement::Required);
    for (authority, kind) in [KINDS[0], KINDS[1], KINDS[4]] {
        workshop.authority(authority, kind);
        for (name, kind) in KINDS {
            workshop.client(&format!("client-{name}"), kind, authority, EXTENDED);
        }
        broker.apply(trusting(&[&workshop.certificate(authority)]), Requirement::Required);
        for (option, version) in VERSIONS {
            for (name, _) in KINDS {
                let name = format!("client-{name}");
                let said = workshop.connect(Some(&name), &broker, &[option]);
                assert!(said.contains(ACCEPTED), "{name} of {authority}: {}", said.text());
                assert!(said.text().contains(&format!("New, {version}")), "{}", said.text());
            }
        }
    }
    broker.node.stop();
}

#[test]
fn refusals_are_understood() {
    let workshop = Workshop::new();
    let (_, kind) = KINDS[1];
    workshop.authority("ours", kind);
    workshop.authority("theirs", kind);
    workshop.client("known", kind, "ours", EXTENDED);
    workshop.client("revoked", kind, "ours", EXTENDED);
    workshop.client("stranger", kind, "theirs", EXTENDED);
    // As openssl makes them unless it is told otherwise, up to 3.2.
    workshop.client("version1", kind, "ours", &[]);
    std::fs::write(workshop.path("server.ext"), "extendedKeyUsage=serverAuth\n").expect("written");
    workshop.client("server", kind, "ours", &["-extfile", "server.ext"]);
    let mut policy = trusting(&[&workshop.certificate("ours")]);
    policy.listed.insert(presented::thumbprint(&workshop.certificate("revoked")), Listing::Revoked);
    let broker = Broker::start(policy, Requirement::Required);
    let mut cases = vec![
        (Some("known"), None),
        (None, Some(AlertDescription::CertificateRequired)),
        (Some("revoked"), Some(AlertDescription::CertificateRevoked)),
        (Some("stranger"), Some(AlertDescription::UnknownCA)),
        (Some("server"), Some(AlertDescription::UnsupportedCertificate)),
    ];
    if is_version_1(&workshop.path("version1.pem")) {
        cases.push((Some("version1"), Some(AlertDescription::UnsupportedCertificate)));
    }
    for (option, _) in VERSIONS {
        for (name, alert) in &cases {
            let said = workshop.connect(*name, &broker, &[option]);
            assert_eq!(said.contains(ACCEPTED), alert.is_none(), "{name:?}: {}", said.text());
            assert!(alert.is_none_or(|alert| said.was_told(alert)), "{name:?}: {}", said.text());
        }
    }
    // What is listed is accepted whoever has issued it.
    broker.apply(listing(&workshop.certificate("stranger")), Requirement::Required);
    for (option, _) in VERSIONS {
        assert!(workshop.connect(Some("stranger"), &broker, &[option]).contains(ACCEPTED));
        assert!(workshop.connect(Some("known"), &broker, &[option]).was_told(AlertDescription::UnknownCA));
    }
    broker.node.stop();
}

fn is_version_1(path: &Path) -> bool {
    let output = Command::new("openssl").args(["x509", "-noout", "-text", "-in"]).arg(path).output();
    String::from_utf8_lossy(&output.expect("openssl is installed").stdout).contains("Version: 1 ")
}

#[test]
fn a_resumed_session_is_refused_when_the_certificate_was_revoked() {
    let workshop = Workshop::new();
    let (_, kind) = KINDS[1];
    workshop.authority("ours", kind);
    workshop.client("device", kind, "ours", EXTENDED);
    let accepting = || trusting(&[&workshop.certificate("ours")]);
    let mut revoking = accepting();
    revoking.listed.insert(presented::thumbprint(&workshop.certificate("device")), Listing::Revoked);
    let broker = Broker::start(accepting(), Requirement::Required);
    for (option, version) in VERSIONS {
        broker.apply(accepting(), Requirement::Required);
        let first = workshop.connect(Some("device"), &broker, &[option, "-sess_out", "session.pem"]);
        assert!(first.contains(ACCEPTED), "{}", first.text());
        let resume = [option, "-sess_in", "session.pem"];
        let reused = format!("Reused, {version}");
        let again = workshop.connect(Some("device"), &broker, &resume);
        assert!(again.contains(ACCEPTED) && again.text().contains(&reused), "{}", again.text());
        broker.apply(revoking.clone(), Requirement::Required);
        let refused = workshop.connect(Some("device"), &broker, &resume);
        assert!(refused.contains(NOT_AUTHORIZED) && refused.text().contains(&reused), "{}", refused.text());
        assert!(!refused.contains(ACCEPTED));
    }
    broker.node.stop();
}

/// The broker's own certificate, as openssl sees it, on both transports.
#[test]
fn the_broker_is_verified() {
    let workshop = Workshop::new();
    let broker = Broker::start(trusting(&[]), Requirement::Optional);
    for carried in CARRIED {
        for (option, _) in VERSIONS {
            let address = broker.address(carried).to_string();
            let fixed = ["60", "openssl", "s_client", "-connect", &address, "-CAfile", "broker.pem", option];
            let output = Command::new("timeout")
                .args(fixed)
                .args(["-verify_return_error", "-verify_hostname", "localhost"])
                .current_dir(&workshop.0)
                .stdin(Stdio::null())
                .output()
                .expect("openssl is installed");
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
        }
    }
    broker.node.stop();
}
