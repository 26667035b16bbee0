//! What a browser is shown when a page cannot be made, and what people are told of an operation that failed.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

use super::text::Foreign;
use super::views::form::{FieldProblem, Grade};
use super::views::login::TroublePage;
use super::views::shell::{Notice, Tone};
use crate::control::admin::problem::{Flaw, Problem};

/// A page that could not be made.
pub(super) struct Trouble(pub(super) Problem);

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Trouble {
        Trouble(problem)
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let Problem { title, detail, remedy, status, .. } = self.0;
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let page =
            TroublePage { title: String::from(title).into(), detail: detail.into(), remedy: remedy.into() };
        (status, shown(&page)).into_response()
    }
}

/// A page, rendered.
pub(super) fn shown(page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => Html(text).into_response(),
        // Writing to a text does not fail, and nothing else is done in a template.
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// An operation that failed, in a sentence and with everything that is wrong.
pub(super) fn told(problem: &Problem) -> Notice {
    let Problem { title, detail, remedy, problems, .. } = problem;
    let text = match remedy.as_str() {
        "" => format!("{title}: {detail}"),
        remedy => format!("{title}: {detail}; {remedy}"),
    };
    Notice { tone: Tone::Bad, text: text.into(), lines: problems.iter().map(flaw).collect() }
}

/// A flaw in a line.
pub(super) fn flaw(flaw: &Flaw) -> Foreign {
    let Flaw { path, what, remedy, .. } = flaw;
    let place = if path.is_empty() { String::new() } else { format!("{path}: ") };
    format!("{place}{what}; {remedy}").into()
}

/// Flaws as the problems of fields.
pub(super) fn of_fields(flaws: &[Flaw], grade: Grade) -> Vec<FieldProblem> {
    let problem = |flaw: &Flaw| FieldProblem {
        path: flaw.path.clone(),
        what: Foreign::of(&flaw.what),
        remedy: Foreign::of(&flaw.remedy),
        grade,
    };
    flaws.iter().map(problem).collect()
}
