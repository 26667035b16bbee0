//! Who was not let in, who was put out, what clients were refused: each with its reason and what may be done about it.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::desk::Desk;
use super::super::problem::Problem;
use crate::policy::certificates::CommonName;
use crate::policy::rules::RuleIndex;
use crate::policy::{Attempt, CertificateRefusal, Ground, Rejection};

/// From where on.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::control) struct RejectedAsked {
    /// Those after this number only: `last` of an earlier answer.
    pub(in crate::control) since: u64,
}

/// The last rejections, oldest first. So many are kept that nobody can wash them all away with one kind.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct Rejected {
    pub(in crate::control) rejections: Vec<RejectionShown>,
    /// Ask for those since this number the next time.
    pub(in crate::control) last: u64,
}

/// Something that was refused.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct RejectionShown {
    pub(in crate::control) number: u64,
    /// How often, the last time then.
    pub(in crate::control) times: u64,
    /// When, as RFC 3339 writes it.
    pub(in crate::control) at: String,
    /// `handshake`, `connect`, `stay` (it was put out by an Apply), `publish`, `will` or `subscribe`
    pub(in crate::control) attempt: String,
    /// The topic, or the filter.
    pub(in crate::control) topic: Option<String>,
    /// `certificate`, `credentials`, `name`, `owner`, `rules`, `system`, `limit`, `unsupported`, `protocol` or `handshake`
    pub(in crate::control) ground: String,
    /// The reason, for people.
    pub(in crate::control) cause: String,
    /// What may be done about it; empty: nothing that is known here.
    pub(in crate::control) remedy: String,
    /// The rule that decided, by its position from 1.
    pub(in crate::control) rule: Option<usize>,
    pub(in crate::control) peer: Option<String>,
    /// The listener that it came to, as people read it.
    pub(in crate::control) listener: Option<String>,
    pub(in crate::control) client_id: Option<String>,
    /// The name that topic rules judge by.
    pub(in crate::control) client_name: Option<String>,
    /// The user name that was sent, proved or not.
    pub(in crate::control) user: Option<String>,
    pub(in crate::control) certificate: Option<CertificateShown>,
}

/// A certificate that was presented.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct CertificateShown {
    pub(in crate::control) thumbprint: String,
    pub(in crate::control) subject: String,
    /// Its Common Name, if there is one and only one.
    pub(in crate::control) common_name: Option<String>,
}

/// The last rejections.
pub(in crate::control) async fn list(desk: &Desk, asked: RejectedAsked) -> Result<Rejected, Problem> {
    desk.ask(move |control| {
        let Some(running) = &control.running else { return Rejected::default() };
        let recent = running.node().rejections(asked.since);
        let shown = |one: &Rejection| shown(one, one.listener.map(|number| running.listener_name(number)));
        Rejected { rejections: recent.rejections.iter().map(shown).collect(), last: recent.last }
    })
    .await
}

fn shown(one: &Rejection, listener: Option<String>) -> RejectionShown {
    let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
    let certificate = one.certificate.as_ref().map(|presented| CertificateShown {
        thumbprint: presented.thumbprint.to_string(),
        subject: presented.subject.to_string(),
        common_name: match &presented.common_name {
            CommonName::One(name) => Some(name.to_string()),
            _ => None,
        },
    });
    let (attempt, topic) = attempt(&one.attempt);
    RejectionShown {
        number: one.number,
        times: one.times,
        at: moment(one.unix_micros),
        attempt: attempt.to_owned(),
        topic: topic.map(str::to_owned),
        ground: ground(&one.ground).to_owned(),
        cause: one.cause.clone(),
        remedy: remedy(one).to_owned(),
        rule: match &one.ground {
            Ground::Rules { decided } => decided.map(RuleIndex::position),
            _ => None,
        },
        peer: one.peer.map(|peer| peer.to_string()),
        listener,
        client_id: text(&one.client_id),
        client_name: text(&one.client_name),
        user: text(&one.user),
        certificate,
    }
}

fn moment(unix_micros: u64) -> String {
    use time::format_description::well_known::Rfc3339;
    let moment = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_micros) * 1_000).ok();
    moment.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_default()
}

fn attempt(attempt: &Attempt) -> (&'static str, Option<&str>) {
    match attempt {
        Attempt::Handshake => ("handshake", None),
        Attempt::Connect => ("connect", None),
        Attempt::Stay => ("stay", None),
        Attempt::Publish { topic, .. } => ("publish", Some(topic)),
        Attempt::Will { topic } => ("will", Some(topic)),
        Attempt::Subscribe { filter } => ("subscribe", Some(filter)),
    }
}

fn ground(ground: &Ground) -> &'static str {
    match ground {
        Ground::Handshake => "handshake",
        Ground::Listener => "listener",
        Ground::Certificate(_) => "certificate",
        Ground::Credentials => "credentials",
        Ground::Name => "name",
        Ground::Owner => "owner",
        Ground::Rules { .. } => "rules",
        Ground::System => "system",
        Ground::Limit => "limit",
        Ground::Unsupported => "unsupported",
        Ground::Protocol(_) => "protocol",
    }
}

/// What an operator may do about it.
fn remedy(one: &Rejection) -> &'static str {
    match &one.ground {
        Ground::Listener => "let the client connect to another listener",
        Ground::Certificate(refusal) => match refusal {
            CertificateRefusal::NotEncrypted => "let the client connect anew, encrypted",
            CertificateRefusal::Missing => {
                "give the client a certificate, or exempt its listener with `require_client_certificate = false`"
            }
            CertificateRefusal::Revoked => "if it was revoked by mistake, list it as Authorized",
            CertificateRefusal::Untrusted(_) => {
                "add its authority; or list the certificate as Authorized and set `any_authorized = true`"
            }
            CertificateRefusal::NotAuthorized => "list the certificate as Authorized",
            CertificateRefusal::Unproved => "see that the client has the key of its certificate",
        },
        Ground::Credentials => "see what user name and password the client sends, and which users there are",
        Ground::Name => "see `client_id` of [certificates], and the Common Name of the client's certificate",
        Ground::Owner => "give the client another client id, or remove the session that has it",
        Ground::Rules { decided: Some(_) } => {
            "if it should be allowed, add a rule in front of the one that decided"
        }
        Ground::Rules { decided: None } => {
            "if it should be allowed, add a rule that matches client and topic"
        }
        Ground::System => "clients never publish there; let it use another topic",
        Ground::Limit => "see [limits]",
        Ground::Handshake | Ground::Unsupported | Ground::Protocol(_) => "",
    }
}
