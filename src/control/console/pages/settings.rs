//! Broker Settings, and what every form of settings needs: the fields of the draft, and what was typed as a change of
//! them.

use std::collections::BTreeMap;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Map, Value, json};

use super::Shown;
use crate::control::admin::ops;
use crate::control::admin::problem::{Flaw, Problem};
use crate::control::config::reference::{self, FieldDoc, Kind};
use crate::control::console::Console;
use crate::control::console::frame::{Fields, Visit};
use crate::control::console::text::plural;
use crate::control::console::trouble::{Trouble, of_fields, shown, told};
use crate::control::console::views::form::{Form, Grade};
use crate::control::console::views::settings::{Decision, Limit, Server, SettingsPage};
use crate::control::console::views::shell::{Notice, Page};
use crate::control::size;

const PATH: &str = "/configuration/broker-settings";

pub(super) fn router() -> Router<Console> {
    Router::new()
        .route("/configuration", get(async || axum::response::Redirect::to(PATH)))
        .route(PATH, get(show).post(save))
        .route("/configuration/enable", post(enable))
}

/// The draft beside what is in force, as values under the names of the file.
pub(super) struct Values {
    /// Of a draft that has problems: what is in force.
    pub(super) draft: Value,
    pub(super) applied: Value,
    pub(super) problems: Vec<Flaw>,
    pub(super) warnings: Vec<Flaw>,
}

/// Reads both.
pub(super) async fn values(visit: &Visit) -> Result<Values, Problem> {
    let applied = ops::draft::applied(&visit.app().desk).await?.config;
    let draft = ops::draft::show(&visit.app().desk).await?;
    Ok(Values {
        draft: draft.config.unwrap_or_else(|| applied.clone()),
        applied,
        problems: draft.problems,
        warnings: draft.warnings,
    })
}

/// The fields of the draft beside what is in force, and everything that is wrong with it or worth a thought.
pub(super) async fn form(visit: &Visit) -> Result<(Form, Vec<Flaw>), Trouble> {
    let Values { draft, applied, problems, warnings } = values(visit).await?;
    let mut of_form = of_fields(&problems, Grade::Problem);
    of_form.extend(of_fields(&warnings, Grade::Warning));
    let pending = ops::changes::pending(&visit.app().desk).await?;
    let changed = pending.changes.iter().map(|change| change.path.clone());
    let form = Form::new(&for_people(draft), &for_people(applied), changed, of_form);
    Ok((form, problems.into_iter().chain(warnings).collect()))
}

/// Sizes with their units.
fn for_people(mut config: Value) -> Value {
    for field in reference::fields() {
        let Kind::Size { .. } = field.kind else { continue };
        let Some((table, name)) = field.path.split_once('.') else { continue };
        if let Some(value) = config.get_mut(table).and_then(|table| table.get_mut(name))
            && let Some(bytes) = value.as_u64()
        {
            *value = size::format(bytes).into();
        }
    }
    config
}

async fn show(visit: Visit) -> Shown {
    let notice = visit.notice();
    let (form, _) = form(&visit).await?;
    page(&visit, form, notice).await
}

async fn page(visit: &Visit, form: Form, notice: Option<Notice>) -> Shown {
    let shell = visit.shell_saying(Page::BrokerSettings, notice).await?;
    let limits: Vec<Limit> = reference::fields()
        .iter()
        .filter(|field| field.path.starts_with("limits."))
        .map(|field| Limit::new(field.path, field.title, &hint(field)))
        .collect();
    let odd = |limit: &Limit| form.changed(&limit.path) || !form.problems(&limit.path).is_empty();
    Ok(shown(&SettingsPage {
        shell,
        servers: Server::all(&form),
        decision: Decision::of(&form),
        users: plural(form.len("user") as u64, "user", "users"),
        limits_open: limits.iter().any(odd),
        limits,
        form,
    }))
}

/// What a limit means and what may stand there; a bound that nobody comes near is not mentioned.
fn hint(field: &FieldDoc) -> String {
    const FAR: u64 = u32::MAX as u64;
    let unit = field.unit.filter(|unit| *unit != "bytes").map(|unit| format!(" {unit}")).unwrap_or_default();
    let takes = match field.kind {
        Kind::Number { least, most } if most >= FAR => format!("{least} or more{unit}"),
        Kind::Size { least, most } if most >= FAR => format!("{} or more", size::format(least)),
        _ => format!("{}{unit}", field.takes()),
    };
    format!("{} ({takes})", field.doc)
}

async fn save(visit: Visit, fields: Fields) -> Shown {
    match saved(&visit, &fields).await {
        Ok(notice) => Ok(visit.to(PATH, notice)),
        Err(problem) => {
            let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
            let (form, notice) = refused(&visit, fields, &problem).await?;
            let page = page(&visit, form, Some(notice)).await?;
            Ok((status, page).into_response())
        }
    }
}

/// The form again, with what was typed and what is wrong with it.
pub(super) async fn refused(
    visit: &Visit,
    typed: Fields,
    problem: &Problem,
) -> Result<(Form, Notice), Trouble> {
    let (form, _) = form(visit).await?;
    let notice = if problem.problems.is_empty() {
        told(problem)
    } else {
        Notice::bad("Not saved to the draft: see what is said beside the fields.")
    };
    let flaws = of_fields(&problem.problems, Grade::Problem);
    Ok((form.with_problems(flaws).typed(typed.0), notice))
}

async fn enable(visit: Visit, fields: Fields) -> Response {
    let outcome = ops::draft::patch(&visit.app().desk, json!({"enabled": true}), fields.etag()).await;
    let notice = outcome
        .map(|_| Notice::good("The broker is enabled in the draft: press Apply, and clients can connect."));
    visit.done("/status", notice)
}

/// Saves what a form of settings says to the draft.
pub(super) async fn saved(visit: &Visit, fields: &Fields) -> Result<Notice, Problem> {
    let values = values(visit).await?;
    let mut patch = patch(&values.draft, &fields.0);
    let mut said = "Saved to the draft.";
    if let Some(protocol) = fields.said("add") {
        listeners(&mut patch, &values.draft).push(new_listener(&values.draft, &protocol));
        said = "A server was added to the draft.";
    }
    if let Ok(index) = fields.number::<usize>("remove") {
        let listeners = listeners(&mut patch, &values.draft);
        if index < listeners.len() {
            listeners.remove(index);
            said = "The server was removed from the draft.";
        }
    }
    let empty = patch.as_object().is_none_or(Map::is_empty);
    if !empty {
        ops::draft::patch(&visit.app().desk, patch, fields.etag()).await?;
    }
    Ok(Notice::good(said))
}

/// The listeners of a patch; those of the draft, if it says nothing of them yet.
fn listeners<'a>(patch: &'a mut Value, draft: &Value) -> &'a mut Vec<Value> {
    if !patch["listener"].is_array() {
        patch["listener"] =
            draft.get("listener").filter(|list| list.is_array()).cloned().unwrap_or(json!([]));
    }
    patch["listener"].as_array_mut().expect("it is an array by now")
}

/// A listener that nobody has configured yet, at a port that no other of this broker has.
fn new_listener(draft: &Value, protocol: &str) -> Value {
    let websocket = protocol == "websocket";
    let taken: Vec<&str> = draft["listener"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|listener| listener["address"].as_str()?.rsplit_once(':').map(|(_, port)| port))
        .collect();
    let first: u16 = if websocket { 8083 } else { 1883 };
    let port = (first..u16::MAX).find(|port| !taken.contains(&port.to_string().as_str())).unwrap_or(first);
    let address = format!("127.0.0.1:{port}");
    match websocket {
        true => json!({"protocol": "websocket", "address": address, "path": "/mqtt"}),
        false => json!({"protocol": "tcp", "address": address}),
    }
}

/// What was typed, where it differs from the draft, as a merge patch. Fields that the reference does not know are none of
/// the configuration.
fn patch(draft: &Value, typed: &[(String, String)]) -> Value {
    let typed: BTreeMap<&str, &str> =
        typed.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let mut patch = json!({});
    for (path, text) in typed {
        let (table, index, name) = parts(path);
        let list = index.is_some();
        let section = if list { format!("{table}[]") } else { table.to_owned() };
        let Some(field) = reference::section(&section).and_then(|section| section.field(name)) else {
            continue;
        };
        let value = typed_value(field, text);
        match (index, table) {
            (Some(index), table) => {
                let Some(entry) = draft[table].get(index) else { continue };
                if entry.get(name).unwrap_or(&Value::Null) == &value {
                    continue;
                }
                if !patch[table].is_array() {
                    patch[table] = draft[table].clone();
                }
                patch[table][index][name] = value;
            }
            (None, "") => {
                if draft.get(name).unwrap_or(&Value::Null) != &value {
                    patch[name] = value;
                }
            }
            (None, table) => {
                if draft[table].get(name).unwrap_or(&Value::Null) != &value {
                    patch[table][name] = value;
                }
            }
        }
    }
    patch
}

/// `listener[1].tls` is the field `tls` of entry 1 of `listener`; `enabled` is a field of the file itself.
fn parts(path: &str) -> (&str, Option<usize>, &str) {
    let Some((table, name)) = path.rsplit_once('.') else { return ("", None, path) };
    let Some((list, index)) = table.strip_suffix(']').and_then(|table| table.split_once('[')) else {
        return (table, None, name);
    };
    (list, index.parse().ok(), name)
}

/// A text as the value of a field. What is no such value stays a text: the reader says best what is wrong with it.
fn typed_value(field: &FieldDoc, text: &str) -> Value {
    let trimmed = text.trim();
    let as_text = || match (trimmed, field.required) {
        ("", false) if field.default.is_none() => Value::Null,
        _ => text.into(),
    };
    match field.kind {
        Kind::Boolean => Value::Bool(trimmed == "true"),
        Kind::Number { .. } => trimmed.parse::<u64>().map_or_else(|_| text.into(), Value::from),
        Kind::Size { .. } => size::parse(trimmed).map_or_else(|| text.into(), Value::from),
        Kind::Texts | Kind::Choices { .. } => {
            let entries =
                trimmed.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty());
            entries.collect::<Vec<_>>().into()
        }
        Kind::Address => trimmed.into(),
        _ => as_text(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(fields: &[(&str, &str)]) -> Vec<(String, String)> {
        fields.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
    }

    fn draft() -> Value {
        json!({
            "enabled": false,
            "listener": [
                {"protocol": "tcp", "address": "127.0.0.1:1883", "tls": false},
                {"protocol": "websocket", "address": "127.0.0.1:8083", "path": "/mqtt", "tls": false},
            ],
            "limits": {"packet_bytes": 1_048_576, "receive_maximum": 1_024},
            "broker_certificate": {"names": []},
        })
    }

    #[test]
    fn only_what_differs_is_changed() {
        let same = [
            ("enabled", "false"),
            ("limits.packet_bytes", "1 MiB"),
            ("listener[0].tls", "false"),
            ("etag", "x"),
        ];
        assert_eq!(patch(&draft(), &typed(&same)), json!({}));
        let other = [
            ("enabled", "false"),
            ("enabled", "true"),
            ("limits.packet_bytes", "4 KiB"),
            ("limits.receive_maximum", "many"),
            ("listener[1].tls", "true"),
            ("broker_certificate.names", "a.example, ::1"),
            ("nothing.known", "1"),
        ];
        let mut listeners = draft()["listener"].clone();
        listeners[1]["tls"] = json!(true);
        let expected = json!({
            "enabled": true,
            "limits": {"packet_bytes": 4_096, "receive_maximum": "many"},
            "listener": listeners,
            "broker_certificate": {"names": ["a.example", "::1"]},
        });
        assert_eq!(patch(&draft(), &typed(&other)), expected);
    }

    #[test]
    fn a_server_that_is_added_has_a_port_of_its_own() {
        assert_eq!(new_listener(&draft(), "tcp")["address"], "127.0.0.1:1884");
        assert_eq!(new_listener(&draft(), "websocket")["address"], "127.0.0.1:8084");
        let mut patch = json!({});
        listeners(&mut patch, &draft()).push(new_listener(&draft(), "tcp"));
        assert_eq!(patch["listener"].as_array().map(Vec::len), Some(3));
    }

    #[test]
    fn paths_are_taken_apart_as_the_file_writes_them() {
        assert_eq!(parts("enabled"), ("", None, "enabled"));
        assert_eq!(parts("limits.packet_bytes"), ("limits", None, "packet_bytes"));
        assert_eq!(parts("listener[12].tls"), ("listener", Some(12), "tls"));
    }
}
