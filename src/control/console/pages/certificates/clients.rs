//! Client Certificates.

use std::collections::HashMap;

use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};

use super::{changed, downloaded, form, life, password, pasted, several};
use crate::control::admin::ops;
use crate::control::admin::ops::client_certificates::{
    self as operations, ClientCertificateChange, ClientCertificateNew, ClientCertificateShown, ClientListing,
    ClientStatus, RejectedAuthorized,
};
use crate::control::admin::ops::presenting::{self, CertificateTrial};
use crate::control::admin::ops::rejected::RejectedAsked;
use crate::control::admin::ops::rules::Which;
use crate::control::admin::problem::Problem;
use crate::control::console::Console;
use crate::control::console::frame::{Fields, Visit, outside};
use crate::control::console::pages::Shown;
use crate::control::console::pages::settings;
use crate::control::console::text::{Foreign, count, plural};
use crate::control::console::trouble::{Trouble, shown, told};
use crate::control::console::views::certificates::{
    ClientCertificatesPage, ListedCertificate, Status, Trial,
};
use crate::control::console::views::form::Form;
use crate::control::console::views::list::List;
use crate::control::console::views::shell::{Notice, Page};

const PATH: &str = "/configuration/client-certificates";

pub(super) fn router() -> Router<Console> {
    Router::new()
        .route(PATH, get(page))
        .route("/configuration/client-certificates/add", post(add))
        .route("/configuration/client-certificates/authorize-rejected", post(authorize_rejected))
        .route("/configuration/client-certificates/try", post(present))
        .route("/configuration/client-certificates/status", post(status))
        .route("/configuration/client-certificates/remove", post(remove))
        .route("/configuration/client-certificates/export", get(export))
}

async fn page(visit: Visit) -> Shown {
    let notice = visit.notice();
    Ok(shown(&with(&visit, None, notice).await?))
}

async fn with(
    visit: &Visit,
    trial: Option<Trial>,
    mut notice: Option<Notice>,
) -> Result<ClientCertificatesPage, Trouble> {
    let desk = &visit.app().desk;
    let found = operations::list(desk).await.map_or_else(
        |problem| {
            notice.get_or_insert(told(&problem));
            Vec::new()
        },
        |of| of.answer,
    );
    let changed = changed(visit, "client_certificate").await?;
    let rejected = ops::rejected::list(desk, RejectedAsked::default()).await?;
    // Oldest first: the last one of each stays.
    let mut refused: HashMap<String, Foreign> = HashMap::new();
    for one in &rejected.rejections {
        if let Some(certificate) = &one.certificate {
            refused.insert(certificate.thumbprint.clone(), outside(format!("{}, {}", one.cause, one.at)));
        }
    }
    let online = operations::online(desk).await.unwrap_or_default(); // that the draft cannot be read is told already
    let online: HashMap<String, u64> =
        online.into_iter().map(|one| (one.thumbprint, one.connections)).collect();
    let (form, _) = settings::form(visit).await?;
    let query = visit.asked("q").to_lowercase();
    let rows: Vec<ListedCertificate> = found
        .iter()
        .filter(|certificate| holds(certificate, &query))
        .map(|certificate| ListedCertificate {
            changed: changed.contains(&certificate.thumbprint),
            online: online
                .get(&certificate.thumbprint)
                .map(|connections| format!("{} online", count(*connections))),
            rejection: refused.remove(&certificate.thumbprint),
            ..row(certificate)
        })
        .collect();
    let (list, certificates) = List::of(PATH, visit.asked("q"), visit.number("offset").unwrap_or(0), rows);
    let shell = visit.shell_saying(Page::ClientCertificates, notice).await?;
    Ok(ClientCertificatesPage {
        shell,
        matters: matters(&form),
        warnings: twins(&found),
        list,
        certificates,
        trial,
    })
}

/// Whether "Authorized" matters, in a sentence.
fn matters(form: &Form) -> &'static str {
    let only = form.on("certificates.trusted_authorized_only");
    let any = form.on("certificates.any_authorized");
    match (only, any) {
        (true, true) => "Only what is listed as Authorized is accepted, whoever has issued it.",
        (true, false) => "Of the trusted ones only what is listed as Authorized is accepted.",
        (false, true) => "What is listed as Authorized is accepted even if nobody trusts it.",
        (false, false) => {
            "“Authorized” has an effect once “Accept trusted authorized client certificates only” or “Accept any \
             authorized client certificate” is on."
        }
    }
}

/// Certificates of one name are pointed out: for topic rules they are one client.
fn twins(found: &[ClientCertificateShown]) -> Vec<Foreign> {
    let mut names: HashMap<&str, u64> = HashMap::new();
    for certificate in found.iter().filter(|certificate| certificate.same_common_name > 0) {
        if let Some(name) =
            certificate.certificate.as_ref().and_then(|certificate| certificate.common_name.as_deref())
        {
            *names.entry(name).or_default() += 1;
        }
    }
    let mut names: Vec<(&str, u64)> = names.into_iter().collect();
    names.sort_unstable();
    let said = |(name, number): &(&str, u64)| {
        let certificates = plural(*number, "certificate has", "certificates have");
        outside(format!("{certificates} the Common Name {name}: topic rules take them for one client"))
    };
    names.iter().map(said).collect()
}

fn holds(certificate: &ClientCertificateShown, query: &str) -> bool {
    let shown = certificate.certificate.as_ref();
    let texts = [certificate.name.as_str(), &certificate.thumbprint];
    let more = shown.map(|shown| [shown.subject.as_str(), &shown.issuer, &shown.sha1]);
    texts.into_iter().chain(more.into_iter().flatten()).any(|text| text.to_lowercase().contains(query))
}

fn row(listed: &ClientCertificateShown) -> ListedCertificate {
    let certificate = listed.certificate.as_ref();
    ListedCertificate {
        name: outside(&listed.name),
        subject: certificate.map(|certificate| outside(&certificate.subject)),
        issuer: certificate.map(|certificate| outside(&certificate.issuer)),
        sha256: listed.thumbprint.clone(),
        life: certificate.map(life),
        status: match listed.status {
            ClientStatus::Authorized => Status::Authorized,
            ClientStatus::Revoked => Status::Revoked,
            ClientStatus::Unlisted => Status::Unlisted,
        },
        online: None,
        rejection: None,
        changed: false,
    }
}

fn listing(fields: &Fields) -> ClientListing {
    if fields.text("status") == "revoked" { ClientListing::Revoked } else { ClientListing::Authorized }
}

async fn add(visit: Visit, fields: Fields) -> Response {
    let added = added(&visit, &fields).await;
    visit.done(PATH, added)
}

async fn added(visit: &Visit, fields: &Fields) -> Result<Notice, Problem> {
    let mut expected = fields.etag();
    let texts = several(fields.text("pem"));
    let name = fields.said("name").filter(|_| texts.len() == 1);
    let mut names = Vec::new();
    for text in &texts {
        let asked = ClientCertificateNew {
            data: Some(pasted(text)?),
            password: password(fields),
            name: name.clone(),
            status: listing(fields),
            expired: fields.on("expired"),
            ..ClientCertificateNew::default()
        };
        let of = operations::add(&visit.app().desk, asked, expected).await?;
        expected = of.hash;
        names.push(outside(of.answer.name));
    }
    let mut notice = Notice::good(format!(
        "{} in the draft.",
        plural(names.len() as u64, "certificate is", "certificates are")
    ));
    notice.lines = names;
    Ok(notice)
}

async fn present(visit: Visit, fields: Fields) -> Shown {
    let tried = tried(&visit, &fields).await;
    let (trial, notice) = match tried {
        Ok(trial) => (Some(trial), None),
        Err(problem) => (None, Some(told(&problem))),
    };
    Ok(shown(&with(&visit, trial, notice).await?))
}

async fn tried(visit: &Visit, fields: &Fields) -> Result<Trial, Problem> {
    let pem = fields.text("pem");
    let asked = CertificateTrial { data: pasted(pem)?, password: None, of: Which::Draft };
    let verdict = presenting::present(&visit.app().desk, asked).await?.answer;
    let name = verdict
        .client_name
        .map_or("it has no client name, or several".into(), |name| format!("client name {name}"));
    let trusted = if verdict.trusted { "it is trusted" } else { "it is not trusted" };
    let said = [Some(verdict.subject), Some(name), Some(trusted.into()), verdict.refusal];
    Ok(Trial {
        pem: outside(pem),
        accepted: verdict.accepted,
        said: said.into_iter().flatten().map(outside).collect(),
    })
}

async fn authorize_rejected(visit: Visit, fields: Fields) -> Response {
    let asked = RejectedAuthorized { thumbprint: fields.text("thumbprint").to_owned(), name: None };
    let listed = operations::authorize_rejected(&visit.app().desk, asked, fields.etag()).await;
    let notice = |name: String| {
        outside(format!("{name} is listed as Authorized in the draft: press Apply to let it in."))
    };
    visit.done(PATH, listed.map(|of| Notice::good(notice(of.answer.name))))
}

async fn status(visit: Visit, fields: Fields) -> Response {
    let asked = ClientCertificateChange { status: listing(&fields), name: None };
    let which = fields.text("thumbprint").to_owned();
    let changed = operations::change(&visit.app().desk, which, asked, fields.etag()).await;
    let notice = |listed: ClientCertificateShown| match listed.status {
        ClientStatus::Revoked => {
            outside(format!("{} is Revoked in the draft: Apply disconnects it.", listed.name))
        }
        _ => outside(format!("{} is Authorized in the draft.", listed.name)),
    };
    visit.done(PATH, changed.map(|of| Notice::good(notice(of.answer))))
}

async fn remove(visit: Visit, fields: Fields) -> Response {
    let which = fields.text("thumbprint").to_owned();
    let removed = operations::remove(&visit.app().desk, which, fields.etag()).await;
    visit.done(PATH, removed.map(|_| Notice::good("The certificate is no longer listed in the draft.")))
}

async fn export(visit: Visit) -> Shown {
    let which = visit.asked("thumbprint").to_owned();
    Ok(downloaded(operations::download(&visit.app().desk, which, form(&visit)).await?))
}
