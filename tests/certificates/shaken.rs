//! The truth table through full handshakes, with the alert that the peer sees.

use std::sync::Arc;

use rustls::{AlertDescription, Error, HandshakeKind};
use tidemq::net::tls::presented;
use tidemq::policy::certificates::Requirement;

use super::handshake::{VERSIONS, client, server, shake};
use super::table::cells;

#[test]
fn every_cell_is_told_as_the_table_says() {
    for version in VERSIONS {
        for cell in cells() {
            let client = Arc::new(client(version, Some(cell.identity())));
            let ended = shake(&server(cell.policy(), Requirement::Required), &client);
            assert_eq!(ended.alert, cell.outcome.alert(), "{cell:?}, {version:?}");
            assert_eq!(ended.server.is_err(), cell.outcome.alert().is_some(), "{cell:?}, {version:?}");
            match (ended.refused, cell.outcome.refusal()) {
                (Some((who, why)), Some(expected)) => {
                    assert_eq!(why, expected, "{cell:?}, {version:?}");
                    assert_eq!(who.thumbprint, presented::thumbprint(&cell.identity().chain[0]));
                }
                (None, None) => {}
                (got, _) => panic!("{got:?}: {cell:?}, {version:?}"),
            }
        }
    }
}

/// A certificate that may be left out is judged like another when it is there.
#[test]
fn optional_is_not_lax() {
    for version in VERSIONS {
        for cell in cells() {
            let client = Arc::new(client(version, Some(cell.identity())));
            let ended = shake(&server(cell.policy(), Requirement::Optional), &client);
            assert_eq!(ended.alert, cell.outcome.alert(), "{cell:?}, {version:?}");
        }
    }
}

#[test]
fn without_a_certificate() {
    for version in VERSIONS {
        let bare = Arc::new(client(version, None));
        for cell in cells() {
            let ended = shake(&server(cell.policy(), Requirement::Required), &bare);
            assert_eq!(ended.alert, Some(AlertDescription::CertificateRequired), "{cell:?}, {version:?}");
            assert_eq!(ended.server.err(), Some(Error::NoCertificatesPresented));
            assert!(ended.refused.is_none());
        }
        let policy = cells().next().expect("the first").policy();
        let ended = shake(&server(policy, Requirement::Optional), &bare);
        assert_eq!(ended.kind(), Some(HandshakeKind::Full));
        assert_eq!(ended.certificates(), 0);
    }
}
