//! Topic rules: listed, edited in the draft, moved. What they mean is for `trials`.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::desk::Desk;
use super::super::problem::Problem;
use super::editing::{self, OfDraft};
use crate::control::config::{Config, Match};
use crate::control::rules::written::{TABLE, Written};
use crate::policy::rules::{Access, Rule};

/// Which configuration is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::control) enum Which {
    /// The configuration file as it stands.
    #[default]
    Draft,
    /// What is in force.
    Applied,
}

/// Of which configuration something is asked.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::control) struct WhichAsked {
    /// `draft`: the configuration file as it stands; `applied`: what is in force.
    pub(in crate::control) of: Which,
}

/// What a rule grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::control) enum RuleAccess {
    /// Nothing.
    Deny,
    /// To subscribe.
    Read,
    /// To publish.
    Write,
    /// Both.
    ReadWrite,
}

/// How a rule finds clients or topics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::control) enum RuleMatch {
    /// All of them.
    #[default]
    All,
    /// The client with this name; topics that this filter matches.
    Specific,
    /// Clients of which the whole name matches this regular expression; topics that this filter matches with
    /// `{%client%}` replaced by the client's name.
    Pattern,
}

/// A topic rule in its place. The first that matches a client and a topic decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct RuleShown {
    /// Its place, from 1.
    pub(in crate::control) position: usize,
    /// What people call it; two rules may have the same.
    pub(in crate::control) name: String,
    /// "Topic Access"
    pub(in crate::control) access: RuleAccess,
    /// "Client Match"
    pub(in crate::control) client_match: RuleMatch,
    /// "Client": empty if all match.
    pub(in crate::control) client: String,
    /// "Topic Match"
    pub(in crate::control) topic_match: RuleMatch,
    /// "Topic": empty if all match.
    pub(in crate::control) topic: String,
}

/// How often topic rules have decided about what clients did: publish, leave a will, subscribe. Deliveries are not
/// counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct RuleHitsShown {
    /// Since this generation was applied: from then on the rules have stayed the same.
    pub(in crate::control) since_generation: u64,
    /// The applied rules in their order; empty if they do not apply.
    pub(in crate::control) rules: Vec<RuleHit>,
    /// How often none of them matched, and access was denied.
    pub(in crate::control) no_rule: u64,
}

/// How often a topic rule has decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct RuleHit {
    /// Its place, from 1.
    pub(in crate::control) position: usize,
    pub(in crate::control) name: String,
    /// How often it has.
    pub(in crate::control) decided: u64,
}

/// A topic rule as it is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::control) struct RuleGiven {
    /// What people call it.
    pub(in crate::control) name: String,
    /// "Topic Access"
    pub(in crate::control) access: RuleAccess,
    /// "Client Match"
    #[serde(default)]
    pub(in crate::control) client_match: RuleMatch,
    /// "Client": nothing if all match.
    #[serde(default)]
    pub(in crate::control) client: String,
    /// "Topic Match"
    #[serde(default)]
    pub(in crate::control) topic_match: RuleMatch,
    /// "Topic": nothing if all match.
    #[serde(default)]
    pub(in crate::control) topic: String,
}

/// Where a rule goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::control) struct RuleMove {
    /// The position that it then has, from 1.
    #[schema(minimum = 1)]
    pub(in crate::control) to: usize,
}

impl From<RuleAccess> for Access {
    fn from(access: RuleAccess) -> Access {
        match access {
            RuleAccess::Deny => Access::Deny,
            RuleAccess::Read => Access::Read,
            RuleAccess::Write => Access::Write,
            RuleAccess::ReadWrite => Access::ReadWrite,
        }
    }
}

impl From<Access> for RuleAccess {
    fn from(access: Access) -> RuleAccess {
        match access {
            Access::Deny => RuleAccess::Deny,
            Access::Read => RuleAccess::Read,
            Access::Write => RuleAccess::Write,
            Access::ReadWrite => RuleAccess::ReadWrite,
        }
    }
}

impl From<RuleMatch> for Match {
    fn from(how: RuleMatch) -> Match {
        match how {
            RuleMatch::All => Match::All,
            RuleMatch::Specific => Match::Specific,
            RuleMatch::Pattern => Match::Pattern,
        }
    }
}

impl From<Match> for RuleMatch {
    fn from(how: Match) -> RuleMatch {
        match how {
            Match::All => RuleMatch::All,
            Match::Specific => RuleMatch::Specific,
            Match::Pattern => RuleMatch::Pattern,
        }
    }
}

impl RuleShown {
    fn of(index: usize, rule: &Rule) -> RuleShown {
        let (client_match, client) = Match::of_client(&rule.client);
        let (topic_match, topic) = Match::of_topic(&rule.topic);
        RuleShown {
            position: index + 1,
            name: rule.name.clone(),
            access: rule.access.into(),
            client_match: client_match.into(),
            client: client.to_owned(),
            topic_match: topic_match.into(),
            topic: topic.to_owned(),
        }
    }

    /// Each in its place.
    pub(in crate::control) fn all(rules: &[Rule]) -> Vec<RuleShown> {
        rules.iter().enumerate().map(|(index, rule)| RuleShown::of(index, rule)).collect()
    }
}

impl RuleGiven {
    fn fields(&self) -> Vec<(&'static str, toml_edit::Value)> {
        let side = |how: RuleMatch, text| -> (Match, Option<&str>) {
            // What is empty and not asked for is not written.
            let text: &String = text;
            (how.into(), (how != RuleMatch::All || !text.is_empty()).then_some(text.as_str()))
        };
        Written {
            name: &self.name,
            access: self.access.into(),
            client: side(self.client_match, &self.client),
            topic: side(self.topic_match, &self.topic),
        }
        .fields()
    }

    fn at(self, position: usize) -> RuleShown {
        let RuleGiven { name, access, client_match, client, topic_match, topic } = self;
        RuleShown { position, name, access, client_match, client, topic_match, topic }
    }
}

/// The configuration that is asked about.
pub(super) async fn configured(desk: &Desk, which: Which) -> Result<OfDraft<Config>, Problem> {
    match which {
        Which::Applied => {
            let config = desk.ask(|control| control.applied().config.clone()).await?;
            Ok(OfDraft { answer: config, hash: None })
        }
        Which::Draft => editing::read(desk, |draft| draft.config).await,
    }
}

/// The rules in their order.
pub(in crate::control) async fn list(desk: &Desk, of: Which) -> Result<OfDraft<Vec<RuleShown>>, Problem> {
    Ok(configured(desk, of).await?.map(|config| RuleShown::all(&config.rules)))
}

/// How often the applied rules have decided.
pub(in crate::control) async fn hits(desk: &Desk) -> Result<RuleHitsShown, Problem> {
    desk.ask(|control| {
        let hits = control.running.as_ref().map(|running| running.node().rule_hits()).unwrap_or_default();
        let rules = control.applied().config.rules.iter().zip(hits.by_rule).enumerate();
        let rules = rules.map(|(index, (rule, decided))| RuleHit {
            position: index + 1,
            name: rule.name.clone(),
            decided,
        });
        RuleHitsShown { since_generation: hits.since.0, rules: rules.collect(), no_rule: hits.no_rule }
    })
    .await
}

/// Adds a rule at a position from 1; without one, behind the others.
pub(in crate::control) async fn add(
    desk: &Desk,
    rule: RuleGiven,
    at: Option<usize>,
    expected: Option<String>,
) -> Result<OfDraft<RuleShown>, Problem> {
    editing::edit(desk, expected, move |edit, draft| {
        let behind = draft.config.rules.len() + 1;
        let position = at.unwrap_or(behind);
        if !(1..=behind).contains(&position) {
            return Err(no_place(position, behind));
        }
        edit.insert(TABLE, position - 1, &rule.fields())?;
        Ok(rule.at(position))
    })
    .await
}

/// Puts another rule in the place of one.
pub(in crate::control) async fn change(
    desk: &Desk,
    position: usize,
    rule: RuleGiven,
    expected: Option<String>,
) -> Result<OfDraft<RuleShown>, Problem> {
    editing::edit(desk, expected, move |edit, draft| {
        let index = found(&draft.config, position)?;
        edit.replace_at(TABLE, index, &rule.fields())?;
        Ok(rule.at(position))
    })
    .await
}

/// Removes a rule.
pub(in crate::control) async fn remove(
    desk: &Desk,
    position: usize,
    expected: Option<String>,
) -> Result<OfDraft<()>, Problem> {
    editing::edit(desk, expected, move |edit, draft| {
        Ok(edit.remove_at(TABLE, found(&draft.config, position)?)?)
    })
    .await
}

/// Moves a rule to another position.
pub(in crate::control) async fn move_to(
    desk: &Desk,
    position: usize,
    RuleMove { to }: RuleMove,
    expected: Option<String>,
) -> Result<OfDraft<RuleShown>, Problem> {
    editing::edit(desk, expected, move |edit, draft| {
        let rules = &draft.config.rules;
        let index = found(&draft.config, position)?;
        if !(1..=rules.len()).contains(&to) {
            return Err(no_place(to, rules.len()));
        }
        edit.move_to(TABLE, index, to - 1)?;
        Ok(RuleShown::of(to - 1, &rules[index]))
    })
    .await
}

fn found(config: &Config, position: usize) -> Result<usize, Problem> {
    let index = position.checked_sub(1).filter(|index| *index < config.rules.len());
    index.ok_or_else(|| {
        Problem::not_found(format!("there is no rule {position}"))
            .remedy("read the list again: somebody may have removed or moved it")
    })
}

fn no_place(position: usize, last: usize) -> Problem {
    let detail = format!("a rule cannot be at position {position}");
    Problem::not_taken("no-such-place", detail).remedy(&format!("give a position from 1 to {last}"))
}
