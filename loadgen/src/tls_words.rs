//! Failures of TLS in words: what happened, and what to do about it. The same words for the same reason, so that they
//! can be counted. Knows nothing of connections.

use std::io;

use futures_rustls::pki_types::ServerName;
use futures_rustls::rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

/// Why TLS to the server of this name failed.
pub fn of(error: &io::Error, name: &ServerName<'_>) -> String {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return format!("TLS: {error}");
    };
    match error {
        Error::AlertReceived(alert) => alert_words(*alert),
        Error::InvalidCertificate(why) => certificate(why, name),
        Error::InvalidMessage(_) => {
            "TLS: the answer is not TLS: does the broker speak it on this port? (without TLS: mqtt:// or ws://)".into()
        }
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled,
        ) => "TLS: no version in common with the broker: try another --tls-version".into(),
        other => format!("TLS: {other}"),
    }
}

fn certificate(why: &CertificateError, name: &ServerName<'_>) -> String {
    let name = name.to_str();
    let text = match why {
        CertificateError::UnknownIssuer => {
            "is from an authority that is not trusted here: give that with --ca FILE (or verify nothing: --insecure)"
                .into()
        }
        CertificateError::NotValidForNameContext { presented, .. } => format!(
            "is not for {name} but for {}: reach it by such a name or give one with --sni NAME",
            list(presented)
        ),
        CertificateError::NotValidForName => {
            format!("is not for {name}: reach it by a name that it is for, or give that with --sni NAME")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "has expired: it needs to be renewed (or verify nothing: --insecure)".into()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet: are the clocks right, here and where it was made?".into()
        }
        CertificateError::BadSignature => "has a signature that does not verify: it was changed, or --ca is another \
                                           authority of the same name"
            .into(),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "is not for servers: it needs the extended key usage serverAuth".into()
        }
        CertificateError::Revoked => "was revoked: the broker needs a new one".into(),
        CertificateError::Other(other) => other_words(&format!("{other:?}"), &other.to_string()),
        other => format!("is not acceptable: {other}"),
    };
    format!("TLS: the broker's certificate {text}")
}

/// What webpki says and rustls has no variant for.
fn other_words(debug: &str, text: &str) -> String {
    if debug.contains("UnsupportedCertVersion") {
        "is of X.509 version 1: make it with extensions (openssl x509 -req -extfile FILE)".into()
    } else if debug.contains("CaUsedAsEndEntity") {
        "is an authority's own: the broker needs one without CA:TRUE (or verify nothing: --insecure)".into()
    } else {
        format!("is not acceptable: {text}")
    }
}

/// Names as people read them: rustls quotes webpki's own notation.
fn list(presented: &[String]) -> String {
    let bare = |name: &String| {
        let inner = name.split_once("(\"").and_then(|(_, rest)| rest.split_once("\")"));
        inner.map_or_else(|| name.clone(), |(inner, _)| inner.to_owned())
    };
    if presented.is_empty() {
        return "no name at all".into();
    }
    presented.iter().map(bare).collect::<Vec<_>>().join(", ")
}

/// The alert's own name, its number, and what to do.
fn alert_words(alert: AlertDescription) -> String {
    use AlertDescription as A;
    let remedy = match alert {
        A::CertificateRequired | A::NoCertificate => {
            "it wants a client certificate: --cert FILE --key FILE, or --cert-dir DIR"
        }
        A::UnknownCA => "it does not trust the authority of the client certificate",
        A::CertificateExpired => "the client certificate has expired: renew it",
        A::CertificateRevoked => "the client certificate is revoked there",
        A::AccessDenied => "the client certificate is good, but not accepted there: is it authorized?",
        A::BadCertificate | A::CertificateUnknown | A::UnsupportedCertificate => {
            "it does not accept the client certificate: the broker's log says why"
        }
        A::HandshakeFailure => {
            "nothing in common (cipher suites, keys), or it wants a client certificate: --cert FILE --key FILE"
        }
        A::ProtocolVersion => "no version in common: try another --tls-version",
        A::UnrecognisedName => "it does not know the name: give another with --sni NAME",
        A::NoApplicationProtocol => "it does not speak MQTT, or not WebSocket, on this port",
        A::DecryptError => "it could not verify a signature: does the key fit the client certificate?",
        _ => "the broker's log may say why",
    };
    format!("TLS: refused by the broker with the alert {} ({}): {remedy}", snake(alert), u8::from(alert))
}

/// `CertificateRequired` as the standard writes it: `certificate_required`.
fn snake(alert: AlertDescription) -> String {
    if alert == AlertDescription::UnknownCA {
        return "unknown_ca".into();
    }
    let mut out = String::new();
    for c in format!("{alert:?}").chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(error: Error) -> String {
        let name = ServerName::try_from("broker.test").unwrap();
        of(&io::Error::new(io::ErrorKind::InvalidData, error), &name)
    }

    #[test]
    fn alerts_have_the_names_of_the_standard_and_a_remedy() {
        let said = words(Error::AlertReceived(AlertDescription::CertificateRequired));
        assert!(said.contains("alert certificate_required (116)") && said.contains("--cert-dir"), "{said}");
        assert!(words(Error::AlertReceived(AlertDescription::UnknownCA)).contains("unknown_ca (48)"));
    }

    #[test]
    fn names_are_shown_without_their_notation() {
        let presented = vec!["DnsName(\"localhost\")".to_owned(), "IpAddress(127.0.0.1)".to_owned()];
        assert_eq!(list(&presented), "localhost, IpAddress(127.0.0.1)");
        assert_eq!(list(&[]), "no name at all");
    }
}
