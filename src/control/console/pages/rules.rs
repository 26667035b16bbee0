//! Topic Access Rules: listed, edited in the draft, moved, tried.

use std::collections::HashMap;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::settings::{form, saved};
use super::{Shown, rule_tests};
use crate::control::admin::ops;
use crate::control::admin::ops::rules::{
    RuleAccess, RuleGiven, RuleHitsShown, RuleMatch, RuleMove, RuleShown, Which,
};
use crate::control::admin::ops::trials::{DecidingRule, RuleAction, RuleFinding, RuleTest, RuleVerdict};
use crate::control::admin::problem::Problem;
use crate::control::console::Console;
use crate::control::console::frame::{Fields, Visit, outside};
use crate::control::console::text::{Foreign, plural};
use crate::control::console::trouble::{Trouble, flaw, shown, told};
use crate::control::console::views::rules::{
    Access, Action, Answer, Editor, Kind, Matching, RuleRow, RulesPage, Test,
};
use crate::control::console::views::shell::{Notice, Page};

const PATH: &str = "/configuration/topic-access-rules";

pub(super) fn router() -> Router<Console> {
    Router::new()
        .route(PATH, get(list))
        .route("/configuration/topic-access-rules/add", post(add))
        .route("/configuration/topic-access-rules/edit", post(edit))
        .route("/configuration/topic-access-rules/move", post(move_to))
        .route("/configuration/topic-access-rules/remove", post(remove))
        .route("/configuration/topic-access-rules/settings", post(settings))
}

/// What was typed and not taken.
struct Typed {
    editor: Editor,
    problem: Problem,
}

async fn list(visit: Visit) -> Shown {
    let notice = visit.notice();
    Ok(shown(&page(&visit, None, notice).await?))
}

async fn page(visit: &Visit, typed: Option<Typed>, mut notice: Option<Notice>) -> Result<RulesPage, Trouble> {
    let desk = &visit.app().desk;
    let (form, flaws) = form(visit).await?;
    let applied = ops::rules::list(desk, Which::Applied).await?.answer;
    let drafted = ops::rules::list(desk, Which::Draft).await.map(|of| of.answer);
    let findings = ops::trials::lint(desk, Which::Draft).await.map(|of| of.answer).unwrap_or_default();
    let rules = drafted.unwrap_or_else(|problem| {
        // The draft cannot be read: what is in force is better than nothing, and it is said.
        notice.get_or_insert(told(&problem));
        applied.clone()
    });
    let last = rules.len();
    let hits = ops::rules::hits(desk).await?;
    let mut by_name: HashMap<&str, Vec<&RuleShown>> = HashMap::new();
    applied.iter().for_each(|rule| by_name.entry(&rule.name).or_default().push(rule));
    let mut rows: Vec<RuleRow> = rules
        .iter()
        .map(|rule| RuleRow {
            hits: by_name.get(rule.name.as_str()).and_then(|same| decided(rule, same, &hits)),
            ..row(rule, rule.position == last, applied.get(rule.position - 1) != Some(rule), &findings)
        })
        .collect();
    let mut blank = Editor {
        client: matching("client", RuleMatch::All, ""),
        topic: matching("topic", RuleMatch::All, ""),
        ..Editor::default()
    };
    if let Some(Typed { editor, problem }) = typed {
        let problems: Vec<Foreign> = match problem.problems.as_ref() {
            [] => vec![told(&problem).text],
            flaws => flaws.iter().map(flaw).collect(),
        };
        match editor.index.and_then(|index| rows.get_mut(index)) {
            Some(row) => {
                let Editor { name, access, client, topic, .. } = editor;
                (row.name, row.access, row.client, row.topic) = (name, access, client, topic);
                (row.open, row.problems, row.findings) = (true, problems, Vec::new());
            }
            None => blank = Editor { problems, ..editor },
        }
    }
    let banners = flaws.iter().filter(|flaw| flaw.path.starts_with("rule")).map(flaw).collect();
    let test = test(visit).await;
    let tests = rule_tests::kept(visit).await?;
    Ok(RulesPage {
        shell: visit.shell_saying(Page::TopicAccessRules, notice).await?,
        form,
        banners,
        counted: counted(&hits),
        rules: rows,
        blank,
        test,
        tests,
    })
}

/// How often a rule of the draft has decided, wherever it stands among the applied ones; `named` are those of its name.
fn decided(rule: &RuleShown, named: &[&RuleShown], hits: &RuleHitsShown) -> Option<String> {
    let same =
        named.iter().find(|other| RuleShown { position: rule.position, ..(**other).clone() } == *rule)?;
    let hit = hits.rules.get(same.position - 1)?;
    Some(match hit.decided {
        0 => "has not decided yet".into(),
        decided => format!("decided {}", plural(decided, "time", "times")),
    })
}

/// What the numbers of times mean.
fn counted(hits: &RuleHitsShown) -> String {
    if hits.rules.is_empty() {
        return String::new();
    }
    format!(
        "Counted are publishes, wills and subscriptions since generation {}; no rule matched {}.",
        hits.since_generation,
        plural(hits.no_rule, "time", "times")
    )
}

fn row(rule: &RuleShown, last: bool, changed: bool, findings: &[RuleFinding]) -> RuleRow {
    let of_it = findings.iter().filter(|finding| finding.position == rule.position);
    RuleRow {
        index: rule.position - 1,
        last,
        name: outside(&rule.name),
        access: access(rule.access),
        client: matching("client", rule.client_match, &rule.client),
        topic: matching("topic", rule.topic_match, &rule.topic),
        findings: of_it.map(|finding| outside(&finding.sentence)).collect(),
        hits: None,
        changed,
        open: false,
        problems: Vec::new(),
    }
}

fn access(access: RuleAccess) -> Access {
    match access {
        RuleAccess::Deny => Access::Deny,
        RuleAccess::Read => Access::Read,
        RuleAccess::Write => Access::Write,
        RuleAccess::ReadWrite => Access::ReadWrite,
    }
}

fn matching(what: &'static str, how: RuleMatch, text: &str) -> Matching {
    let kind = match how {
        RuleMatch::All => Kind::All,
        RuleMatch::Specific => Kind::Specific,
        RuleMatch::Pattern => Kind::Pattern,
    };
    Matching { what, kind, text: outside(text) }
}

/// The test that the URL asks for.
async fn test(visit: &Visit) -> Test {
    let (client, topic) = (outside(visit.asked("client")), outside(visit.asked("topic")));
    let action = if visit.asked("action") == "subscribe" { Action::Subscribe } else { Action::Publish };
    if topic.is_empty() {
        return Test { client, action, topic, draft: None, applied: None };
    }
    let ask = |of: Which| RuleTest {
        client: client.raw().to_owned(),
        action: match action {
            Action::Publish => RuleAction::Publish,
            Action::Subscribe => RuleAction::Subscribe,
        },
        topic: topic.raw().to_owned(),
        of,
    };
    let desk = &visit.app().desk;
    let draft = ops::trials::test(desk, ask(Which::Draft)).await;
    let applied = ops::trials::test(desk, ask(Which::Applied)).await;
    let answered = |verdict: Result<ops::editing::OfDraft<RuleVerdict>, Problem>| match verdict {
        Ok(of) => answer(of.answer),
        Err(problem) => Answer {
            allowed: false,
            rule: None,
            decided: told(&problem).text,
            passed: Vec::new(),
            notes: Vec::new(),
        },
    };
    Test { client, action, topic, draft: Some(answered(draft)), applied: Some(answered(applied)) }
}

fn answer(verdict: RuleVerdict) -> Answer {
    let decided = match (&verdict.fault, &verdict.decided) {
        (Some(fault), _) => fault.clone(),
        (None, Some(decided)) => deciding(decided),
        (None, None) => "no rule matches".into(),
    };
    let passed = verdict
        .passed
        .iter()
        .map(|passed| outside(format!("rule {} “{}”: {}", passed.position, passed.name, passed.sentence)));
    let delivery = verdict.judged_at_delivery.then(|| "each message is judged by its own topic".to_owned());
    Answer {
        allowed: verdict.allowed,
        rule: verdict.decided.as_ref().map(|decided| decided.position - 1),
        decided: outside(decided),
        passed: passed.collect(),
        notes: delivery.into_iter().chain(verdict.note).map(outside).collect(),
    }
}

fn deciding(decided: &DecidingRule) -> String {
    let DecidingRule { position, name, access: granted, topic, expanded } = decided;
    let topic = topic.as_deref().unwrap_or("any topic");
    let expanded = expanded.as_ref().map(|expanded| format!(" = {expanded}")).unwrap_or_default();
    format!("rule {position} “{name}” ({}): {topic}{expanded}", access(*granted).name())
}

/// A rule as it was typed.
fn given(fields: &Fields) -> RuleGiven {
    let how = |name: &str| match Kind::keyed(fields.text(name)) {
        Kind::All => RuleMatch::All,
        Kind::Specific => RuleMatch::Specific,
        Kind::Pattern => RuleMatch::Pattern,
    };
    let text = |how: RuleMatch, name: &str| match how {
        RuleMatch::All => String::new(),
        _ => fields.text(name).to_owned(),
    };
    let (client_match, topic_match) = (how("client_match"), how("topic_match"));
    RuleGiven {
        name: fields.text("name").trim().to_owned(),
        access: match Access::keyed(fields.text("access")) {
            Access::Deny => RuleAccess::Deny,
            Access::Read => RuleAccess::Read,
            Access::Write => RuleAccess::Write,
            Access::ReadWrite => RuleAccess::ReadWrite,
        },
        client_match,
        client: text(client_match, "client"),
        topic_match,
        topic: text(topic_match, "topic"),
    }
}

/// The page again, with what was typed and what is wrong with it.
async fn again(visit: &Visit, index: Option<usize>, rule: RuleGiven, problem: Problem) -> Shown {
    let editor = Editor {
        index,
        name: outside(&rule.name),
        access: access(rule.access),
        client: matching("client", rule.client_match, &rule.client),
        topic: matching("topic", rule.topic_match, &rule.topic),
        problems: Vec::new(),
    };
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
    let notice = Notice::bad("The rule was not taken: see what is said below it.");
    let page = page(visit, Some(Typed { editor, problem }), Some(notice)).await?;
    Ok((status, shown(&page)).into_response())
}

async fn add(visit: Visit, fields: Fields) -> Shown {
    let rule = given(&fields);
    match ops::rules::add(&visit.app().desk, rule.clone(), None, fields.etag()).await {
        Ok(of) => {
            let place = format!("{PATH}#rule-{}", of.answer.position);
            Ok(visit.to(&place, Notice::good("The rule is in the draft.")))
        }
        Err(problem) => again(&visit, None, rule, problem).await,
    }
}

async fn edit(visit: Visit, fields: Fields) -> Shown {
    let rule = given(&fields);
    let index: usize = fields.number("index").map_err(Trouble)?;
    match ops::rules::change(&visit.app().desk, index + 1, rule.clone(), fields.etag()).await {
        Ok(_) => Ok(visit
            .to(&format!("{PATH}#rule-{}", index + 1), Notice::good("The rule is changed in the draft."))),
        Err(problem) => again(&visit, Some(index), rule, problem).await,
    }
}

async fn move_to(visit: Visit, fields: Fields) -> Shown {
    let (from, to): (usize, usize) =
        (fields.number("index").map_err(Trouble)?, fields.number("to").map_err(Trouble)?);
    let moved =
        ops::rules::move_to(&visit.app().desk, from + 1, RuleMove { to: to + 1 }, fields.etag()).await;
    let place = format!("{PATH}#rule-{}", to + 1);
    Ok(visit.done(&place, moved.map(|of| Notice::good(format!("It is rule {} now.", of.answer.position)))))
}

async fn remove(visit: Visit, fields: Fields) -> Shown {
    let index: usize = fields.number("index").map_err(Trouble)?;
    let removed = ops::rules::remove(&visit.app().desk, index + 1, fields.etag()).await;
    Ok(visit.done(PATH, removed.map(|_| Notice::good("The rule is removed from the draft."))))
}

async fn settings(visit: Visit, fields: Fields) -> Response {
    visit.done(PATH, saved(&visit, &fields).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_matches_all_has_nothing_to_match_by() {
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let fields = Fields(vec![
            field("name", " t "),
            field("access", "write"),
            field("client_match", "all"),
            field("client", "left over"),
            field("topic_match", "pattern"),
            field("topic", "/{%client%}/t"),
        ]);
        let rule = given(&fields);
        assert_eq!(
            (rule.name.as_str(), rule.client.as_str(), rule.topic.as_str()),
            ("t", "", "/{%client%}/t")
        );
        assert_eq!((rule.access, rule.topic_match), (RuleAccess::Write, RuleMatch::Pattern));
    }

    #[test]
    fn the_sources_example_is_explained_as_the_product_says() {
        let decided = DecidingRule {
            position: 3,
            name: "temperatures".into(),
            access: RuleAccess::Write,
            topic: Some("/{%client%}/temperature".into()),
            expanded: Some("/device1/temperature".into()),
        };
        assert_eq!(
            deciding(&decided),
            "rule 3 “temperatures” (Write): /{%client%}/temperature = /device1/temperature"
        );
    }
}
