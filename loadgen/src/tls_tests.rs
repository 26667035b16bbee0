//! The client's TLS against rustls' own server, however the bytes are cut, and what it says of what goes wrong.

use futures_rustls::rustls::{AlertDescription, Error, SupportedProtocolVersion, version};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose};

use super::*;
use crate::plan::Transport;
use crate::security::Security;
use crate::tls_options::TlsOptions;
use crate::tls_server::{Authority, BOTH, Made, Server, config};

const NAME: &str = "broker.test";

struct World {
    folder: tempfile::TempDir,
    authority: Authority,
    broker: Made,
}

impl World {
    fn new() -> World {
        World::with("trusted", |_| ())
    }

    /// Of an authority of this name; the broker's certificate is changed before it is signed.
    fn with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> World {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(name);
        std::fs::write(folder.path().join("ca.pem"), &authority.pem).unwrap();
        let broker = authority.issue(&[NAME], change);
        World { folder, authority, broker }
    }

    fn options(&self) -> TlsOptions {
        TlsOptions { ca: Some(self.folder.path().join("ca.pem")), ..TlsOptions::default() }
    }

    fn client(&self, options: &TlsOptions) -> Tls {
        Security::new(options, NAME, &Transport::Tcp).unwrap().tls(0)
    }

    fn server(&self, versions: &[&'static SupportedProtocolVersion]) -> Server {
        Server::new(config(&self.broker, versions, None))
    }
}

fn hear(client: &mut Tls, bytes: &[u8]) -> Result<Vec<u8>, Over> {
    let mut heard = Vec::new();
    let mut place = vec![0; 1000];
    let done = client.handle_bytes(bytes, &mut place, |piece| {
        heard.extend_from_slice(piece);
        Ok::<(), Over>(())
    });
    done.map(|()| heard)
}

/// What came of a conversation: what each heard, and the server's error.
#[derive(Default)]
struct Talk {
    client: Vec<u8>,
    server: Vec<u8>,
    refused: Option<Error>,
}

/// Carries bytes, in pieces of this size, until nobody has more to say or one of them fails.
fn talk(client: &mut Tls, server: &mut Server, size: usize) -> Talk {
    let mut talk = Talk::default();
    loop {
        let (from_client, from_server) = (std::mem::take(client.wire()), server.wire());
        if from_client.is_empty() && from_server.is_empty() {
            return talk;
        }
        for piece in from_server.chunks(size) {
            match hear(client, piece) {
                Ok(heard) => talk.client.extend(heard),
                Err(Over) => break,
            }
        }
        for piece in from_client.chunks(size) {
            match server.hear(piece) {
                Ok(heard) => talk.server.extend(heard),
                Err(e) => {
                    talk.refused = Some(e);
                    break;
                }
            }
        }
    }
}

/// What the client says of a handshake that fails, and what the server says of it.
fn failure(client: &mut Tls, server: &mut Server) -> (String, Option<Error>) {
    client.begin().unwrap();
    let talk = talk(client, server, 10_000);
    let Some(End::Failed(why)) = client.end() else { panic!("{:?}", client.end()) };
    (why.clone(), talk.refused)
}

#[test]
fn bytes_go_both_ways_however_they_are_cut() {
    let world = World::new();
    let long: Vec<u8> = (0..70_000u32).map(|i| (i % 251) as u8).collect();
    for (versions, says) in
        [(&[&version::TLS12][..], "TLS 1.2, TLS_ECDHE"), (&[&version::TLS13], "TLS 1.3, TLS13_")]
    {
        for size in [1, 2, 7, 64, 1_000, 100_000] {
            let (mut client, mut server) = (world.client(&world.options()), world.server(versions));
            client.begin().unwrap();
            let mut plain = b"first".to_vec();
            client.seal(&mut plain);
            assert_eq!(plain, b"first", "it waits for the handshake");
            talk(&mut client, &mut server, size);
            assert!(client.is_open() && client.end().is_none());
            let agreed = client.agreed().unwrap();
            assert!(agreed.on.starts_with(says) && !agreed.resumed, "{agreed:?}");
            client.seal(&mut plain);
            server.say(&long);
            let heard = talk(&mut client, &mut server, size);
            assert!(
                plain.is_empty() && heard.server == b"first" && heard.client == long,
                "in pieces of {size}"
            );
            plain = long.clone();
            client.seal(&mut plain);
            assert!(talk(&mut client, &mut server, size).server == long, "in pieces of {size}");
        }
    }
}

#[test]
fn what_is_sent_at_once_is_one_record_and_the_last_is_followed_by_a_good_bye() {
    let world = World::new();
    let (mut client, mut server) = (world.client(&world.options()), world.server(BOTH));
    client.begin().unwrap();
    talk(&mut client, &mut server, 10_000);
    client.seal(&mut vec![7; 5_000]);
    let record = client.wire();
    assert_eq!((record[0], usize::from(u16::from_be_bytes([record[3], record[4]]))), (23, record.len() - 5));
    client.close();
    client.seal(&mut b"DISCONNECT".to_vec());
    assert_eq!(talk(&mut client, &mut server, 10_000).server.len(), 5_010);
    assert!(server.0.process_new_packets().unwrap().peer_has_closed());
    server.0.send_close_notify();
    talk(&mut client, &mut server, 10_000);
    assert_eq!(client.end(), Some(&End::Closed));
}

#[test]
fn a_client_resumes_its_own_session_only_where_that_is_asked_for() {
    let world = World::new();
    for version in [&version::TLS12, &version::TLS13] {
        for resume in [false, true] {
            let options = TlsOptions { resume, ..world.options() };
            let security = Security::new(&options, NAME, &Transport::Tcp).unwrap();
            let (mut one, mut other) = (security.tls(0), security.tls(1));
            let config = config(&world.broker, &[version], None);
            let connect = |client: &mut Tls| {
                client.begin().unwrap();
                talk(client, &mut Server::new(config.clone()), 10_000);
                client.agreed().unwrap().resumed
            };
            assert!(!connect(&mut one) && !connect(&mut other));
            assert_eq!((connect(&mut one), connect(&mut other)), (resume, resume), "{version:?}");
        }
    }
}

#[test]
fn a_bad_certificate_of_the_broker_is_named_with_its_remedy_and_the_broker_hears_of_it() {
    let day = |year| rcgen::date_time_ymd(year, 1, 1);
    let cases = [
        (World::with("ca", |p| p.not_after = day(2020)), "has expired"),
        (World::with("ca", |p| p.not_before = day(2500)), "is not valid yet"),
        (
            World::with("ca", |p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
            "serverAuth",
        ),
        (World::with("ca", |p| p.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained)), "CA:TRUE"),
    ];
    for (world, says) in cases {
        let (why, refused) = failure(&mut world.client(&world.options()), &mut world.server(BOTH));
        assert!(why.contains(says), "{why}");
        // Which alert a mere reason is told by is rustls' choice; that one is told is ours.
        assert!(matches!(refused, Some(Error::AlertReceived(_))), "{says}: {refused:?}");
        let mut blind = world.client(&TlsOptions { insecure: true, ..TlsOptions::default() });
        blind.begin().unwrap();
        talk(&mut blind, &mut world.server(BOTH), 10_000);
        assert!(blind.is_open(), "{says}: nothing is verified");
    }
}

#[test]
fn a_strange_authority_and_a_wrong_name_are_told_apart() {
    let (world, other) = (World::new(), World::with("strange", |_| ()));
    let (why, refused) = failure(&mut world.client(&world.options()), &mut other.server(BOTH));
    assert!(why.contains("--ca FILE"), "{why}");
    assert_eq!(refused, Some(Error::AlertReceived(AlertDescription::UnknownCA)));
    let options = TlsOptions { sni: Some("127.0.0.1".into()), ..world.options() };
    let (why, _) = failure(&mut world.client(&options), &mut world.server(BOTH));
    assert!(why.contains("is not for 127.0.0.1 but for broker.test: ") && why.contains("--sni"), "{why}");
    let mut client = world.client(&world.options());
    client.begin().unwrap();
    assert_eq!(hear(&mut client, b"HTTP/1.1 400 Bad Request\r\n\r\n"), Err(Over));
    assert!(matches!(client.end(), Some(End::Failed(why)) if why.contains("not TLS")), "{:?}", client.end());
}

#[test]
fn a_refusal_names_the_alert_during_the_handshake_or_after_it() {
    let (world, strangers) = (World::new(), Authority::new("strangers"));
    let file = |made: &Made| {
        let path = world.folder.path().join("client.pem");
        std::fs::write(&path, made.pem.clone() + &made.key_pem).unwrap();
        TlsOptions { cert: Some(path), ..world.options() }
    };
    for version in [&version::TLS12, &version::TLS13] {
        let server = || Server::new(config(&world.broker, &[version], Some(&world.authority)));
        let (why, _) = failure(&mut world.client(&world.options()), &mut server());
        assert!(why.contains("certificate_required (116)"), "{why}");
        let options = file(&strangers.issue(&[], |_| ()));
        let (why, _) = failure(&mut world.client(&options), &mut server());
        assert!(why.contains("unknown_ca (48)"), "{why}");
        let mut good = world.client(&file(&world.authority.issue(&[], |_| ())));
        good.begin().unwrap();
        assert_eq!(talk(&mut good, &mut server(), 10_000).refused, None);
        assert!(good.is_open() && good.end().is_none());
    }
    let only = TlsOptions { tls_version: Some(crate::tls_options::TlsVersion::V1_2), ..world.options() };
    let (why, _) = failure(&mut world.client(&only), &mut world.server(&[&version::TLS13]));
    assert!(why.contains("--tls-version"), "{why}");
}

#[test]
fn a_connection_that_comes_back_begins_anew() {
    let world = World::new();
    let mut client = world.client(&world.options());
    for _ in 0..2 {
        let mut server = world.server(BOTH);
        client.begin().unwrap();
        talk(&mut client, &mut server, 100);
        server.say(b"half of this is lost");
        let bytes = server.wire();
        assert_eq!(hear(&mut client, &bytes[..10]), Ok(vec![]));
        client.close();
    }
    client.down();
    assert!(!client.is_open() && client.wire().is_empty() && client.agreed().is_none());
}
