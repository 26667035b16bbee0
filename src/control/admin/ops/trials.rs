//! Topic rules, tried and looked over: what the judge says, as data and as the text of `tidemq rules`. It judges nothing
//! itself.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::desk::Desk;
use super::super::problem::Problem;
use super::editing::OfDraft;
use super::rules::{RuleAccess, Which, configured};
use crate::control::rules::tried::{Tried, compiled, tried};
use crate::policy::rules::{Action, Decided, Finding, Oddity, Passed, RuleField, WhyNot};

/// What a client wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::control) enum RuleAction {
    Publish,
    Subscribe,
}

/// What is to be tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::control) struct RuleTest {
    /// The client's name: the Common Name of its certificate. Empty: it has none.
    #[serde(default)]
    pub(in crate::control) client: String,
    pub(in crate::control) action: RuleAction,
    /// The topic that it publishes to, or the filter that it subscribes with.
    pub(in crate::control) topic: String,
    /// By which rules.
    #[serde(default)]
    pub(in crate::control) of: Which,
}

/// Whether a client may, and why.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct RuleVerdict {
    pub(in crate::control) allowed: bool,
    /// It may subscribe, and each message is then judged by its own topic.
    pub(in crate::control) judged_at_delivery: bool,
    /// The rule that decides; `null`: none matches, or none is asked.
    pub(in crate::control) decided: Option<DecidingRule>,
    /// Every rule before that, or every rule, and why it does not decide.
    pub(in crate::control) passed: Vec<PassedRule>,
    /// Why it is refused whatever the rules say.
    pub(in crate::control) fault: Option<String>,
    /// Whether the rules apply at all.
    pub(in crate::control) rules_apply: bool,
    /// Why they do not.
    pub(in crate::control) note: Option<String>,
    /// All of it as `tidemq rules test` prints it.
    pub(in crate::control) text: String,
}

/// The rule that decides.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct DecidingRule {
    /// Its place, from 1.
    pub(in crate::control) position: usize,
    pub(in crate::control) name: String,
    pub(in crate::control) access: RuleAccess,
    /// Its topic as written; `null`: all.
    pub(in crate::control) topic: Option<String>,
    /// The same with the client's name in it, if that changes it.
    pub(in crate::control) expanded: Option<String>,
}

/// A rule that does not decide.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct PassedRule {
    /// Its place, from 1.
    pub(in crate::control) position: usize,
    pub(in crate::control) name: String,
    pub(in crate::control) kind: PassedKind,
    /// The same for people.
    pub(in crate::control) sentence: String,
}

/// Why a rule does not decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::control) enum PassedKind {
    /// It is about other clients.
    OtherClient,
    /// It is about other topics.
    OtherTopic,
    /// Its topic holds the placeholder, and the client's name cannot stand in a topic.
    NameUnfit,
    /// It matches some of the topics of the subscription and not all, and grants reading.
    Overlaps,
    /// It matches some of them and does not grant reading: each message is judged by its own topic.
    OverlapsRefusing,
}

/// Something odd about a rule.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct RuleFinding {
    /// Its place, from 1.
    pub(in crate::control) position: usize,
    pub(in crate::control) name: String,
    pub(in crate::control) kind: FindingKind,
    /// The place of the rule that decides in its stead, for `shadowed`.
    pub(in crate::control) by: Option<usize>,
    /// The field that is to blame, for `suspicious`: `client` or `topic`.
    pub(in crate::control) field: Option<String>,
    /// What it is, for people.
    pub(in crate::control) sentence: String,
}

/// What may be odd about a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::control) enum FindingKind {
    /// An earlier rule matches all that it matches: it never decides.
    Shadowed,
    /// It matches nothing.
    NeverMatches,
    /// What it grants is never of use.
    GrantsInVain,
    /// It probably does not say what was meant.
    Suspicious,
}

/// Tries whether a client may act on a topic.
pub(in crate::control) async fn test(desk: &Desk, asked: RuleTest) -> Result<OfDraft<RuleVerdict>, Problem> {
    let RuleTest { client, action, topic, of } = asked;
    let configured = configured(desk, of).await?;
    let action = match action {
        RuleAction::Publish => Action::Publish,
        RuleAction::Subscribe => Action::Subscribe,
    };
    // Compiling very many rules takes long.
    desk.aside(move || {
        configured.map(|config| verdict(tried(&config, &client, action, &topic), config.rules_apply()))
    })
    .await
}

/// What is odd about the rules.
pub(in crate::control) async fn lint(desk: &Desk, of: Which) -> Result<OfDraft<Vec<RuleFinding>>, Problem> {
    let configured = configured(desk, of).await?;
    desk.aside(move || {
        configured.map(|config| compiled(&config).lint().into_iter().map(RuleFinding::from).collect())
    })
    .await
}

/// A verdict and its reasons, as values.
pub(in crate::control) fn verdict(tried: Tried, rules_apply: bool) -> RuleVerdict {
    let (allowed, text) = (tried.allowed(), tried.text());
    let note = tried.note.map(str::to_owned);
    let never = tried.never.map(str::to_owned);
    let Some(explanation) = tried.explanation else {
        let (decided, passed) = (None, Vec::new());
        return RuleVerdict {
            allowed,
            judged_at_delivery: false,
            decided,
            passed,
            fault: never,
            rules_apply,
            note,
            text,
        };
    };
    RuleVerdict {
        allowed,
        judged_at_delivery: explanation.judged_at_delivery,
        decided: explanation.decided.map(DecidingRule::from),
        passed: explanation.passed.into_iter().map(PassedRule::from).collect(),
        fault: explanation.fault.or(never),
        rules_apply,
        note,
        text,
    }
}

impl From<Decided> for DecidingRule {
    fn from(decided: Decided) -> DecidingRule {
        let Decided { rule, name, access, topic, expanded } = decided;
        DecidingRule { position: rule.position(), name, access: access.into(), topic, expanded }
    }
}

impl From<Passed> for PassedRule {
    fn from(Passed { rule, name, why }: Passed) -> PassedRule {
        let kind = match &why {
            WhyNot::Client(_) => PassedKind::OtherClient,
            WhyNot::Topic(_) => PassedKind::OtherTopic,
            WhyNot::NameUnfit(_) => PassedKind::NameUnfit,
            WhyNot::Overlaps { refuses_reading: false, .. } => PassedKind::Overlaps,
            WhyNot::Overlaps { refuses_reading: true, .. } => PassedKind::OverlapsRefusing,
        };
        PassedRule { position: rule.position(), name, kind, sentence: why.to_string() }
    }
}

impl From<Finding> for RuleFinding {
    fn from(finding: Finding) -> RuleFinding {
        let (kind, by, field) = match &finding.oddity {
            Oddity::Shadowed(by) => (FindingKind::Shadowed, Some(by.position()), None),
            Oddity::NeverMatches(_) => (FindingKind::NeverMatches, None, None),
            Oddity::GrantsInVain(_) => (FindingKind::GrantsInVain, None, None),
            Oddity::Suspicious(RuleField::Client, _) => (FindingKind::Suspicious, None, Some("client")),
            Oddity::Suspicious(RuleField::Topic, _) => (FindingKind::Suspicious, None, Some("topic")),
        };
        RuleFinding {
            position: finding.rule.position(),
            name: finding.name,
            kind,
            by,
            field: field.map(str::to_owned),
            sentence: finding.oddity.to_string(),
        }
    }
}
