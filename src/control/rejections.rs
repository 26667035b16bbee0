//! The connections that were not let in, as text for people. A value in, a text out; what came from outside is escaped.

use crate::control::pki::moment;
use crate::policy::{Attempt, Rejection};

/// One a line, oldest first.
pub(super) fn describe(rejections: &[Rejection]) -> String {
    if rejections.is_empty() {
        return "no connection was refused".into();
    }
    rejections.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn line(rejection: &Rejection) -> String {
    let Rejection { unix_micros, peer, client_id, user, certificate, attempt, cause, .. } = rejection;
    let when = moment(i64::try_from(unix_micros / 1_000_000).unwrap_or(i64::MAX));
    let peer = peer.map_or("-".to_owned(), |peer| peer.to_string());
    let mut line = format!("{when}  {peer}");
    if let Some(client_id) = client_id {
        line.push_str(&format!("  client id \"{}\"", client_id.escape_debug()));
    }
    if let Some(user) = user {
        line.push_str(&format!("  user \"{}\"", user.escape_debug()));
    }
    if let Some(certificate) = certificate {
        line.push_str(&format!("  {}  {}", certificate.subject.escape_debug(), certificate.thumbprint));
    }
    match attempt {
        Attempt::Handshake | Attempt::Connect | Attempt::Stay => {}
        Attempt::Publish { topic, .. } => line.push_str(&format!("  publish \"{}\"", topic.escape_debug())),
        Attempt::Will { topic } => line.push_str(&format!("  will \"{}\"", topic.escape_debug())),
        Attempt::Subscribe { filter } => {
            line.push_str(&format!("  subscribe \"{}\"", filter.escape_debug()));
        }
    }
    line.push_str(&format!("  {}", cause.escape_debug()));
    line
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::policy::certificates::CommonName;
    use crate::policy::{CertificateRefusal, Ground, Presented, Thumbprint};

    #[test]
    fn a_line_says_who_came_when_and_why_not_and_no_more_than_a_line() {
        let plain = Rejection {
            number: 1,
            times: 1,
            unix_micros: 1_700_000_000_000_000,
            peer: "192.0.2.7:4711".parse().ok(),
            listener: Some(0),
            client_id: None,
            client_name: None,
            user: None,
            certificate: None,
            attempt: Attempt::Handshake,
            ground: Ground::Certificate(CertificateRefusal::Missing),
            cause: "no client certificate was presented".into(),
        };
        let presented = Presented {
            thumbprint: Thumbprint([0xab; 32]),
            subject: "CN=device1\n2023".into(),
            common_name: CommonName::One("device1\n2023".into()),
            chain: Box::new([]),
        };
        let full = Rejection {
            client_id: Some("id\"1".into()),
            user: Some("alice".into()),
            certificate: Some(Arc::new(presented)),
            cause: "revoked".into(),
            ..plain.clone()
        };
        let text = describe(&[plain, full]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "2023-11-14 22:13:20 UTC  192.0.2.7:4711  no client certificate was presented".to_owned(),
                format!(
                    "2023-11-14 22:13:20 UTC  192.0.2.7:4711  client id \"id\\\"1\"  user \"alice\"  CN=device1\\n2023  {}  revoked",
                    "ab".repeat(32)
                ),
            ]
        );
        assert_eq!(describe(&[]), "no connection was refused");
    }
}
