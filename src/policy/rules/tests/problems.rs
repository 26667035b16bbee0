//! What is refused when rules are compiled, and that each remedy names the right thing.

use super::*;

fn problem(client: &str, topic: &str) -> RuleProblem {
    let problems =
        Rules::compile(vec![rule(Access::Read, client, topic)]).expect_err(&format!("{client} {topic}"));
    assert_eq!(problems.len(), 1, "{client} {topic}");
    problems.into_iter().next().unwrap()
}

fn is_fine(client: &str, topic: &str) -> bool {
    Rules::compile(vec![rule(Access::Read, client, topic)]).is_ok()
}

#[test]
fn every_problem_of_every_rule_is_told_at_once() {
    let problems = Rules::compile(vec![
        rule(Access::Read, "specific:", "specific:a/#/b"),
        rule(Access::Read, "all", "all"),
        rule(Access::Read, "pattern:a)|(b", "pattern:{client}"),
    ])
    .expect_err("four things are wrong");
    let places: Vec<(usize, RuleField)> = problems.iter().map(|p| (p.index.position(), p.field)).collect();
    use RuleField::{Client, Topic};
    assert_eq!(places, [(1, Client), (1, Topic), (3, Client), (3, Topic)]);
    let text = problems[2].to_string();
    assert!(text.starts_with("rule 3 \"Read pattern:a)|(b pattern:{client}\", Client: "), "{text}");
}

#[test]
fn a_misspelt_placeholder_is_told_with_its_spelling() {
    for misspelt in [
        "{client}",
        "{%Client%}",
        "{%CLIENT%}",
        "{% client %}",
        "{%client %}",
        "%client%",
        "%Client%",
        "{%clientid%}",
        "{clientid}",
        "${client}",
        "${clientid}",
        "{{client}}",
        "{{%client%}}",
        "{%client}",
        "{client%}",
        "%client%}",
        "{%client",
        "{%client%",
        "{%cilent%}",
        "{%name%}",
        "{%%client%%}",
        "{%%}",
        "{% %}",
        "{%cn%}",
        "%clientid%",
        "{client_id}",
        "{ client }",
        "%username%",
        "{name}",
    ] {
        for topic in [misspelt.to_owned(), format!("a/{misspelt}/b"), format!("{{%client%}}/x{misspelt}")] {
            let found = problem("all", &format!("pattern:{topic}"));
            assert_eq!(found.field, RuleField::Topic);
            assert!(found.what.contains("is not a placeholder"), "{topic}: {found}");
            assert!(found.remedy.contains("{%client%}"), "{topic}: {found}");
        }
    }
    for fine in
        ["{%client%}", "{%client%}{%client%}", "a/{json}/b", "50%/60%", "client/{%client%}", "{}", "a{", "%"]
    {
        assert!(is_fine("all", &format!("pattern:{fine}")), "{fine}");
    }
}

#[test]
fn the_placeholder_needs_a_pattern() {
    let found = problem("all", "specific:a/{%client%}");
    assert!(found.remedy.contains("Pattern"), "{found}");
}

#[test]
fn bad_filters_are_refused() {
    for bad in [
        "#/a",
        "a#",
        "a/#/b",
        "a+",
        "+a/b",
        "a/b+",
        "\0",
        "+{%client%}",
        "{%client%}#",
        "{%client%}/#/a",
        &"a".repeat(65_536),
    ] {
        let found = problem("all", &format!("pattern:{bad}"));
        assert_eq!(found.field, RuleField::Topic, "{bad}");
        assert!(found.what.contains("is not an MQTT topic filter"), "{found}");
    }
    for fine in ["/", "//", "+", "#", "+/+/#", "/#", "$SYS/#", " ", "ä"] {
        assert!(is_fine("all", &format!("specific:{fine}")), "{fine}");
    }
    let deep = vec!["a"; 257].join("/");
    assert!(problem("all", &format!("specific:{deep}")).what.contains("256 levels"));
    let shared = problem("all", "specific:$share/g/a/b");
    assert!(shared.remedy.contains("a/b"), "{shared}");
    assert!(problem("all", "specific:$share/g").field == RuleField::Topic);
}

#[test]
fn what_is_needed_is_not_empty() {
    for (client, topic, field, remedy) in [
        ("specific:", "all", RuleField::Client, "All"),
        ("pattern:", "all", RuleField::Client, "All"),
        ("all", "specific:", RuleField::Topic, "All"),
        ("all", "pattern:", RuleField::Topic, "All"),
    ] {
        let found = problem(client, topic);
        assert_eq!(found.field, field);
        assert!(found.remedy.contains(remedy), "{found}");
    }
}

#[test]
fn bad_regular_expressions_are_refused() {
    for bad in [
        "(",
        "a)|(b",
        ")|(",
        "*",
        "*.dev",
        "[a",
        "a{2",
        "(?P<n",
        "\\",
        "a**{",
        "(?<=a)b",
        "(?x)a # b)|(c\n)|(",
    ] {
        let found = problem(&format!("pattern:{bad}"), "all");
        assert_eq!(found.field, RuleField::Client, "{bad}");
        assert!(found.what.contains("is not a regular expression"), "{found}");
        assert!(!found.what.contains('\n'), "{found}");
    }
    assert!(problem("pattern:*dev", "all").remedy.contains(".*"));
    for large in ["(a{1000}){1000}", r"\w{1000}", "((((a{10}){10}){10}){10}){10}"] {
        assert!(problem(&format!("pattern:{large}"), "all").what.contains("KiB"), "{large}");
    }
    let nested = format!("{}a{}", "(".repeat(100), ")".repeat(100));
    assert_eq!(problem(&format!("pattern:{nested}"), "all").field, RuleField::Client);
}

/// What is fine alone must be fine, and mean the same, among others.
#[test]
fn what_compiles_alone_compiles_anchored() {
    let deep = format!("{}a{}", "(?:".repeat(60), ")".repeat(60));
    for fine in [
        &deep,
        "(?x)a # comment",
        "(?x)a\n# comment\n",
        "(?x: a # b\n)",
        "a|",
        "|",
        "(?i)a",
        "(?s).",
        "a$",
        "^",
    ] {
        assert!(is_fine(&format!("pattern:{fine}"), "all"), "{fine}");
    }
}
