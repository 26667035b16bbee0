//! Credentials and names of clients, as the options ask for them.

use clap::Parser;

use super::*;
use crate::options::Options;
use crate::plan::Identity;
use crate::tls_options::TlsOptions;
use crate::tls_server::Authority;
use tidemq::mqtt::Packet;

fn common(words: &[&str]) -> Result<Common, clap::Error> {
    let options = Options::try_parse_from(["x", "connect"].iter().chain(words))?;
    let Scenario::Connect { common, .. } = options.scenario else { panic!("asked for") };
    Ok(common)
}

fn plan_of(common: &Common, connections: u32) -> Plan {
    plan(Shape::Connect { connections }, String::new(), None, common, None, 1 << 20, 1).unwrap()
}

#[test]
fn a_password_comes_from_the_first_line_of_a_file_and_is_never_shown() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    std::fs::write(path, "s3cret\r\nnot this\n").unwrap();
    let asked = common(&["--user", "me", "--password-file", path]).unwrap();
    let plan = plan_of(&asked, 1);
    let identity = Identity { client_id: "c", login: &plan.login, durability: plan.durability };
    let Packet::Connect(connect) = identity.connect(Version::V5) else { panic!("CONNECT") };
    assert_eq!((connect.user_name, connect.password), (Some("me"), Some(&b"s3cret"[..])));
    assert!(!format!("{:?}", plan.login).contains("s3cret"));
    let given = common(&["--user-name", "me", "--password", "s3cret"]).unwrap();
    assert!(!format!("{given:?}").contains("s3cret"));
    std::fs::write(path, "").unwrap();
    assert!(format!("{:#}", password(&asked).unwrap_err()).contains("is empty"));
    for wrong in [&["--password", "x"][..], &["--user", "me", "--password", "x", "--password-file", "y"]] {
        assert!(common(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn options_of_tls_that_exclude_each_other_are_refused() {
    for wrong in [
        &["--ca", "a", "--insecure"][..],
        &["--key", "a"],
        &["--cert", "a", "--cert-dir", "b"],
        &["--client-id", "name"],
        &["--tls-version", "1.1"],
    ] {
        assert!(common(wrong).is_err(), "{wrong:?}");
    }
    let good =
        common(&["--tls", "--tls-version", "1.2", "--cert-dir", "a", "--client-id", "name-run"]).unwrap();
    assert_eq!((good.tls.client_id, good.tls.needing_tls()), (ClientIds::NameRun, Some("--cert-dir")));
}

#[test]
fn clients_are_called_after_their_certificates_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["dev1", "dev2"] {
        let made = Authority::new("ca").issue(&[], |_| ());
        std::fs::write(folder.path().join(format!("{name}.pem")), made.pem + &made.key_pem).unwrap();
    }
    let options =
        TlsOptions { insecure: true, cert_dir: Some(folder.path().into()), ..TlsOptions::default() };
    let security = Security::new(&options, "localhost", &Transport::Tcp).unwrap();
    let named = |connections, how| {
        let mut plan = plan_of(&common(&[]).unwrap(), connections);
        name_clients(&mut plan, &security, how)?;
        Ok::<_, anyhow::Error>(plan.clients.into_iter().map(|client| client.id).collect::<Vec<_>>())
    };
    assert_eq!(named(2, ClientIds::Name).unwrap(), ["dev1", "dev2"]);
    assert_eq!(named(1, ClientIds::Run).unwrap(), ["tl00000010c0"]);
    assert_eq!(
        named(3, ClientIds::NameRun).unwrap(),
        ["dev1-tl00000010c0", "dev2-tl00000010c1", "dev1-tl00000010c2"]
    );
    assert!(named(3, ClientIds::Name).unwrap_err().to_string().contains("3 clients and 2 certificates"));
}
