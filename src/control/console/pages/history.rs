//! What is pending, Apply, what was applied, and the way back.

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::{get, post};

use super::Shown;
use crate::control::admin::ops;
use crate::control::admin::ops::applying::{ApplyAsked, GenerationListed, HistoryAsked, RollbackAsked};
use crate::control::admin::ops::changes::ChangeMade;
use crate::control::console::Console;
use crate::control::console::frame::{Fields, Visit, outside, own_path};
use crate::control::console::text::{Foreign, count, latency, plural};
use crate::control::console::trouble::{Trouble, flaw, of_fields, shown};
use crate::control::console::views::form::Grade;
use crate::control::console::views::history::{
    Change, ChangesPage, Generation, GenerationPage, HistoryPage, Weight, fit_to_be_shown,
};
use crate::control::console::views::list::{Cursor, List};
use crate::control::console::views::shell::{Notice, Page, Tone};
use crate::control::installed::Installed;
use crate::control::status::Status;
use crate::control::thread::ApplyReport;

const ROWS: usize = 50;

pub(super) fn router() -> Router<Console> {
    Router::new()
        .route("/changes", get(changes))
        .route("/apply", post(apply))
        .route("/apply/confirm", post(confirm))
        .route("/discard", post(discard))
        .route("/rollback", post(roll_back))
        .route("/history", get(history))
        .route("/history/{generation}", get(generation))
}

async fn changes(visit: Visit) -> Shown {
    let shell = visit.shell(Page::Changes).await?;
    let pending = ops::changes::pending(&visit.app().desk).await?;
    let now = ops::status::now(&visit.app().desk).await?;
    let mut problems = of_fields(&pending.problems, Grade::Problem);
    problems.extend(of_fields(&pending.warnings, Grade::Warning));
    let changes: Vec<Change> = pending.changes.iter().map(|made| to_come(made, &now)).collect();
    let summary = summary(&changes);
    Ok(shown(&ChangesPage { shell, problems, summary, changes: fit_to_be_shown(changes) }))
}

/// A change that is not in force yet, with whom it disturbs, as far as that can be said; `now`: who is connected.
fn to_come(made: &ChangeMade, now: &Status) -> Change {
    let there = if disconnects(made) { clients_at(&made.path, now) } else { None };
    let whom = there.map(|clients| format!("connected there now: {}", plural(clients, "client", "clients")));
    Change { notes: made.note.iter().cloned().chain(whom).map(outside).collect(), ..change(made) }
}

fn change(made: &ChangeMade) -> Change {
    Change {
        path: outside(&made.path),
        before: made.before.as_ref().map(outside),
        after: made.after.as_ref().map(outside),
        effect: outside(&made.effect),
        notes: Vec::new(),
        weight: match made.effect.as_str() {
            "live" if disconnects(made) => Weight::Heavy,
            "live" => Weight::Light,
            "new connections" => Weight::Later,
            _ => Weight::Heavy,
        },
    }
}

fn disconnects(made: &ChangeMade) -> bool {
    made.note.as_deref().is_some_and(|note| note.contains("disconnected"))
}

/// How many clients a field is about: that of a listener, or the whole broker.
fn clients_at(path: &str, now: &Status) -> Option<u64> {
    if path == "enabled" {
        return Some(now.clients);
    }
    let place: usize = path.strip_prefix("listener[")?.split(']').next()?.parse().ok()?;
    now.listeners.iter().find(|listener| listener.place == place).map(|listener| listener.clients)
}

fn summary(changes: &[Change]) -> String {
    let of = |weight: Weight| changes.iter().filter(|change| change.weight == weight).count() as u64;
    let (light, later, heavy) = (of(Weight::Light), of(Weight::Later), of(Weight::Heavy));
    let mut parts = Vec::new();
    if light > 0 {
        parts.push(format!("{} live", count(light)));
    }
    if later > 0 {
        parts.push(format!("{} for new connections", count(later)));
    }
    if heavy > 0 {
        parts.push(format!("{} that somebody notices", count(heavy)));
    }
    parts.join(", ")
}

async fn apply(visit: Visit, fields: Fields) -> Response {
    let asked = ApplyAsked {
        comment: fields.text("comment").trim().to_owned(),
        expected_draft: fields.etag(),
        expected_generation: None,
        confirm_within_secs: fields.number("trial").ok(),
    };
    let applied = ops::applying::apply(&visit.app().desk, visit.author(), asked).await;
    let back = own_path(fields.text("here"));
    let back = if applied.is_err() { "/changes" } else { back };
    visit.done(back, applied.map(|report| told(&report)))
}

async fn confirm(visit: Visit, fields: Fields) -> Response {
    let confirmed = ops::applying::confirm(&visit.app().desk, fields.number("generation").ok()).await;
    let notice =
        |generation: u64| Notice::good(format!("Generation {} is confirmed: it stays.", count(generation)));
    visit.done(own_path(fields.text("here")), confirmed.map(|waiting| notice(waiting.generation)))
}

async fn discard(visit: Visit, fields: Fields) -> Response {
    let discarded = ops::applying::discard(&visit.app().desk, fields.etag()).await;
    let notice = |was_another: bool| match was_another {
        true => Notice::good("The pending changes are discarded: the draft is what is in force."),
        false => Notice::good("There was nothing to discard."),
    };
    visit.done("/changes", discarded.map(notice))
}

async fn roll_back(visit: Visit, fields: Fields) -> Shown {
    let generation: u64 = fields.number("generation").map_err(Trouble)?;
    let asked = RollbackAsked {
        generation,
        accept_revived: fields.on("accept_revived"),
        comment: fields.said("comment").unwrap_or_else(|| format!("back to generation {generation}")),
        confirm_within_secs: fields.number("trial").ok(),
    };
    let applied = ops::applying::roll_back(&visit.app().desk, visit.author(), asked).await;
    let back = if applied.is_err() { format!("/history/{generation}") } else { "/history".into() };
    Ok(visit.done(&back, applied.map(|report| told(&report))))
}

async fn history(visit: Visit) -> Shown {
    let shell = visit.shell(Page::History).await?;
    let before = visit.number("after");
    let asked = HistoryAsked { before, most: Some(ROWS) };
    let found = ops::applying::history(&visit.app().desk, asked).await?;
    let waiting = ops::applying::waiting(&visit.app().desk).await?;
    let trial = waiting.seconds_left.map(|_| waiting.generation);
    let next = (found.len() == ROWS).then(|| found.last().map(|last| last.generation.to_string())).flatten();
    let list = List {
        path: "/history",
        shown: found.len() as u64,
        cursor: Some(Cursor { begun: before.is_some(), next }),
        ..List::default()
    };
    let generations = found.iter().map(|listed| row(listed, trial)).collect();
    Ok(shown(&HistoryPage { shell, list, generations }))
}

fn row(listed: &GenerationListed, trial: Option<u64>) -> Generation {
    Generation {
        number: listed.generation,
        when: listed.applied_at.as_ref().map(outside),
        author: outside(&listed.author),
        comment: outside(&listed.comment),
        changes: listed.changes as u64,
        current: listed.in_force,
        trial: trial == Some(listed.generation),
    }
}

async fn generation(visit: Visit, Path(number): Path<u64>) -> Shown {
    let shell = visit.shell(Page::History).await?;
    let found = ops::applying::generation(&visit.app().desk, number).await?;
    // What is past disturbs nobody any more.
    let changes = |made: &[ChangeMade]| fit_to_be_shown(made.iter().map(change).collect());
    Ok(shown(&GenerationPage {
        shell,
        generation: row(&found.listed, None),
        changes: changes(&found.changed),
        since: (!found.listed.in_force).then(|| changes(&found.rollback_changes)),
        revives: found.rollback_revives.iter().map(outside).collect(),
    }))
}

/// What an Apply has done, for people.
fn told(report: &ApplyReport) -> Notice {
    let changed = plural(report.changes.len() as u64, "change", "changes");
    let mut text = format!("Generation {} is in force: {changed}", count(report.generation));
    let mut lines: Vec<Foreign> = Vec::new();
    if let Some(installed) = &report.installed {
        text.push_str(&format!(", judged by every shard after {}", micros(installed.took_us)));
        lines.extend(done(installed).into_iter().map(Foreign::from));
    }
    text.push('.');
    let put_out = report.installed.as_ref().is_some_and(|installed| installed.clients_disconnected > 0);
    lines.extend(report.warnings.iter().map(flaw));
    lines.extend(report.notes.iter().map(outside));
    lines.extend(report.fault.as_ref().map(outside));
    let worth_a_look = put_out || !report.warnings.is_empty() || report.fault.is_some();
    let tone = if worth_a_look { Tone::Warning } else { Tone::Good };
    Notice { tone, text: text.into(), lines }
}

fn micros(micros: u64) -> String {
    latency(micros.saturating_mul(1_000))
}

fn done(installed: &Installed) -> Vec<String> {
    let mut lines = Vec::new();
    if installed.clients_disconnected > 0 {
        lines.push(format!(
            "{} disconnected",
            plural(installed.clients_disconnected, "client was", "clients were")
        ));
        lines.extend(
            installed
                .disconnect_reasons
                .iter()
                .map(|reason| format!("{} of them: {}", count(reason.count), reason.reason)),
        );
        lines.extend(installed.disconnected.iter().map(|out| format!("{}: {}", out.client_id, out.reason)));
    }
    if installed.subscriptions_removed > 0 {
        lines.push(format!(
            "{} removed",
            plural(installed.subscriptions_removed, "subscription was", "subscriptions were")
        ));
        lines.extend(installed.removed.iter().map(|one| format!("{}: {}", one.client_id, one.filter)));
    }
    for (what, addresses) in
        [("opened", &installed.listeners_opened), ("closed", &installed.listeners_closed)]
    {
        if !addresses.is_empty() {
            lines.push(format!("{what}: {}", addresses.join(", ")));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::status::ListenerStatus;

    fn made(path: &str, before: Option<&str>, after: Option<&str>, effect: &str) -> ChangeMade {
        let text = |text: Option<&str>| text.map(str::to_owned);
        ChangeMade {
            path: path.into(),
            before: text(before),
            after: text(after),
            effect: effect.into(),
            note: None,
        }
    }

    #[test]
    fn a_change_says_whom_it_disturbs() {
        let judged = |made: ChangeMade| {
            let listeners = vec![ListenerStatus { place: 1, clients: 1, ..ListenerStatus::default() }];
            let now = Status { clients: 1_234, listeners, ..Status::default() };
            let Change { notes, weight, .. } = to_come(&made, &now);
            (notes.into_iter().map(|note| note.0).collect::<Vec<_>>().join("; "), weight)
        };
        let nothing = String::new;
        assert_eq!(judged(made("rule[0].name", None, Some("\"a\""), "live")), (nothing(), Weight::Light));
        for (path, there) in [
            ("enabled", "; connected there now: 1,234 clients"),
            ("listener[1].address", "; connected there now: 1 client"),
            ("listener[2].address", ""), // a new one
        ] {
            let note = Some("clients are disconnected".to_owned());
            let told = judged(ChangeMade { note, ..made(path, Some("1"), Some("2"), "live") });
            assert_eq!(told, (format!("clients are disconnected{there}"), Weight::Heavy));
        }
        assert_eq!(judged(made("listener[1].tls", None, Some("true"), "live")), (nothing(), Weight::Light));
        assert_eq!(
            judged(made("limits.packet_bytes", Some("1"), Some("2"), "new connections")).1,
            Weight::Later
        );
        assert_eq!(judged(made("broker.storage", Some("1"), Some("2"), "needs a restart")).1, Weight::Heavy);
        let note = "who is connected as anna is disconnected".to_owned();
        let revoked =
            ChangeMade { note: Some(note.clone()), ..made("user[\"anna\"].name", Some("a"), None, "live") };
        assert_eq!(judged(revoked), (note, Weight::Heavy));
    }

    #[test]
    fn a_report_is_told_with_whom_it_put_out() {
        let installed = Installed {
            took_us: 1_500,
            clients_disconnected: 1,
            listeners_opened: vec!["tls 127.0.0.1:8883".into()],
            ..Installed::default()
        };
        let report = ApplyReport {
            generation: 42,
            changes: vec![made("enabled", Some("false"), Some("true"), "live")],
            warnings: Vec::new(),
            fault: None,
            notes: Vec::new(),
            confirm_until: None,
            installed: Some(installed),
            summary: String::new(),
        };
        let notice = told(&report);
        assert_eq!(notice.text.0, "Generation 42 is in force: 1 change, judged by every shard after 1.5 ms.");
        assert_eq!(notice.tone, Tone::Warning);
        let lines: Vec<&str> = notice.lines.iter().map(Foreign::raw).collect();
        assert_eq!(lines, ["1 client was disconnected", "opened: tls 127.0.0.1:8883"]);
    }
}
