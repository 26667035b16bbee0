//! A browser's visit: what its request says of itself, and what stands around the page that it gets.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;

use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::Method;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Form, extract::rejection::FormRejection};
use axum_extra::extract::CookieJar;

use super::Console;
use super::text::{Foreign, encoded};
use super::trouble::{Trouble, told};
use super::views::shell::{Notice, Page, Shell, Theme, Trial};
use crate::control::admin::App;
use crate::control::admin::guard::Caller;
use crate::control::admin::ops;
use crate::control::admin::ops::changes::ChangeMade;
use crate::control::admin::problem::Problem;

/// The cookie that says light or dark.
pub(super) const THEME: &str = "tidemq_theme";

/// What a request says of itself.
pub(super) struct Visit {
    console: Console,
    pub(super) theme: Theme,
    query: HashMap<String, String>,
    /// Where it is; nothing: something was posted.
    here: Option<String>,
    author: String,
}

impl FromRequestParts<Console> for Visit {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Visit, Infallible> {
        let jar = CookieJar::from_headers(&parts.headers);
        let theme = jar.get(THEME).map_or(Theme::Auto, |cookie| Theme::named(cookie.value()));
        // A query that is none asks for nothing.
        let query = Query::try_from_uri(&parts.uri).map(|Query(query)| query).unwrap_or_default();
        // What was posted cannot be asked for.
        let here = parts.uri.path_and_query().filter(|_| parts.method == Method::GET);
        let here = here.map(|here| without_notice(here.as_str()));
        let author = parts.extensions.get::<Caller>().map(|caller| caller.author.clone()).unwrap_or_default();
        Ok(Visit { console: console.clone(), theme, query, here, author })
    }
}

impl Visit {
    /// Who acts, for the history.
    pub(super) fn author(&self) -> &str {
        &self.author
    }

    /// What the handlers work with.
    pub(super) fn console(&self) -> &Console {
        &self.console
    }

    /// Through which operations are called.
    pub(super) fn app(&self) -> &App {
        &self.console.app
    }

    /// What the query says under a name; empty: nothing.
    pub(super) fn asked(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    /// The same as a number.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.query.get(name)?.parse().ok()
    }

    /// What stands around a page.
    ///
    /// # Errors
    /// The broker does not answer.
    pub(super) async fn shell(&self, page: Page) -> Result<Shell, Trouble> {
        self.shell_saying(page, self.notice()).await
    }

    /// What the action came to that led here.
    pub(super) fn notice(&self) -> Option<Notice> {
        self.number("said").and_then(|number| self.console.notices.take(number))
    }

    /// The same, with what an action came to.
    ///
    /// # Errors
    /// The broker does not answer.
    pub(super) async fn shell_saying(&self, page: Page, notice: Option<Notice>) -> Result<Shell, Trouble> {
        let summary = ops::summary::summary(&self.console.app.desk).await?;
        let waiting = ops::applying::waiting(&self.console.app.desk).await?;
        let trial = waiting.seconds_left.map(|seconds| Trial {
            generation: waiting.generation,
            seconds: u64::try_from(seconds).unwrap_or(0),
        });
        Ok(Shell {
            page,
            theme: self.theme,
            running: summary.running,
            generation: summary.pending.generation,
            pending: counted(&summary.pending.changes),
            problems: summary.pending.problems.len(),
            etag: summary.pending.hash.clone(),
            trial,
            notice,
            here: self.here.clone().unwrap_or_else(|| page.path().to_owned()),
        })
    }

    /// Where an action leads: a page that says what it came to.
    pub(super) fn to(&self, path: &str, notice: Notice) -> Response {
        let number = self.console.notices.keep(notice);
        let (path, place) = path.split_once('#').map_or((path, ""), |(path, place)| (path, place));
        let mark = if path.contains('?') { '&' } else { '?' };
        let hash = if place.is_empty() { String::new() } else { format!("#{place}") };
        Redirect::to(&format!("{path}{mark}said={number}{hash}")).into_response()
    }

    /// The same for an action that may have failed.
    pub(super) fn done(&self, path: &str, outcome: Result<Notice, Problem>) -> Response {
        self.to(path, outcome.unwrap_or_else(|problem| told(&problem)))
    }
}

/// The fields of a form, in their order. A field that came twice says what it said last: a box that is not ticked is only
/// its hidden companion.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(pub(super) Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Trouble;

    async fn from_request(request: Request, state: &S) -> Result<Fields, Trouble> {
        let fields: Result<Form<Vec<(String, String)>>, FormRejection> =
            Form::from_request(request, state).await;
        fields
            .map(|Form(fields)| Fields(fields))
            .map_err(|error| Trouble(Problem::bad_request(error.body_text())))
    }
}

impl Fields {
    /// What a field says; empty: nothing.
    pub(super) fn text(&self, name: &str) -> &str {
        self.if_there(name).unwrap_or_default()
    }

    /// The same; `None`: it did not come.
    pub(super) fn if_there(&self, name: &str) -> Option<&str> {
        self.0.iter().rfind(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// What a field says, without spaces around it; `None`: nothing.
    pub(super) fn said(&self, name: &str) -> Option<String> {
        Some(self.text(name).trim()).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// A field that is a number.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn number<N: std::str::FromStr>(&self, name: &str) -> Result<N, Problem> {
        let text = self.text(name).trim();
        text.parse().map_err(|_| Problem::bad_request(format!("{name}: {text:?} is not a number that fits")))
    }

    /// Whether a box is ticked.
    pub(super) fn on(&self, name: &str) -> bool {
        self.text(name) == "true"
    }

    /// The draft as it was when the page was made.
    pub(super) fn etag(&self) -> Option<String> {
        self.said("etag")
    }

    /// Entries of a field that holds several, separated by commas or spaces.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let entries = self.text(name).split(|c: char| c == ',' || c.is_whitespace());
        entries.filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
    }
}

/// Changes as people count them: an entry of a list that comes or goes is one, whatever fields it has.
fn counted(changes: &[ChangeMade]) -> usize {
    let what = |change: &ChangeMade| {
        let whole = change.before.is_none() || change.after.is_none();
        let end = change.path.rfind("].").filter(|_| whole).map_or(change.path.len(), |end| end + 1);
        change.path[..end].to_owned()
    };
    changes.iter().map(what).collect::<BTreeSet<String>>().len()
}

/// A path without the number of a notice: it was shown.
fn without_notice(here: &str) -> String {
    let Some((path, query)) = here.split_once('?') else { return here.to_owned() };
    let rest: Vec<&str> = query.split('&').filter(|part| !part.starts_with("said=")).collect();
    if rest.is_empty() { path.to_owned() } else { format!("{path}?{}", rest.join("&")) }
}

/// Only a path of this console leads back there: never another site.
pub(super) fn own_path(path: &str) -> &str {
    let own = path.starts_with('/') && !path.starts_with("//") && !path.contains(['\\', '\n', '\r', '\t']);
    if own { path } else { "/status" }
}

/// A path with a query.
pub(super) fn with_query(path: &str, query: &[(&str, &str)]) -> String {
    let mut url = path.to_owned();
    for (index, (name, value)) in query.iter().enumerate() {
        url.push(if index == 0 { '?' } else { '&' });
        url.push_str(&format!("{name}={}", encoded(value)));
    }
    url
}

/// A text as a value that comes from outside.
pub(super) fn outside(text: impl ToString) -> Foreign {
    Foreign::of(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_paths_lead_back() {
        for path in ["https://example.org", "//example.org", "/\\example.org", "status", "", "/\texample.org"]
        {
            assert_eq!(own_path(path), "/status", "{path:?}");
        }
        assert_eq!(own_path("/clients?q=//x"), "/clients?q=//x");
    }

    #[test]
    fn an_entry_that_comes_is_one_change() {
        let made = |path: &str, before: Option<&str>| ChangeMade {
            path: path.into(),
            before: before.map(str::to_owned),
            after: Some("x".into()),
            effect: "live".into(),
            note: None,
        };
        let entry = [made("user[\"a].b\"].name", None), made("user[\"a].b\"].password", None)];
        assert_eq!(counted(&entry), 1);
        let fields = [
            made("listener[0].tls", Some("false")),
            made("listener[0].address", Some("y")),
            made("enabled", None),
        ];
        assert_eq!(counted(&fields), 3);
    }

    #[test]
    fn a_notice_is_not_asked_for_again() {
        assert_eq!(without_notice("/clients?q=a&said=7"), "/clients?q=a");
        assert_eq!(without_notice("/clients?said=7"), "/clients");
        assert_eq!(without_notice("/clients"), "/clients");
    }

    #[test]
    fn a_field_says_what_it_said_last() {
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let fields = Fields(vec![field("tls", "false"), field("tls", "true"), field("names", " a, b\tc ")]);
        assert!(fields.on("tls") && !fields.on("else"));
        assert_eq!(fields.list("names"), ["a", "b", "c"]);
        assert_eq!(fields.said("names").as_deref(), Some("a, b\tc"));
        assert!(fields.number::<u16>("names").is_err());
    }
}
