//! Certificate Authorities, and what the one that issues issues.

use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{alternative_names, attached, changed, downloaded, form, key_kind, life, password, pasted};
use crate::control::admin::ops::authorities::{
    self as operations, AuthorityImport, AuthorityNew, AuthorityShown,
};
use crate::control::admin::ops::issuing::{self, BundleForm, ClientIssue};
use crate::control::admin::problem::Problem;
use crate::control::console::Console;
use crate::control::console::frame::{Fields, Visit, outside};
use crate::control::console::pages::Shown;
use crate::control::console::trouble::{Trouble, shown, told};
use crate::control::console::views::certificates::{AuthoritiesPage, Authority};
use crate::control::console::views::shell::{Notice, Page};

const PATH: &str = "/configuration/certificate-authorities";

pub(super) fn router() -> Router<Console> {
    Router::new()
        .route(PATH, get(list))
        .route("/configuration/certificate-authorities/create", post(create))
        .route("/configuration/certificate-authorities/import", post(import))
        .route("/configuration/certificate-authorities/use", post(let_issue))
        .route("/configuration/certificate-authorities/remove", post(remove))
        .route("/configuration/certificate-authorities/export", get(export))
        .route("/configuration/certificate-authorities/issue", post(issue))
}

async fn list(visit: Visit) -> Shown {
    let mut notice = visit.notice();
    let found = operations::list(&visit.app().desk).await;
    let changed = changed(&visit, "authority").await?;
    let authorities = match found {
        Ok(of) => of
            .answer
            .iter()
            .map(|authority| row(authority, changed.contains(&authority.thumbprint)))
            .collect(),
        Err(problem) => {
            notice.get_or_insert(told(&problem));
            Vec::new()
        }
    };
    let shell = visit.shell_saying(Page::CertificateAuthorities, notice).await?;
    Ok(shown(&AuthoritiesPage { shell, authorities }))
}

fn row(authority: &AuthorityShown, changed: bool) -> Authority {
    let certificate = authority.certificate.as_ref();
    Authority {
        name: outside(&authority.name),
        subject: outside(
            certificate.map_or("its certificate is not in the store", |certificate| &certificate.subject),
        ),
        sha256: authority.thumbprint.clone(),
        sha1: certificate.map(|certificate| certificate.sha1.clone()),
        key_type: outside(certificate.map_or("", |certificate| &certificate.key)),
        key: authority.has_key,
        issues: authority.issues,
        changed,
        life: certificate.map(life),
        listed: (authority.authorized_clients + authority.unlisted_clients) as u64,
    }
}

async fn create(visit: Visit, fields: Fields) -> Shown {
    let asked = AuthorityNew {
        name: fields.text("name").trim().to_owned(),
        days: fields.number("days").map_err(Trouble)?,
        key_type: key_kind(&fields),
        issues: fields.on("issues"),
    };
    let created = operations::create(&visit.app().desk, asked, fields.etag()).await;
    let notice =
        |authority: AuthorityShown| outside(format!("The authority {} is in the draft.", authority.name));
    Ok(visit.done(PATH, created.map(|of| Notice::good(notice(of.answer)))))
}

async fn import(visit: Visit, fields: Fields) -> Response {
    let imported = imported(&visit, &fields).await;
    visit.done(PATH, imported)
}

async fn imported(visit: &Visit, fields: &Fields) -> Result<Notice, Problem> {
    let asked = AuthorityImport {
        data: pasted(fields.text("pem"))?,
        key: None,
        password: password(fields),
        name: fields.said("name"),
        issues: fields.on("issues"),
    };
    let taken = operations::take(&visit.app().desk, asked, fields.etag()).await?.answer;
    let with = if taken.authority.has_key { "with its private key" } else { "without a private key" };
    Ok(Notice::good(outside(format!("The authority {} is in the draft, {with}.", taken.authority.name))))
}

async fn let_issue(visit: Visit, fields: Fields) -> Response {
    let chosen =
        operations::let_issue(&visit.app().desk, fields.text("thumbprint").to_owned(), fields.etag()).await;
    let notice = |name: String| outside(format!("{name} issues, once this is applied."));
    visit.done(PATH, chosen.map(|of| Notice::good(notice(of.answer.name))))
}

async fn remove(visit: Visit, fields: Fields) -> Response {
    let removed =
        operations::remove(&visit.app().desk, fields.text("thumbprint").to_owned(), fields.etag()).await;
    visit.done(PATH, removed.map(|_| Notice::good("The authority is removed from the draft.")))
}

async fn export(visit: Visit) -> Shown {
    let which = visit.asked("thumbprint").to_owned();
    Ok(downloaded(operations::download(&visit.app().desk, which, form(&visit)).await?))
}

async fn issue(visit: Visit, fields: Fields) -> Response {
    match issued(&visit, &fields).await {
        Ok(file) => file,
        Err(problem) => visit.done(PATH, Err(problem)),
    }
}

async fn issued(visit: &Visit, fields: &Fields) -> Result<Response, Problem> {
    let form = if fields.text("format") == "pkcs12" { BundleForm::Pkcs12 } else { BundleForm::Pem };
    let asked = ClientIssue {
        name: fields.text("common_name").trim().to_owned(),
        sans: alternative_names(fields),
        days: fields.number("days")?,
        key_type: key_kind(fields),
        form,
        password: password(fields).filter(|_| form == BundleForm::Pkcs12),
        old_encryption: fields.on("old_encryption"),
        authority: fields.said("thumbprint"),
        authorize: fields.on("list"),
    };
    let issued = issuing::issue(&visit.app().desk, asked, None).await?.answer;
    let bytes = STANDARD.decode(&issued.data).map_err(|_| Problem::bad_request("the file cannot be read"))?;
    Ok(attached(&issued.file_name, &issued.content_type, bytes))
}
