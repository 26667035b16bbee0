//! Certificates that rcgen does not make: version 1, names of any bytes. Enough of DER to write one, signed as it should be.

use rcgen::{KeyPair, PublicKeyData, SigningKey};
use rustls::pki_types::CertificateDer;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;

pub(crate) fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = content.len().to_be_bytes();
    let significant = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let mut out = vec![tag];
    match content.len() {
        ..0x80 => out.push(content.len() as u8),
        _ => {
            out.push(0x80 | significant.len() as u8);
            out.extend_from_slice(significant);
        }
    }
    out.extend(content);
    out
}

/// An attribute of a name: the last number of its identifier (2.5.4.x), the tag and the bytes of its value.
#[derive(Clone)]
pub(crate) struct Attribute(pub(crate) u8, pub(crate) u8, pub(crate) Vec<u8>);

/// A name; what stands in one inner list shares a relative name.
pub(crate) fn name(relative: &[&[Attribute]]) -> Vec<u8> {
    let relative: Vec<Vec<u8>> = relative
        .iter()
        .map(|attributes| {
            let attributes: Vec<Vec<u8>> = attributes
                .iter()
                .map(|Attribute(kind, tag, value)| {
                    der(SEQUENCE, &[&der(0x06, &[&[0x55, 4, *kind]]), &der(*tag, &[value])])
                })
                .collect();
            der(SET, &attributes.iter().map(Vec::as_slice).collect::<Vec<_>>())
        })
        .collect();
    der(SEQUENCE, &relative.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

#[derive(Clone, Copy)]
pub(crate) enum Version {
    V1,
    V3,
}

/// A certificate of `key`, without extensions, valid from 2020 to 2049, signed with P-256 by `signer`.
pub(crate) fn certificate(
    version: Version,
    subject: &[u8],
    key: &KeyPair,
    issuer: &[u8],
    signer: &KeyPair,
) -> CertificateDer<'static> {
    let ecdsa_with_sha256 = der(SEQUENCE, &[&[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]]);
    let version: &[u8] = match version {
        Version::V1 => &[],
        Version::V3 => &[0xa0, 3, 2, 1, 2],
    };
    let validity = der(SEQUENCE, &[&der(0x17, &[b"200101000000Z"]), &der(0x17, &[b"491231235959Z"])]);
    let serial = der(0x02, &[&[7]]);
    let key = key.subject_public_key_info();
    let to_be_signed =
        der(SEQUENCE, &[version, &serial, &ecdsa_with_sha256, issuer, &validity, subject, &key]);
    let signature = signer.sign(&to_be_signed).expect("signed");
    der(SEQUENCE, &[&to_be_signed, &ecdsa_with_sha256, &der(0x03, &[&[0], &signature])]).into()
}
