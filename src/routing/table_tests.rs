//! The table against a list of filters and the standard's definition of a match.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::{ShardId, Slot};
use super::*;

fn target(shard: u16, slot: u32) -> Target {
    Target { shard: ShardId(shard), slot: Slot(slot) }
}

fn reached(table: &Table, topic: &str) -> Vec<Target> {
    let mut out = Vec::new();
    table.matches(topic, &mut out);
    out.sort_unstable();
    out
}

/// The standard's words, level by level: written for the reader, not for speed.
fn defined_match(filter: &[&str], topic: &[&str]) -> bool {
    match (filter, topic) {
        // 4.7.1.2: "includes the parent level".
        (["#"], _) | ([], []) => true,
        (["+", filter @ ..], [_, topic @ ..]) => defined_match(filter, topic),
        ([f, filter @ ..], [t, topic @ ..]) => f == t && defined_match(filter, topic),
        _ => false,
    }
}

pub(in crate::routing) fn is_match(filter: &str, topic: &str) -> bool {
    let filter: Vec<&str> = filter.split('/').collect();
    let topic: Vec<&str> = topic.split('/').collect();
    let wildcard = filter[0] == "+" || filter[0] == "#";
    !(wildcard && topic[0].starts_with('$')) && defined_match(&filter, &topic)
}

/// Does not fit beside its edge.
const LONG: &str = "seventeen letters";

/// Names of one to five levels from an alphabet small enough for matches to be frequent. Never the empty name.
pub(in crate::routing) fn a_topic() -> impl Strategy<Value = String> {
    let level = prop::sample::select(vec!["a", "b", "", "$", "$s", "a!", "a0", LONG]);
    prop::collection::vec(level, 1..5).prop_map(|l| l.join("/")).prop_filter("no name", |t| !t.is_empty())
}

pub(in crate::routing) fn a_filter() -> impl Strategy<Value = String> {
    let level = prop::sample::select(vec!["a", "b", "", "$", "$s", "a!", "+", "+", LONG]);
    (prop::collection::vec(level, 0..5), any::<bool>())
        .prop_map(|(mut levels, hash)| {
            if hash {
                levels.push("#");
            }
            levels.join("/")
        })
        .prop_filter("no filter", |f| !f.is_empty())
}

/// A slot belongs to one filter: this numbers it as a shard would.
fn numbered(filters: &mut Vec<String>, filter: &str) -> u32 {
    let at = filters.iter().position(|f| f == filter).unwrap_or_else(|| {
        filters.push(filter.to_owned());
        filters.len() - 1
    });
    at as u32
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever was inserted and removed before, a topic reaches what the definition says, once; and in the end
    /// nothing is left over.
    #[test]
    fn table_is_the_definition(
        steps in prop::collection::vec((a_filter(), 0u16..4, 0u8..3), 1..60),
        topics in prop::collection::vec(a_topic(), 1..20),
    ) {
        let mut table = Table::new([1, 2, 3, 4]);
        let mut filters = Vec::new();
        let mut model: BTreeSet<(String, Target)> = BTreeSet::new();
        for (filter, shard, step) in steps {
            let target = target(shard, numbered(&mut filters, &filter));
            if step == 0 {
                prop_assert_eq!(table.remove(&filter, target), model.remove(&(filter, target)));
            } else {
                table.insert(&filter, target);
                model.insert((filter, target));
            }
            prop_assert_eq!(table.routes(), model.len());
        }
        for topic in &topics {
            let mut expected: Vec<Target> =
                model.iter().filter(|(f, _)| is_match(f, topic)).map(|(_, t)| *t).collect();
            expected.sort_unstable();
            prop_assert_eq!(reached(&table, topic), expected, "{}", topic);
        }
        for (filter, target) in model {
            prop_assert!(table.remove(&filter, target));
        }
        prop_assert_eq!(table.sizes(), (0, (0, 0)));
        prop_assert_eq!(table.routes(), 0);
        prop_assert_eq!((table.heap, table.lists.bytes(), table.wild.heap()), (0, 0, 0));
    }
}

/// The standard's own examples, 4.7.1.2 and 4.7.1.3.
#[test]
fn examples_of_the_standard() {
    for (filter, topic, expected) in [
        ("sport/tennis/player1/#", "sport/tennis/player1", true),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true),
        ("sport/#", "sport", true),
        ("sport/tennis/+", "sport/tennis/player1", true),
        ("sport/tennis/+", "sport/tennis/player1/ranking", false),
        ("sport/+", "sport", false),
        ("sport/+", "sport/", true),
        ("+/+", "/finance", true),
        ("/+", "/finance", true),
        ("+", "/finance", false),
        ("#", "a/b/c", true),
        ("ACCOUNTS", "Accounts", false),
        ("a//b", "a/b", false),
    ] {
        let mut table = Table::new([0; 4]);
        table.insert(filter, target(0, 1));
        assert_eq!(!reached(&table, topic).is_empty(), expected, "{filter} {topic}");
        assert_eq!(is_match(filter, topic), expected, "{filter} {topic}");
    }
}

/// `[MQTT-4.7.2-1]`
#[test]
fn leading_wildcards_do_not_match_a_leading_dollar() {
    let mut table = Table::new([0; 4]);
    for (slot, filter) in
        ["#", "+/monitor/Clients", "$SYS/#", "$SYS/monitor/+", "+/#", "a/#"].iter().enumerate()
    {
        table.insert(filter, target(0, slot as u32));
    }
    assert_eq!(reached(&table, "$SYS/monitor/Clients"), [target(0, 2), target(0, 3)]);
    assert_eq!(reached(&table, "a/$SYS"), [target(0, 0), target(0, 4), target(0, 5)]);
}

#[test]
fn inserting_twice_is_inserting_once() {
    let mut table = Table::new([0; 4]);
    for filter in ["a/b", "a/+", "a/#"] {
        for _ in 0..2 {
            table.insert(filter, target(3, 7));
        }
        assert_eq!((table.routes(), reached(&table, "a/b")), (1, vec![target(3, 7)]));
        assert!(table.remove(filter, target(3, 7)));
        assert!(!table.remove(filter, target(3, 7)));
        assert_eq!((table.routes(), reached(&table, "a/b")), (0, vec![]));
    }
}

/// A removal that finds a longer path's levels, but no such filter, changes nothing.
#[test]
fn removing_what_is_not_there() {
    let mut table = Table::new([0; 4]);
    table.insert("a/+/c", target(0, 1));
    let sizes = table.sizes();
    for filter in ["a/+", "a/+/#", "a/+/c/#", "a/+/d", "+/c", "#", "c", "a/#"] {
        assert!(!table.remove(filter, target(0, 1)), "{filter}");
        assert_eq!(table.sizes(), sizes, "{filter}");
    }
    assert_eq!(reached(&table, "a/b/c"), [target(0, 1)]);
}

/// Deeper than the space that a walk has on the stack, and wider.
#[test]
fn deep_and_wide_filters() {
    let mut table = Table::new([0; 4]);
    let deep = vec!["+"; 400].join("/");
    table.insert(&deep, target(0, 0));
    for n in 0..256u32 {
        let levels: Vec<&str> = (0..8).map(|bit| if n >> bit & 1 == 1 { "+" } else { "a" }).collect();
        table.insert(&format!("{}/#", levels.join("/")), target(1, n));
    }
    let topic = vec!["a"; 400].join("/");
    let out = reached(&table, &topic);
    assert_eq!((out.len(), out[0]), (257, target(0, 0)));
    assert!(table.remove(&deep, target(0, 0)));
    assert_eq!(reached(&table, &topic).len(), 256);
}

#[test]
fn a_flood_leaves_no_memory_behind() {
    let mut table = Table::new([5; 4]);
    let empty = table.bytes();
    let shapes: [fn(u32) -> String; 3] =
        [|n| format!("device/{n}"), |n| format!("device/{n}/+"), |n| format!("+/{n}/#")];
    for n in 0..20_000 {
        for (at, shape) in shapes.iter().enumerate() {
            table.insert(&shape(n), target(at as u16, n));
        }
    }
    assert_eq!(table.routes(), 60_000);
    assert!(table.bytes() > empty + 60_000 * 50);
    for n in 0..20_000 {
        for (at, shape) in shapes.iter().enumerate() {
            assert!(table.remove(&shape(n), target(at as u16, n)));
        }
    }
    assert!(table.bytes() < empty * 4, "{} of {empty}", table.bytes());
}
