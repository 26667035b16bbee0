//! Topic rules.

use super::super::rules::*;
use super::super::trials::{self, FindingKind, PassedKind, RuleAction, RuleTest};
use super::*;

fn rule(name: &str) -> RuleGiven {
    RuleGiven {
        name: name.into(),
        access: RuleAccess::Read,
        client_match: RuleMatch::All,
        client: String::new(),
        topic_match: RuleMatch::Specific,
        topic: "a/#".into(),
    }
}

impl Place {
    async fn names(&self) -> Vec<String> {
        let listed = list(&self.desk, Which::Draft).await.unwrap();
        assert_eq!(listed.hash, self.tag());
        let positions: Vec<usize> = listed.answer.iter().map(|rule| rule.position).collect();
        assert_eq!(positions, (1..=positions.len()).collect::<Vec<_>>());
        listed.answer.into_iter().map(|rule| rule.name).collect()
    }

    async fn with_rules(names: &[&str]) -> Place {
        let place = Place::new();
        for name in names {
            add(&place.desk, rule(name), None, None).await.unwrap();
        }
        place
    }
}

#[tokio::test]
async fn rules_are_added_moved_and_removed_where_one_says() {
    let place = Place::with_rules(&["one", "two"]).await;
    let added = add(&place.desk, rule("first"), Some(1), place.tag()).await.unwrap();
    assert_eq!((added.answer.position, added.hash), (1, place.tag()));
    assert_eq!(place.names().await, ["first", "one", "two"]);
    let moved = move_to(&place.desk, 1, RuleMove { to: 3 }, place.tag()).await.unwrap();
    assert_eq!((moved.answer.position, moved.answer.name.as_str()), (3, "first"));
    assert_eq!(place.names().await, ["one", "two", "first"]);
    let gone = remove(&place.desk, 2, place.tag()).await.unwrap();
    assert_eq!(gone.hash, place.tag());
    assert_eq!(place.names().await, ["one", "first"]);
}

#[tokio::test]
async fn a_rule_that_is_changed_keeps_the_words_around_it_and_nothing_of_what_it_said() {
    let place = Place::with(
        "# above\n[[rule]]\nname = \"old\" # mine\naccess = \"deny\"\nclient_match = \"specific\"\nclient = \"x\"\n\
         topic_match = \"all\"\n",
    );
    let changed = change(&place.desk, 1, rule("new"), place.tag()).await.unwrap().answer;
    let listed = list(&place.desk, Which::Draft).await.unwrap().answer;
    assert_eq!(listed, [changed]);
    assert_eq!((listed[0].client_match, listed[0].client.as_str()), (RuleMatch::All, ""));
    let text = place.text();
    assert!(text.starts_with("# above\n[[rule]]\nname = \"new\" # mine\n"), "{text}");
    assert!(!text.contains("client ="), "{text}");
}

#[tokio::test]
async fn a_draft_that_somebody_else_has_changed_is_left_as_it_is() {
    let place = Place::with_rules(&["one"]).await;
    let before = place.text();
    let desk = &place.desk;
    for refusal in [
        refused(add(desk, rule("x"), None, stale()).await),
        refused(change(desk, 1, rule("x"), stale()).await),
        refused(remove(desk, 1, stale()).await),
        refused(move_to(desk, 1, RuleMove { to: 1 }, stale()).await),
    ] {
        assert_eq!((refusal.0, refusal.1.as_str()), (412, "tidemq:changed"));
    }
    assert_eq!(place.text(), before);
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_its_place() {
    let place = Place::with_rules(&["one"]).await;
    let (before, desk) = (place.text(), &place.desk);
    for nowhere in [0, 2, usize::MAX] {
        assert_eq!(refused(change(desk, nowhere, rule("x"), None).await).0, 404);
        assert_eq!(refused(remove(desk, nowhere, None).await).0, 404);
        assert_eq!(refused(move_to(desk, nowhere, RuleMove { to: 1 }, None).await).0, 404);
        assert_eq!(refused(move_to(desk, 1, RuleMove { to: nowhere }, None).await).0, 422);
    }
    assert_eq!(refused(add(desk, rule("x"), Some(0), None).await).0, 422);
    assert_eq!(refused(add(desk, rule("x"), Some(3), None).await).0, 422);
    for (bad, path) in [
        (RuleGiven { topic: "a/#/b".into(), ..rule("x") }, "rule[1].topic: "),
        (RuleGiven { topic: String::new(), ..rule("x") }, "rule[1].topic: "),
        (RuleGiven { client: "x".into(), ..rule("x") }, "rule[1].client: "),
        (RuleGiven { client_match: RuleMatch::Pattern, client: "(".into(), ..rule("x") }, "rule[1].client: "),
        (rule(""), "rule[1].name: "),
        (rule("line\nbreak"), "rule[1].name: "),
    ] {
        let (status, kind, said) = refused(add(desk, bad, None, None).await);
        assert_eq!((status, kind.as_str()), (422, "tidemq:invalid-configuration"));
        assert!(said.contains(path), "{said}");
    }
    assert_eq!(place.text(), before);
    // Nobody sits at the desk who would know what is in force.
    assert_eq!(list(desk, Which::Applied).await.unwrap_err().status, 503);
}

#[tokio::test]
async fn names_are_text_and_nothing_else() {
    let place = Place::with_rules(&HOSTILE).await;
    assert_eq!(place.names().await, HOSTILE);
    let asked = RuleTest {
        client: HOSTILE[0].into(),
        action: RuleAction::Subscribe,
        topic: "b".into(),
        of: Which::Draft,
    };
    let verdict = trials::test(&place.desk, asked).await.unwrap().answer;
    assert_eq!(verdict.passed[0].name, HOSTILE[0]);
}

#[tokio::test]
async fn a_test_says_who_decides_and_why_the_others_do_not() {
    let place = Place::with("[rules]\napply = \"always\"\n");
    let pattern = |access, client: &str, topic: &str| RuleGiven {
        name: topic.into(),
        access,
        client_match: RuleMatch::Pattern,
        client: client.into(),
        topic_match: RuleMatch::Pattern,
        topic: topic.into(),
    };
    for given in [
        pattern(RuleAccess::Write, "x.*", "a"),
        pattern(RuleAccess::Deny, ".*", "secret/#"),
        pattern(RuleAccess::Write, "dev.*", "/{%client%}/t"),
    ] {
        add(&place.desk, given, None, None).await.unwrap();
    }
    let ask = |action, topic: &str| RuleTest {
        client: "dev1".into(),
        action,
        topic: topic.into(),
        of: Which::Draft,
    };
    let may = trials::test(&place.desk, ask(RuleAction::Publish, "/dev1/t")).await.unwrap().answer;
    let decided = may.decided.unwrap();
    assert!(may.allowed && may.rules_apply && may.note.is_none() && may.fault.is_none());
    assert_eq!((decided.position, decided.access), (3, RuleAccess::Write));
    assert_eq!(decided.expanded.as_deref(), Some("/dev1/t"));
    let kinds: Vec<PassedKind> = may.passed.iter().map(|passed| passed.kind).collect();
    assert_eq!(kinds, [PassedKind::OtherClient, PassedKind::OtherTopic]);
    assert!(may.text.starts_with("ALLOWED by rule 3") && may.text.contains(&may.passed[0].sentence));

    let may_not = trials::test(&place.desk, ask(RuleAction::Publish, "$SYS/x")).await.unwrap().answer;
    assert!(!may_not.allowed && may_not.decided.is_none());
    assert_eq!(may_not.text, format!("REFUSED: {}", may_not.fault.unwrap()));
    let no_topic = trials::test(&place.desk, ask(RuleAction::Publish, "a/#")).await.unwrap().answer;
    assert!(no_topic.fault.is_some() && !no_topic.allowed);

    add(&place.desk, pattern(RuleAccess::ReadWrite, ".*", "#"), None, None).await.unwrap();
    let judged = trials::test(&place.desk, ask(RuleAction::Subscribe, "#")).await.unwrap().answer;
    assert!(judged.allowed && judged.judged_at_delivery);
    assert_eq!(judged.passed[1].kind, PassedKind::OverlapsRefusing);
}

#[tokio::test]
async fn lint_names_the_rule_and_what_is_odd() {
    let place = Place::new();
    let all = RuleGiven { topic_match: RuleMatch::All, topic: String::new(), ..rule("all") };
    let name = RuleGiven { client_match: RuleMatch::Specific, client: "dev.*".into(), ..rule("odd") };
    for given in [all, rule("never"), name] {
        add(&place.desk, given, None, None).await.unwrap();
    }
    let found = trials::lint(&place.desk, Which::Draft).await.unwrap().answer;
    let shadowed = &found[0];
    assert_eq!((shadowed.position, shadowed.kind, shadowed.by), (2, FindingKind::Shadowed, Some(1)));
    let suspicious = found.iter().find(|found| found.kind == FindingKind::Suspicious).unwrap();
    assert_eq!((suspicious.position, suspicious.field.as_deref()), (3, Some("client")));
    assert!(suspicious.sentence.contains("Pattern"), "{}", suspicious.sentence);
}

#[tokio::test]
async fn a_file_with_problems_is_told_with_each_of_them() {
    let place = Place::with("[[rule]]\nname = \"x\"\n");
    let (status, _, said) = refused(list(&place.desk, Which::Draft).await);
    assert!(status == 422 && said.contains("rule[0].access"), "{said}");
    let (status, _, said) = refused(remove(&place.desk, 1, None).await);
    assert!(status == 422 && said.contains("rule[0].access"), "{said}");
}
