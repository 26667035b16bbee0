//! Retained values and cursors against a list and the definition of a match.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::table::tests::{a_filter, a_topic, is_match};
use super::*;

fn filled(topics: &[&str]) -> Retained<String> {
    let mut retained = Retained::new();
    for topic in topics {
        assert_eq!(retained.put(topic, (*topic).to_owned(), 1), None);
    }
    retained
}

/// Everything the cursor has still to give, in slices of one visit.
fn drained(retained: &Retained<String>, cursor: &mut Cursor) -> Vec<String> {
    let mut out = Vec::new();
    while retained.advance(cursor, &mut 1, 1, &mut out) == Progress::More {}
    out
}

/// What this one cursor gets before a live message.
fn overtake<T: Clone>(retained: &mut Retained<T>, cursor: &Cursor, topic: &str) -> Option<T> {
    let overtaken = retained.overtake(topic)?;
    cursor.is_overtaken(topic, &overtaken).then_some(overtaken.value)
}

#[derive(Clone, Debug)]
enum Step {
    Put(String),
    Clear(String),
    /// A live message that is not retained.
    Live(String),
    Advance {
        visits: usize,
        most: usize,
    },
}

fn a_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        a_topic().prop_map(Step::Put),
        a_topic().prop_map(Step::Clear),
        a_topic().prop_map(Step::Live),
        (0usize..6, 0usize..4).prop_map(|(visits, most)| Step::Advance { visits, most }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// Each entry that is there at the opening and unchanged until it is yielded comes exactly once, nothing newer
    /// comes, slices keep their bounds, and what overtakes comes before its topic's live message.
    #[test]
    fn a_cursor_replays_what_was_there(
        before in prop::collection::vec(a_topic(), 0..40),
        filter in a_filter(),
        steps in prop::collection::vec(a_step(), 0..30),
    ) {
        let mut retained = Retained::new();
        let mut serial = 0u32;
        for topic in &before {
            serial += 1;
            retained.put(topic, (topic.clone(), serial), 1);
        }
        let mut cursor = retained.open(&filter);
        // What is still to come: entries leave when they are yielded, replaced or cleared.
        let mut due: BTreeMap<String, u32> = before
            .iter()
            .filter(|t| is_match(&filter, t))
            .map(|t| (t.clone(), retained.value(t).expect("just put").1))
            .collect();
        for step in steps {
            match step {
                Step::Advance { mut visits, most } => {
                    let (given, mut out) = (visits, Vec::new());
                    let progress = retained.advance(&mut cursor, &mut visits, most, &mut out);
                    prop_assert!(out.len() <= most && out.len() <= given - visits);
                    for (topic, serial) in out {
                        prop_assert_eq!(due.pop_first(), Some((topic, serial)));
                    }
                    prop_assert!(progress == Progress::More || due.is_empty());
                }
                Step::Live(topic) => {
                    let value = overtake(&mut retained, &cursor, &topic);
                    prop_assert_eq!(value, due.remove_entry(&topic));
                }
                Step::Put(topic) => {
                    let value = overtake(&mut retained, &cursor, &topic);
                    prop_assert_eq!(value, due.remove_entry(&topic));
                    serial += 1;
                    retained.put(&topic, (topic.clone(), serial), 1);
                }
                Step::Clear(topic) => {
                    due.remove(&topic);
                    retained.clear(&topic);
                }
            }
        }
        let mut out = Vec::new();
        let mut slices = 0;
        while retained.advance(&mut cursor, &mut 1, 1, &mut out) == Progress::More {
            slices += 1;
            prop_assert!(slices <= retained.len() + 1);
        }
        prop_assert_eq!(out, due.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_map_with_a_sum(steps in prop::collection::vec((a_topic(), any::<bool>(), 0usize..100), 0..80)) {
        let mut retained = Retained::new();
        let mut model = BTreeMap::new();
        for (n, (topic, put, bytes)) in steps.into_iter().enumerate() {
            if put {
                let old = retained.put(&topic, n, bytes);
                prop_assert_eq!(old, model.insert(topic.clone(), (n, bytes)).map(|(n, _)| n));
            } else {
                prop_assert_eq!(retained.clear(&topic), model.remove(&topic).map(|(n, _)| n));
            }
            prop_assert_eq!(retained.value(&topic), model.get(&topic).map(|(n, _)| n));
            prop_assert_eq!((retained.len(), retained.is_empty()), (model.len(), model.is_empty()));
            prop_assert_eq!(retained.bytes(), model.values().map(|(_, b)| *b as u64).sum::<u64>());
        }
    }
}

/// `a/b!` stands between `a/b` and `a/b/c` in topic order.
#[test]
fn a_parent_and_what_stands_between() {
    let mut retained = filled(&["a", "a/b", "a/b!", "a/b!/c", "a/b/", "a/b/c", "a/b0", "a/bc"]);
    let mut cursor = retained.open("a/b/#");
    assert_eq!(drained(&retained, &mut cursor), ["a/b", "a/b/", "a/b/c"]);
}

#[test]
fn a_scan_looks_only_at_its_prefix() {
    let topics: Vec<String> = (0..1_000).map(|n| format!("{}/{n}", n % 10)).collect();
    let mut retained = filled(&topics.iter().map(String::as_str).collect::<Vec<_>>());
    for (filter, most) in [("3/#", 100), ("3/+", 100), ("3/33", 1), ("3/34", 0), ("+/33", 1_000), ("x/#", 0)]
    {
        let mut visits = 5_000;
        let mut out = Vec::new();
        let mut cursor = retained.open(filter);
        let progress = retained.advance(&mut cursor, &mut visits, 5_000, &mut out);
        assert_eq!((progress, 5_000 - visits), (Progress::Done, most), "{filter}");
    }
}

/// `[MQTT-4.7.2-1]`, and at no cost for what lies there.
#[test]
fn leading_wildcards_skip_dollar_topics() {
    let mut retained = filled(&["!", "no", "$SYS/a", "$SYS/b", "$t", "%", "a/$b"]);
    for (filter, expected) in
        [("#", &["!", "%", "a/$b", "no"][..]), ("+", &["!", "%", "no"]), ("$SYS/#", &["$SYS/a", "$SYS/b"])]
    {
        let mut cursor = retained.open(filter);
        assert_eq!(drained(&retained, &mut cursor), expected, "{filter}");
    }
    let mut visits = 100;
    let mut cursor = retained.open("#");
    retained.advance(&mut cursor, &mut visits, 100, &mut Vec::new());
    assert_eq!(visits, 96);
}

#[test]
fn a_live_message_is_overtaken_once() {
    let mut retained = filled(&["a", "b", "c"]);
    let mut cursor = retained.open("+");
    assert_eq!(overtake(&mut retained, &cursor, "b"), Some("b".to_owned()));
    assert_eq!(overtake(&mut retained, &cursor, "b"), None, "once");
    assert_eq!(overtake(&mut retained, &cursor, "d"), None, "nothing retained");
    let mut out = Vec::new();
    assert_eq!(retained.advance(&mut cursor, &mut 100, 1, &mut out), Progress::More);
    assert_eq!(overtake(&mut retained, &cursor, "a"), None, "passed");
    retained.put("c", "new".to_owned(), 1);
    assert_eq!(overtake(&mut retained, &cursor, "c"), None, "newer than the subscription");
    assert_eq!(retained.advance(&mut cursor, &mut 100, 100, &mut out), Progress::Done);
    assert_eq!(out, ["a"]);
    assert_eq!(overtake(&mut retained, &cursor, "c"), None, "done");
}

#[test]
fn each_cursor_has_what_is_overtaken_once() {
    let mut retained = filled(&["a", "b"]);
    let first = retained.open("#");
    assert_eq!(retained.overtake("b").map(|o| o.after), Some(0));
    let second = retained.open("#");
    let overtaken = retained.overtake("b").expect("there is another cursor");
    assert_eq!(overtaken.after, first.number);
    assert!(!first.is_overtaken("b", &overtaken) && second.is_overtaken("b", &overtaken));
    assert!(retained.overtake("b").is_none(), "nobody is looked at again");
    for mut cursor in [first, second] {
        assert_eq!(drained(&retained, &mut cursor), ["a"]);
    }
}
