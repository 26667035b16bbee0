//! Every page, rendered from samples: nothing from outside becomes markup, forms and labels belong together, and what a
//! strict policy of content forbids is not there.

use askama::Template;

use super::history::{Change, Weight, fit_to_be_shown};
use super::list::List;
use super::sample::{self, HOSTILE};
use super::settings::Decision;
use super::shell::Page;
use crate::control::console::views::form::{Form, flat};
use serde_json::json;

/// The page without what stands between quotes in its tags: what is left of hostile text there is text.
fn tags(page: &str) -> Vec<&str> {
    page.split('<').skip(1).filter_map(|rest| rest.split('>').next()).collect()
}

#[test]
fn text_from_outside_makes_no_markup_on_any_page() {
    for (name, page) in sample::all() {
        let own = page.matches("<script").count();
        let ours = page.matches("<script type=\"module\" src=\"/assets/").count();
        assert_eq!(own, ours, "{name}: a script that is not ours");
        for tag in tags(&page) {
            assert!(!tag.starts_with("img"), "{name}: <{tag}>");
            let outside: String = tag.split('"').step_by(2).collect();
            assert!(!outside.contains("onerror") && !outside.contains("onmouseover"), "{name}: <{tag}>");
            assert!(!outside.contains('='.to_string().repeat(2).as_str()), "{name}: <{tag}>");
        }
        for unseen in ['\u{202e}', '\u{200b}', '\u{0}', '\u{7}'] {
            let text = page.split("value=\"").map(|part| part.split_once('"').map_or(part, |(_, rest)| rest));
            assert!(!text.collect::<String>().contains(unseen), "{name}: {unseen:?} is not made visible");
        }
    }
}

#[test]
fn hostile_names_are_on_the_pages_as_text() {
    let pages: String = sample::all().into_iter().map(|(_, page)| page).collect();
    assert!(pages.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(pages.contains("txt.<b class=unseen>\\u{202e}</b>exe"));
    assert!(!pages.contains(HOSTILE[0]) && !pages.contains(HOSTILE[1]));
}

#[test]
fn no_attribute_holds_the_markup_of_text_from_outside() {
    for (name, page) in sample::all() {
        let attributes = page.split("=\"").skip(1).filter_map(|rest| rest.split('"').next());
        let marked = attributes.filter(|value| value.contains("<bdi>") || value.contains("<b class"));
        assert_eq!(marked.collect::<Vec<_>>(), [""; 0], "{name}");
    }
}

#[test]
fn nothing_needs_inline_script_or_style() {
    for (name, page) in sample::all() {
        for tag in tags(&page) {
            let outside: String = tag.split('"').step_by(2).collect();
            let forbidden = outside.split_whitespace().find(|word| {
                word.starts_with("style=")
                    || (word.starts_with("on") && word.ends_with('=') && *word != "on=")
            });
            assert_eq!(forbidden, None, "{name}: <{tag}>");
            assert!(!tag.starts_with("style"), "{name}: a style element");
        }
        assert!(!page.contains("http://") && !page.contains("https://"), "{name}: something from elsewhere");
    }
}

#[test]
fn every_page_has_its_landmarks_and_a_way_past_the_navigation() {
    for (name, page) in sample::all().into_iter().filter(|(name, _)| *name != "login") {
        for part in [
            "<html lang=\"en\"",
            "<main id=\"main\"",
            "<nav class=\"side\" aria-label=",
            "href=\"#main\"",
            "<h1>",
        ] {
            assert_eq!(page.matches(part).count(), 1, "{name}: {part}");
        }
    }
}

#[test]
fn the_thirteen_values_stand_on_status_by_the_sources_names() {
    let status = sample::all().into_iter().find(|(name, _)| *name == "status").unwrap().1;
    let names = [
        "Running",
        "Clients",
        "Sessions",
        "Subscriptions",
        "Messages Received",
        "Messages Sent",
        "Messages Retained",
        "Connection Requests Accepted",
        "Connection Requests Rejected",
        "Publish Requests Accepted",
        "Publish Requests Rejected",
        "Subscribe Requests Accepted",
        "Subscribe Requests Rejected",
    ];
    let mut from = 0;
    for name in names {
        let at = status[from..]
            .find(&format!("<dt>{name}</dt>"))
            .unwrap_or_else(|| panic!("{name}: not in its place"));
        from += at;
    }
}

#[test]
fn a_field_says_what_is_wrong_with_it_and_what_is_applied() {
    let form = sample::form();
    assert!(form.on("listener[0].tls") && form.changed("listener[0].tls"));
    assert_eq!(form.before("listener[0].tls"), Some("off"));
    assert_eq!(form.before("enabled"), None);
    assert_eq!(form.problems("listener[1].require_client_certificate").len(), 1);
    assert_eq!(form.elsewhere(&["listener"]).len(), 0, "it stands beside its field");
    assert_eq!(form.elsewhere(&["log"]).len(), 1, "no field of the page shows it");
    assert_eq!(form.len("listener"), 2);
    let typed = form.typed([("listener[0].address".to_owned(), "here".to_owned())]);
    assert_eq!(typed.value("listener[0].address"), "here");
}

#[test]
fn values_are_known_by_the_paths_of_the_file() {
    let values =
        flat(&json!({"a": {"b": [{"c": true}, {"c": 7}]}, "names": ["x", "y"], "none": null, "empty": []}));
    let shown: Vec<String> = values.iter().map(|(path, value)| format!("{path}={value}")).collect();
    assert_eq!(shown, ["a.b[0].c=true", "a.b[1].c=7", "names=x, y"]);
}

#[test]
fn certificates_are_decided_as_the_product_says() {
    use super::settings::Verdict::{self, Accepted, Refused};
    let decide = |require: bool, only: bool, any: bool| -> [Verdict; 4] {
        let values = json!({"certificates": {"require": require, "trusted_authorized_only": only, "any_authorized": any}});
        let Decision { none, trusted_listed, trusted, listed } =
            Decision::of(&Form::new(&values, &values, [], Vec::new()));
        [none, trusted_listed, trusted, listed]
    };
    assert_eq!(decide(false, false, false), [Accepted, Accepted, Accepted, Refused]);
    assert_eq!(decide(true, false, false), [Refused, Accepted, Accepted, Refused]);
    assert_eq!(decide(true, true, false), [Refused, Accepted, Refused, Refused]);
    assert_eq!(decide(true, false, true), [Refused, Accepted, Accepted, Accepted]);
    assert_eq!(decide(true, true, true), [Refused, Accepted, Refused, Accepted]);
}

#[test]
fn a_list_leads_to_the_pages_before_and_after_with_its_search() {
    let (list, page) = List::of("/clients", "a&b", 50, (0..120).collect::<Vec<u32>>());
    assert_eq!((page.len(), page[0]), (50, 50));
    assert_eq!(list.before().as_deref(), Some("/clients?offset=0&q=a%26b"));
    assert_eq!(list.after().as_deref(), Some("/clients?offset=100&q=a%26b"));
    assert_eq!(list.range(), "51–100 of 120");
    assert_eq!(List::of("/clients", "", 100, vec![0; 120]).0.after(), None);
    assert_eq!(List::of("/clients", "", 0, vec![0; 0]).0.after(), None);
}

#[test]
fn the_navigation_knows_where_one_is() {
    let settings = sample::all().into_iter().find(|(name, _)| *name == "settings").unwrap().1;
    assert_eq!(settings.matches("aria-current=\"page\"").count(), 1);
    let entry = format!("<a href=\"{}\" aria-current=\"page\">", Page::BrokerSettings.path());
    assert!(settings.contains(&entry));
}

#[test]
fn of_very_many_changes_those_are_shown_that_disturb_most() {
    let mut page = sample::pending();
    let heavy = page.changes.remove(0);
    let light = |number: usize| Change {
        path: format!("light{number}").into(),
        before: None,
        after: Some("x".into()),
        effect: "live".into(),
        notes: Vec::new(),
        weight: Weight::Light,
    };
    page.changes = fit_to_be_shown((0..600).map(light).chain([heavy]).collect());
    let text = page.render().expect("it can be rendered");
    assert_eq!(text.matches("<bdi>light").count(), 499);
    assert!(text.contains("15,023 clients") && text.contains("and 101 more"));
}
