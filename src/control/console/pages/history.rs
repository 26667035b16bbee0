//! What is pending, Apply, what was applied, and the way back.

use axum::Router;
use axum::routing::{get, post};

use super::Shown;
use crate::control::admin::ops;
use crate::control::admin::ops::applying::ApplyAsked;
use crate::control::admin::ops::changes::ChangeMade;
use crate::control::console::Console;
use crate::control::console::frame::{Fields, Visit, outside, own_path};
use crate::control::console::text::{Foreign, count, plural};
use crate::control::console::trouble::{flaw, of_fields, shown};
use crate::control::console::views::form::Grade;
use crate::control::console::views::history::{Change, ChangesPage, Weight};
use crate::control::console::views::shell::{Notice, Page, Tone};
use crate::control::installed::Installed;
use crate::control::thread::ApplyReport;

pub(super) fn router() -> Router<Console> {
    Router::new().route("/changes", get(changes)).route("/apply", post(apply))
}

async fn changes(visit: Visit) -> Shown {
    let shell = visit.shell(Page::Changes).await?;
    let pending = ops::changes::pending(&visit.app().desk).await?;
    let now = ops::status::now(&visit.app().desk).await?;
    let mut problems = of_fields(&pending.problems, Grade::Problem);
    problems.extend(of_fields(&pending.warnings, Grade::Warning));
    let changes: Vec<Change> = pending.changes.iter().map(|made| change(made, now.clients)).collect();
    Ok(shown(&ChangesPage { shell, problems, summary: summary(&changes), changes }))
}

/// A change with whom it disturbs; `clients`: how many are connected.
fn change(made: &ChangeMade, clients: u64) -> Change {
    let field = made.path.rsplit('.').next().unwrap_or_default();
    let listener = made.path.starts_with("listener[");
    let (effect, weight) = match (made.effect.as_str(), made.path.as_str()) {
        ("live", "enabled") if made.after.as_deref() == Some("false") => {
            (format!("live: drops {}", plural(clients, "client", "clients")), Weight::Heavy)
        }
        ("live", _)
            if listener
                && made.before.is_some()
                && matches!(field, "protocol" | "address" | "path" | "tls") =>
        {
            (format!("restarts a listener and drops its clients, {} at most", count(clients)), Weight::Heavy)
        }
        ("live", _) if listener && field == "enabled" && made.after.as_deref() != Some("true") => {
            (format!("closes a listener and drops its clients, {} at most", count(clients)), Weight::Heavy)
        }
        ("live", _) => ("live".into(), Weight::Light),
        ("new connections", _) => ("new connections".into(), Weight::Later),
        (other, _) => (other.to_owned(), Weight::Heavy),
    };
    Change {
        path: outside(&made.path),
        before: made.before.as_ref().map(outside),
        after: made.after.as_ref().map(outside),
        effect: outside(effect),
        weight,
    }
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

async fn apply(visit: Visit, fields: Fields) -> Shown {
    let asked = ApplyAsked {
        comment: fields.text("comment").trim().to_owned(),
        expected_draft: fields.etag(),
        expected_generation: None,
        confirm_within_secs: None,
    };
    let applied = ops::applying::apply(&visit.app().desk, visit.author(), asked).await;
    let back = own_path(fields.text("here"));
    let failed = applied.is_err();
    Ok(visit.done(if failed { "/changes" } else { back }, applied.map(|report| told(&report))))
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
    lines.extend(report.fault.as_ref().map(outside));
    let worth_a_look = put_out || !report.warnings.is_empty() || report.fault.is_some();
    let tone = if worth_a_look { Tone::Warning } else { Tone::Good };
    Notice { tone, text: text.into(), lines }
}

fn micros(micros: u64) -> String {
    crate::control::console::text::latency(micros.saturating_mul(1_000))
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

    fn made(path: &str, before: Option<&str>, after: Option<&str>, effect: &str) -> ChangeMade {
        let text = |text: Option<&str>| text.map(str::to_owned);
        ChangeMade { path: path.into(), before: text(before), after: text(after), effect: effect.into() }
    }

    #[test]
    fn a_change_says_whom_it_disturbs() {
        let effect = |made: ChangeMade| {
            let change = change(&made, 1_234);
            (change.effect.0, change.weight)
        };
        assert_eq!(effect(made("rule[0].name", None, Some("\"a\""), "live")), ("live".into(), Weight::Light));
        assert_eq!(
            effect(made("enabled", Some("true"), Some("false"), "live")),
            ("live: drops 1,234 clients".into(), Weight::Heavy)
        );
        assert_eq!(
            effect(made("listener[0].tls", Some("false"), Some("true"), "live")),
            ("restarts a listener and drops its clients, 1,234 at most".into(), Weight::Heavy)
        );
        // A new one disturbs nobody.
        assert_eq!(effect(made("listener[2].tls", None, Some("true"), "live")).1, Weight::Light);
        assert_eq!(
            effect(made("limits.packet_bytes", Some("1"), Some("2"), "new connections")).1,
            Weight::Later
        );
        assert_eq!(effect(made("log.format", Some("1"), Some("2"), "needs a restart")).1, Weight::Heavy);
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
