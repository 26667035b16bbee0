//! The sections of the configuration that say who may connect and what they may do: client certificates,
//! credentials, the broker's own certificate, topic rules. Their values and how the text becomes them. Opens nothing:
//! whether a certificate that is named is there is found out by compiling.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;

use super::Problem;
use crate::control::read::Section;
use crate::control::validate;
use crate::policy::credentials::BadStoredPassword;
use crate::policy::rules::{Access, ClientMatch, Rule, RuleField, TopicMatch};
use crate::policy::{ClientIdPolicy, Listing, RefusedPublish, Rules, StoredPassword, Thumbprint};

/// What is asked of client certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificates {
    /// "Require client certificates"
    pub require: bool,
    /// "Accept trusted authorized client certificates only"
    pub trusted_authorized_only: bool,
    /// "Accept any authorized client certificate"
    pub any_authorized: bool,
    /// Whoever the operating system trusts may issue client certificates too.
    pub trust_operating_system: bool,
    /// Which client identifiers a client with a name may use.
    pub client_id: ClientIdPolicy,
}

/// What is asked of user names and passwords.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// "Require client credentials"
    pub require: bool,
}

/// The certificate that listeners with TLS present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerCertificate {
    /// Which.
    pub certificate: BrokerChoice,
    /// Names and addresses of the one that the broker makes; none: those of this machine.
    pub names: Vec<String>,
}

/// Which certificate the broker presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerChoice {
    /// One that the broker makes itself and renews in time.
    Auto,
    /// This one of the store.
    Stored(Thumbprint),
}

/// A certificate authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// What people call it.
    pub name: String,
    /// Its certificate.
    pub thumbprint: Thumbprint,
    /// It issues what is issued here.
    pub issues: bool,
}

/// A client certificate that is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// What people call it.
    pub name: String,
    /// Which.
    pub thumbprint: Thumbprint,
    /// How it is listed.
    pub status: Listing,
}

/// A user name with its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// As the client sends it.
    pub name: String,
    /// What is kept of the password.
    pub password: StoredPassword,
}

/// What holds for all topic rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleSettings {
    /// When they apply.
    pub apply: RulesApply,
    /// What a refused publish does to a client that cannot be told.
    pub refused_publish_v3: RefusedPublish,
}

/// When topic rules apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RulesApply {
    /// Where client certificates are required.
    Certificates,
    /// Always, to user names too.
    Always,
}

/// How the file writes each of them.
pub(in crate::control) const CLIENT_IDS: &[(&str, ClientIdPolicy)] = &[
    ("any", ClientIdPolicy::Any),
    ("equals-name", ClientIdPolicy::EqualsName),
    ("starts-with-name", ClientIdPolicy::StartsWithName),
];
pub(in crate::control) const LISTINGS: &[(&str, Listing)] =
    &[("authorized", Listing::Authorized), ("revoked", Listing::Revoked)];
pub(in crate::control) const RULES_APPLY: &[(&str, RulesApply)] =
    &[("certificates", RulesApply::Certificates), ("always", RulesApply::Always)];
pub(in crate::control) const REFUSED_PUBLISH: &[(&str, RefusedPublish)] =
    &[("acknowledge", RefusedPublish::Acknowledge), ("close", RefusedPublish::Close)];
pub(in crate::control) const ACCESSES: &[(&str, Access)] = &[
    ("deny", Access::Deny),
    ("read", Access::Read),
    ("write", Access::Write),
    ("read-write", Access::ReadWrite),
];
pub(in crate::control) const MATCHES: &[(&str, Match)] =
    &[("all", Match::All), ("specific", Match::Specific), ("pattern", Match::Pattern)];

/// How a rule finds clients or topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::control) enum Match {
    All,
    Specific,
    Pattern,
}

impl Match {
    /// How a rule finds clients, and what by.
    pub(in crate::control) fn of_client(client: &ClientMatch) -> (Match, &str) {
        match client {
            ClientMatch::All => (Match::All, ""),
            ClientMatch::Specific(name) => (Match::Specific, name),
            ClientMatch::Pattern(pattern) => (Match::Pattern, pattern),
        }
    }

    /// How a rule finds topics, and what by.
    pub(in crate::control) fn of_topic(topic: &TopicMatch) -> (Match, &str) {
        match topic {
            TopicMatch::All => (Match::All, ""),
            TopicMatch::Specific(filter) => (Match::Specific, filter),
            TopicMatch::Pattern(pattern) => (Match::Pattern, pattern),
        }
    }
}

/// The certificate that the broker makes itself.
const AUTO: &str = "auto";

/// What to write as a thumbprint.
const THUMBPRINT: &str = "write the certificate's SHA-256 thumbprint: 64 hexadecimal digits";

impl fmt::Display for BrokerChoice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BrokerChoice::Auto => out.write_str(AUTO),
            BrokerChoice::Stored(thumbprint) => thumbprint.fmt(out),
        }
    }
}

/// What was seen so far of what may be there once only.
pub(super) struct Once<T> {
    table: &'static str,
    seen: HashMap<T, usize>,
}

impl<T: Eq + Hash> Once<T> {
    pub(super) fn new(table: &'static str) -> Once<T> {
        Once { table, seen: HashMap::new() }
    }

    /// Where it was seen before, as the operator would write it.
    fn before(&mut self, value: T, index: usize) -> Option<String> {
        let before = *self.seen.entry(value).or_insert(index);
        (before != index).then(|| format!("{}[{before}]", self.table))
    }
}

pub(super) fn read_certificates(mut s: Section<'_>, problems: &mut Vec<Problem>) -> Certificates {
    let certificates = Certificates {
        require: s.boolean("require"),
        trusted_authorized_only: s.boolean("trusted_authorized_only"),
        any_authorized: s.boolean("any_authorized"),
        trust_operating_system: s.boolean("trust_operating_system"),
        client_id: s.choice("client_id", CLIENT_IDS),
    };
    problems.extend(s.finish());
    certificates
}

pub(super) fn read_credentials(mut s: Section<'_>, problems: &mut Vec<Problem>) -> Credentials {
    let credentials = Credentials { require: s.boolean("require") };
    problems.extend(s.finish());
    credentials
}

pub(super) fn read_broker_certificate(mut s: Section<'_>, problems: &mut Vec<Problem>) -> BrokerCertificate {
    let certificate = match s.text("certificate") {
        AUTO => BrokerChoice::Auto,
        text => thumbprint(&mut s, "certificate", text, &format!("write {AUTO:?}, or {}", &THUMBPRINT[6..]))
            .map_or(BrokerChoice::Auto, BrokerChoice::Stored),
    };
    let names = s.strings("names");
    for name in names.iter().filter(|name| !validate::is_host(name)) {
        let what = format!("`{name}` is neither a host name nor an address");
        s.report(
            "names",
            what,
            "write names and addresses such as [\"broker.example.org\", \"192.0.2.7\"]".into(),
        );
    }
    problems.extend(s.finish());
    BrokerCertificate { certificate, names }
}

pub(super) fn read_authorities(sections: Vec<Section<'_>>, problems: &mut Vec<Problem>) -> Vec<Authority> {
    let (mut names, mut thumbprints) = (Once::new("authority"), Once::new("authority"));
    let mut issuing: Option<usize> = None;
    let mut authorities = Vec::new();
    for (index, mut s) in sections.into_iter().enumerate() {
        let name = name(&mut s, &mut names, index);
        let thumbprint = listed(&mut s);
        if let Some(before) = thumbprint.and_then(|thumbprint| thumbprints.before(thumbprint, index)) {
            s.report("thumbprint", format!("is that of {before} too"), "remove one of them".into());
        }
        let issues = s.boolean("issues");
        match issuing {
            Some(before) if issues => s.report(
                "issues",
                format!("authority[{before}] issues already, and only one can"),
                "write `issues = false` for one of them".into(),
            ),
            _ if issues => issuing = Some(index),
            _ => {}
        }
        problems.extend(s.finish());
        authorities.extend(name.zip(thumbprint).map(|(name, thumbprint)| Authority {
            name,
            thumbprint,
            issues,
        }));
    }
    authorities
}

pub(super) fn read_client_certificates(
    sections: Vec<Section<'_>>,
    problems: &mut Vec<Problem>,
) -> Vec<ClientCertificate> {
    const TABLE: &str = "client_certificate";
    let (mut names, mut thumbprints) = (Once::new(TABLE), Once::new(TABLE));
    let mut certificates: Vec<ClientCertificate> = Vec::new();
    for (index, mut s) in sections.into_iter().enumerate() {
        let name = name(&mut s, &mut names, index);
        let thumbprint = listed(&mut s);
        let status = s.required("status", LISTINGS);
        if let Some(before) = thumbprint.and_then(|thumbprint| thumbprints.before(thumbprint, index)) {
            let other = certificates.iter().find(|listed| Some(listed.thumbprint) == thumbprint);
            let what = match (other.map(|listed| listed.status), status) {
                (Some(other), Some(status)) if other != status => {
                    format!(
                        "is that of {before} too: the certificate is listed both as authorized and as revoked"
                    )
                }
                _ => format!("is that of {before} too"),
            };
            s.report("thumbprint", what, "remove one of them".into());
        }
        problems.extend(s.finish());
        let there = name.zip(thumbprint).zip(status);
        certificates.extend(there.map(|((name, thumbprint), status)| ClientCertificate {
            name,
            thumbprint,
            status,
        }));
    }
    certificates
}

pub(super) fn read_users(sections: Vec<Section<'_>>, problems: &mut Vec<Problem>) -> Vec<User> {
    let mut names = Once::new("user");
    let mut users = Vec::new();
    for (index, mut s) in sections.into_iter().enumerate() {
        let name = name(&mut s, &mut names, index);
        // What was written may be the password itself: it is not repeated.
        let password = match s.string("password").map(str::parse::<StoredPassword>) {
            Some(Ok(password)) => Some(password),
            Some(Err(bad)) => {
                s.report("password", bad.to_string(), BadStoredPassword::REMEDY.into());
                None
            }
            None => {
                if !s.has("password") {
                    s.report("password", "is missing".into(), BadStoredPassword::REMEDY.into());
                }
                None
            }
        };
        problems.extend(s.finish());
        users.extend(name.zip(password).map(|(name, password)| User { name, password }));
    }
    users
}

pub(super) fn read_rule_settings(mut s: Section<'_>, problems: &mut Vec<Problem>) -> RuleSettings {
    let settings = RuleSettings {
        apply: s.choice("apply", RULES_APPLY),
        refused_publish_v3: s.choice("refused_publish_v3", REFUSED_PUBLISH),
    };
    problems.extend(s.finish());
    settings
}

/// The rules, each of them well formed; what is wrong with all of them together is reported too.
pub(super) fn read_rules(sections: Vec<Section<'_>>, problems: &mut Vec<Problem>) -> Vec<Rule> {
    let mut rules = Vec::new();
    let mut indices = Vec::new();
    for (index, mut s) in sections.into_iter().enumerate() {
        let rule = read_rule(&mut s);
        problems.extend(s.finish());
        if let Some(rule) = rule {
            rules.push(rule);
            indices.push(index);
        }
    }
    for wrong in Rules::compile(rules.clone()).err().into_iter().flatten() {
        let field = match wrong.field {
            RuleField::Client => "client",
            RuleField::Topic => "topic",
        };
        problems.push(Problem {
            path: format!("rule[{}].{field}", indices[wrong.index.0 as usize]),
            line: None,
            what: format!("rule {:?}: {}", wrong.name, wrong.what),
            remedy: wrong.remedy,
        });
    }
    rules
}

fn read_rule(s: &mut Section<'_>) -> Option<Rule> {
    let name = s.string("name").unwrap_or_default().to_owned();
    if !validate::is_name(&name) {
        s.report("name", "is not a name".into(), "write 1 to 256 bytes without control characters".into());
    }
    let access = s.required("access", ACCESSES);
    let client = s.required("client_match", MATCHES).zip(operand(s, "client_match", "client"));
    let topic = s.required("topic_match", MATCHES).zip(operand(s, "topic_match", "topic"));
    let client = client.map(|(how, text)| match how {
        Match::All => ClientMatch::All,
        Match::Specific => ClientMatch::Specific(text),
        Match::Pattern => ClientMatch::Pattern(text),
    });
    let topic = topic.map(|(how, text)| match how {
        Match::All => TopicMatch::All,
        Match::Specific => TopicMatch::Specific(text),
        Match::Pattern => TopicMatch::Pattern(text),
    });
    Some(Rule { name, access: access?, client: client?, topic: topic? })
}

/// What a rule finds clients or topics by: nothing, if all are meant.
fn operand(s: &mut Section<'_>, how: &'static str, field: &'static str) -> Option<String> {
    let text = s.string(field);
    match (s.string(how), text) {
        (Some("all"), Some(text)) if !text.is_empty() => {
            let what = format!("says something, and {how} is \"all\"");
            s.report(field, what, format!("remove it, or write {how} = \"specific\" or \"pattern\""));
            None
        }
        (Some("specific" | "pattern"), None) if !s.has(field) => {
            s.report(field, "is missing".into(), format!("write it, or {how} = \"all\""));
            None
        }
        (_, text) => Some(text.unwrap_or_default().to_owned()),
    }
}

/// The name of an entry: there, fit to be shown, and nobody else's.
pub(super) fn name(s: &mut Section<'_>, names: &mut Once<String>, index: usize) -> Option<String> {
    let Some(name) = s.string("name") else {
        if !s.has("name") {
            s.report("name", "is missing".into(), "write `name = \"...\"`".into());
        }
        return None;
    };
    if !validate::is_name(name) {
        let what = format!("{name:?} is not a name");
        s.report("name", what, "write 1 to 256 bytes without control characters".into());
    }
    if let Some(before) = names.before(name.to_owned(), index) {
        s.report(
            "name",
            format!("{name:?} is the name of {before} too"),
            "give it another name, or remove it".into(),
        );
    }
    Some(name.to_owned())
}

/// The thumbprint of an entry.
fn listed(s: &mut Section<'_>) -> Option<Thumbprint> {
    match s.string("thumbprint") {
        Some(text) => thumbprint(s, "thumbprint", text, THUMBPRINT),
        None => {
            if !s.has("thumbprint") {
                s.report("thumbprint", "is missing".into(), THUMBPRINT.into());
            }
            None
        }
    }
}

fn thumbprint(s: &mut Section<'_>, field: &'static str, text: &str, remedy: &str) -> Option<Thumbprint> {
    const SHA1_DIGITS: usize = 40;
    let thumbprint = text.parse().ok();
    if thumbprint.is_none() {
        let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
        let why =
            if digits == SHA1_DIGITS { "a SHA-1 thumbprint, not a SHA-256 one" } else { "not a thumbprint" };
        s.report(field, format!("`{text}` is {why}"), remedy.into());
    }
    thumbprint
}
