//! Common Names and subjects: of what a name is made, and what is no name.

use std::sync::Arc;

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::CertificateDer;
use tidemq::net::tls::presented;
use tidemq::policy::certificates::{CommonName, Presented, Requirement};
use tidemq::policy::{ClientNames, Principal};

use super::der::{Attribute, Version, certificate, name};
use super::handshake::{VERSIONS, client, server, shake};
use super::issue::{Identity, key};
use super::table::listing;

const UTF8: u8 = 12;
const NUMERIC: u8 = 18;
const PRINTABLE: u8 = 19;
const T61: u8 = 20;
const IA5: u8 = 22;
const VISIBLE: u8 = 26;
const UNIVERSAL: u8 = 28;
const BMP: u8 = 30;
const OCTETS: u8 = 4;

/// The last numbers of 2.5.4.x.
const CN: u8 = 3;
const COUNTRY: u8 = 6;
const ORGANIZATION: u8 = 10;

fn holder() -> KeyPair {
    key(&PKCS_ECDSA_P256_SHA256)
}

fn of_subject(subject: &[u8], key: &KeyPair) -> CertificateDer<'static> {
    certificate(Version::V3, subject, key, subject, key)
}

fn read(relative: &[&[Attribute]]) -> Presented {
    presented::read(&[of_subject(&name(relative), &holder())])
}

fn common_name(tag: u8, value: &[u8]) -> CommonName {
    read(&[&[Attribute(CN, tag, value.to_vec())]]).common_name
}

fn one(name: &str) -> CommonName {
    CommonName::One(name.into())
}

#[test]
fn each_string_type_is_read_where_there_is_no_doubt() {
    for tag in [UTF8, PRINTABLE, IA5, VISIBLE, T61] {
        assert_eq!(common_name(tag, b"device 1"), one("device 1"), "{tag}");
    }
    assert_eq!(common_name(NUMERIC, b"4711"), one("4711"));
    assert_eq!(common_name(BMP, b"\0d\0\xe9\x20\xac"), one("dé€"));
    assert_eq!(common_name(UNIVERSAL, b"\0\0\0d\0\x01\xf6\0"), one("d😀"));
    assert_eq!(common_name(UTF8, "Gerät 😀".as_bytes()), one("Gerät 😀"));
    // Outside of their alphabets, as issuers write them.
    assert_eq!(common_name(PRINTABLE, b"a_b@c*"), one("a_b@c*"));
    for tag in [PRINTABLE, IA5, VISIBLE, NUMERIC, T61] {
        assert_eq!(common_name(tag, b"ger\xe4t"), CommonName::None, "{tag}");
    }
    assert_eq!(common_name(OCTETS, b"device"), CommonName::None);
}

#[test]
fn what_is_not_text_is_no_name() {
    for ill in [&b"\xff"[..], b"abc\xc3", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80"] {
        assert_eq!(common_name(UTF8, ill), CommonName::None, "{ill:?}");
    }
    assert_eq!(common_name(BMP, b"\0a\0"), CommonName::None, "half a character");
    assert_eq!(common_name(BMP, b"\xd8\0\0a"), CommonName::None, "half a surrogate pair");
    assert_eq!(common_name(UNIVERSAL, b"\0\x11\0\0"), CommonName::None, "beyond the last character");
    for tag in [UTF8, PRINTABLE, IA5] {
        assert_eq!(common_name(tag, b"admin\0.example"), CommonName::None);
        assert_eq!(common_name(tag, b"\0"), CommonName::None);
        assert_eq!(common_name(tag, b""), CommonName::None, "an empty name is nobody's");
    }
    assert_eq!(common_name(BMP, b"\0a\0\0"), CommonName::None);
}

/// Rules look at the name as it is: what it may match is theirs to say.
#[test]
fn a_name_is_kept_to_the_letter() {
    let long = "x".repeat(10_000);
    let names = [
        "a/b",
        "+",
        "#",
        "a/+/#",
        "$SYS",
        " device ",
        "Device",
        "a\nb\u{7f}",
        "{%client%}",
        "\u{202e}x",
        &long,
    ];
    for name in names {
        assert_eq!(common_name(UTF8, name.as_bytes()), one(name));
    }
}

#[test]
fn none_or_several() {
    let cn = |text: &str| Attribute(CN, UTF8, text.into());
    let organization = Attribute(ORGANIZATION, UTF8, b"Example".to_vec());
    assert_eq!(read(&[]).common_name, CommonName::None);
    assert_eq!(read(&[std::slice::from_ref(&organization)]).common_name, CommonName::None);
    assert_eq!(read(&[&[cn("a")], &[cn("b")]]).common_name, CommonName::Several);
    assert_eq!(read(&[&[cn("a"), cn("b")]]).common_name, CommonName::Several, "in one relative name");
    assert_eq!(
        read(&[&[cn("a")], std::slice::from_ref(&organization), &[cn("a")]]).common_name,
        CommonName::Several
    );
    assert_eq!(read(&[&[cn("a"), organization]]).common_name, one("a"));
    // Which of them can be read makes no difference.
    let ill = Attribute(CN, UTF8, vec![0xff]);
    assert_eq!(read(&[&[cn("a")], &[ill]]).common_name, CommonName::Several);
}

#[test]
fn subjects_are_written_for_people() {
    let subject = |relative: &[&[Attribute]]| String::from(read(relative).subject);
    let cn = |text: &str| Attribute(CN, UTF8, text.into());
    let organization = Attribute(ORGANIZATION, UTF8, b"Example, Inc.".to_vec());
    let country = Attribute(COUNTRY, PRINTABLE, b"AT".to_vec());
    let written = subject(&[&[country], &[organization], &[cn("device1")]]);
    assert_eq!(written, r"CN=device1,O=Example\, Inc.,C=AT");
    assert_eq!(subject(&[&[cn("a"), Attribute(ORGANIZATION, UTF8, b"b".to_vec())]]), "CN=a+O=b");
    assert_eq!(subject(&[]), "");
    assert_eq!(subject(&[&[cn(" #a+b=\"c\";<d>\\ ")]]), r#"CN=\ #a\+b\=\"c\"\;\<d\>\\\ "#);
    assert_eq!(subject(&[&[cn("#")]]), r"CN=\#");
    // No line can be forged, and none be turned around.
    assert_eq!(subject(&[&[cn("a\nb\0\u{85}\u{202e}c")]]), r"CN=a\0ab\00\c2\85\e2\80\aec");
    assert_eq!(subject(&[&[Attribute(CN, UTF8, vec![0xff, 0xfe])]]), "CN=#fffe");
    assert_eq!(subject(&[&[Attribute(99, UTF8, b"x".to_vec())]]), "2.5.4.99=x");
    for long in ["x".repeat(10_000), "é".repeat(10_000), "\n".repeat(10_000)] {
        let written = subject(&[&[cn(&long)]]);
        assert_eq!(written.chars().count(), 257, "256 and the sign that there was more");
        assert!(written.ends_with('…'));
    }
}

#[test]
fn what_cannot_be_read_has_no_name() {
    for der in [&b""[..], b"junk", &[0x30, 0x80, 0, 0], &[0xff; 100]] {
        let presented = presented::read(&[CertificateDer::from(der)]);
        assert_eq!((&*presented.subject, &presented.common_name), ("", &CommonName::None));
        assert_eq!(presented.thumbprint, presented::thumbprint(der));
    }
    // Cut anywhere.
    let whole = of_subject(&name(&[&[Attribute(CN, UTF8, b"device".to_vec())]]), &holder());
    for end in 0..whole.len() {
        presented::read(&[CertificateDer::from(&whole[..end])]);
    }
}

/// Names do not keep anybody out of TLS; what the broker then calls the client is the empty name where there is none.
#[test]
fn odd_names_shake_hands() {
    let cn = |value: &[u8]| Attribute(CN, UTF8, value.to_vec());
    let long = "x".repeat(10_000);
    let cases: [(Vec<u8>, &str); 6] = [
        (name(&[&[cn(b"a/+/#")]]), "a/+/#"),
        (name(&[&[cn(long.as_bytes())]]), &long),
        (name(&[&[cn(b"a\0b")]]), ""),
        (name(&[&[cn(b"\xff")]]), ""),
        (name(&[]), ""),
        (name(&[&[cn(b"a")], &[cn(b"b")]]), ""),
    ];
    for (subject, expected) in cases {
        let key = holder();
        let identity = Identity::new(vec![of_subject(&subject, &key)], &key);
        for version in VERSIONS {
            let server = server(listing(&identity.chain[0]), Requirement::Required);
            let ended = shake(&server, &Arc::new(client(version, Some(&identity))));
            let connection = ended.server.expect("accepted");
            let presented = presented::read(connection.peer_certificates().expect("a certificate"));
            let principal = Principal { certificate: Some(Arc::new(presented)), user: None };
            assert_eq!(principal.client_name(ClientNames::Certificates), expected);
        }
    }
}
