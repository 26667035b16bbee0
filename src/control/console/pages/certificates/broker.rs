//! Broker Certificate.

use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};

use super::{downloaded, form, life, password, pasted};
use crate::control::admin::ops::broker_certificate::{
    self as operations, BrokerCertificateImport, BrokerCertificateNew, BrokerCertificateShown,
    BrokerCertificateUse, BrokerSource,
};
use crate::control::admin::ops::certificate::CertificateShown;
use crate::control::admin::problem::Problem;
use crate::control::console::Console;
use crate::control::console::frame::{Fields, Visit, outside};
use crate::control::console::pages::{Shown, settings};
use crate::control::console::trouble::{shown, told};
use crate::control::console::views::certificates::{BrokerCertificatePage, Presented, Stored};
use crate::control::console::views::shell::{Notice, Page};

const PATH: &str = "/configuration/broker-certificate";

pub(super) fn router() -> Router<Console> {
    Router::new()
        .route(PATH, get(page))
        .route("/configuration/broker-certificate/new", post(renew))
        .route("/configuration/broker-certificate/import", post(import))
        .route("/configuration/broker-certificate/use", post(choose))
        .route("/configuration/broker-certificate/export", get(export))
}

async fn page(visit: Visit) -> Shown {
    let mut notice = visit.notice();
    let found = operations::show(&visit.app().desk).await.map_or_else(
        |problem| {
            notice.get_or_insert(told(&problem));
            BrokerCertificateShown {
                source: BrokerSource::None,
                certificate: None,
                names: Vec::new(),
                renew_at: None,
                renew_at_unix_secs: None,
                doubts: Vec::new(),
                stored: Vec::new(),
            }
        },
        |of| of.answer,
    );
    let values = settings::values(&visit).await?;
    let shell = visit.shell_saying(Page::BrokerCertificate, notice).await?;
    let in_use = found.certificate.as_ref().map(|certificate| certificate.thumbprint.clone());
    let others = found.stored.iter().filter(|stored| Some(&stored.thumbprint) != in_use.as_ref());
    Ok(shown(&BrokerCertificatePage {
        shell,
        automatic: found.source != BrokerSource::Stored,
        changed: values.draft["broker_certificate"] != values.applied["broker_certificate"],
        doubts: found.doubts.iter().map(outside).collect(),
        names: outside(found.names.join(", ")),
        renewal: found.renew_at.as_ref().map(outside),
        stored: others
            .map(|stored| Stored { subject: outside(&stored.subject), sha256: stored.thumbprint.clone() })
            .collect(),
        current: found.certificate.as_ref().map(presented),
    }))
}

fn presented(certificate: &CertificateShown) -> Presented {
    let mut chain = vec![outside(&certificate.subject)];
    if !certificate.self_issued {
        chain.push(outside(&certificate.issuer));
    }
    Presented {
        subject: outside(&certificate.subject),
        issuer: outside(if certificate.self_issued { "itself" } else { &certificate.issuer }),
        names: outside(certificate.alternative_names.join(", ")),
        key_type: outside(&certificate.key),
        chain,
        life: life(certificate),
        sha256: certificate.thumbprint.clone(),
        sha1: certificate.sha1.clone(),
    }
}

async fn renew(visit: Visit, fields: Fields) -> Response {
    let asked = BrokerCertificateNew { names: fields.list("names"), key_type: None };
    let renewed = operations::renew(&visit.app().desk, asked, fields.etag()).await;
    visit.done(
        PATH,
        renewed.map(|_| {
            Notice::good("A new certificate was made. No client is dropped: new connections see it.")
        }),
    )
}

async fn import(visit: Visit, fields: Fields) -> Response {
    let imported = imported(&visit, &fields).await;
    visit.done(PATH, imported)
}

async fn imported(visit: &Visit, fields: &Fields) -> Result<Notice, Problem> {
    let asked =
        BrokerCertificateImport { data: pasted(fields.text("pem"))?, key: None, password: password(fields) };
    let taken = operations::take(&visit.app().desk, asked, fields.etag()).await?.answer;
    let mut notice = Notice::good("The certificate is in the draft.");
    notice.lines = taken.broker_certificate.doubts.iter().map(outside).collect();
    Ok(notice)
}

async fn choose(visit: Visit, fields: Fields) -> Response {
    let asked = BrokerCertificateUse { certificate: fields.text("certificate").to_owned() };
    let chosen = operations::choose(&visit.app().desk, asked, fields.etag()).await;
    visit.done(PATH, chosen.map(|_| Notice::good("The choice is in the draft.")))
}

async fn export(visit: Visit) -> Shown {
    Ok(downloaded(operations::download(&visit.app().desk, form(&visit)).await?))
}
