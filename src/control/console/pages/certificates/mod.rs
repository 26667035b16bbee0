//! Certificate Authorities, Broker Certificate, Client Certificates.

mod authorities;
mod broker;
mod clients;

use std::collections::{BTreeSet, HashMap};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::control::admin::ops::certificate::{CertificateForm, CertificateShown, Download, KeyKind};
use crate::control::admin::ops::secret::{File, Secret};
use crate::control::admin::problem::Problem;
use crate::control::console::Console;
use crate::control::console::frame::{Fields, Visit};
use crate::control::console::pages::settings;
use crate::control::console::trouble::Trouble;
use crate::control::console::views::certificates::Life;

pub(super) fn router() -> Router<Console> {
    Router::new().merge(authorities::router()).merge(broker::router()).merge(clients::router())
}

fn now() -> i64 {
    time::OffsetDateTime::now_utc().unix_timestamp()
}

fn life(certificate: &CertificateShown) -> Life {
    Life { from: certificate.not_before_unix_secs, until: certificate.not_after_unix_secs, now: now() }
}

/// What of a table of the draft is not applied as it is: the thumbprints that stand in its entries.
async fn changed(visit: &Visit, table: &str) -> Result<BTreeSet<String>, Trouble> {
    let values = settings::values(visit).await?;
    // There may be ten thousand of them: found by their thumbprints, of which each stands in a table once.
    let entries = |of: &serde_json::Value| -> HashMap<String, serde_json::Value> {
        let all = of[table].as_array().into_iter().flatten();
        all.filter_map(|entry| Some((entry["thumbprint"].as_str()?.to_owned(), entry.clone()))).collect()
    };
    let applied = entries(&values.applied);
    let differ =
        entries(&values.draft).into_iter().filter(|(which, entry)| applied.get(which) != Some(entry));
    Ok(differ.map(|(which, _)| which).collect())
}

/// A file that was pasted: PEM as it stands, else what it is in base64.
fn pasted(text: &str) -> Result<File, Problem> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Problem::bad_request("no certificate was given"));
    }
    if text.contains("-----BEGIN") {
        return Ok(File::of(text.as_bytes()));
    }
    let bare: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    match STANDARD.decode(&bare) {
        Ok(bytes) => Ok(File::of(&bytes)),
        Err(_) => Err(Problem::bad_request("this is neither PEM nor a file in base64")),
    }
}

/// The certificates of a text that may hold several, each with what is not one of its own: keys are let go.
fn several(text: &str) -> Vec<String> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    if text.matches(BEGIN).count() < 2 {
        return vec![text.to_owned()];
    }
    text.split(BEGIN).skip(1).map(|rest| format!("{BEGIN}{rest}")).collect()
}

fn password(fields: &Fields) -> Option<Secret> {
    Some(fields.text("password")).filter(|text| !text.is_empty()).map(|text| Secret::from(text.to_owned()))
}

fn form(visit: &Visit) -> CertificateForm {
    match visit.asked("format") {
        "der" => CertificateForm::Der,
        "chain" => CertificateForm::PemChain,
        _ => CertificateForm::Pem,
    }
}

fn key_kind(fields: &Fields) -> KeyKind {
    match fields.text("key") {
        "ecdsa-p384" => KeyKind::EcdsaP384,
        "ed25519" => KeyKind::Ed25519,
        "rsa-2048" => KeyKind::Rsa2048,
        "rsa-3072" => KeyKind::Rsa3072,
        "rsa-4096" => KeyKind::Rsa4096,
        _ => KeyKind::EcdsaP256,
    }
}

fn downloaded(download: Download) -> Response {
    attached(&download.file_name, download.content_type, download.bytes)
}

/// A file for the reader's disk. Its name holds letters, digits, `-`, `.` and `_` only.
fn attached(name: &str, media_type: &str, bytes: Vec<u8>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, media_type.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    (StatusCode::OK, headers, bytes).into_response()
}

/// Other names of a certificate: what is a name or an address by itself is taken for one.
fn alternative_names(fields: &Fields) -> Vec<String> {
    let named = |name: String| match name {
        name if name.contains(':') && name.parse::<std::net::IpAddr>().is_err() => name,
        name if name.parse::<std::net::IpAddr>().is_ok() => format!("IP:{name}"),
        name if name.contains('@') => format!("email:{name}"),
        name => format!("DNS:{name}"),
    };
    fields.list("names").into_iter().map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_certificates_of_one_text_are_taken_one_by_one() {
        let one = "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n";
        assert_eq!(several(one), [one]);
        assert_eq!(several(&format!("subject\n{one}{one}")), [one, one]);
        assert_eq!(several("TUlJ"), ["TUlJ"]);
    }

    #[test]
    fn other_names_are_told_apart() {
        let fields = Fields(vec![("names".into(), "a.example ::1, 192.0.2.7 x@y URI:urn:z".into())]);
        let names = ["DNS:a.example", "IP:::1", "IP:192.0.2.7", "email:x@y", "URI:urn:z"];
        assert_eq!(alternative_names(&fields), names);
    }
}
