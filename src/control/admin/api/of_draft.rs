//! How an edit of the draft looks over HTTP: `If-Match` says for which draft it is meant, `ETag` which one there is now.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::IntoParams;

use super::super::ops::certificate::Download;
use super::super::ops::editing::OfDraft;
use super::super::problem::Problem;

/// The draft that a change is meant for.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct IfMatch {
    /// `ETag` of the draft that the change is meant for: if somebody has changed it meanwhile, nothing is done (412).
    #[param(rename = "If-Match", required = false)]
    pub(super) if_match: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<IfMatch, Problem> {
        let mut sent = parts.headers.get_all(header::IF_MATCH).iter();
        let if_match = match (sent.next(), sent.next()) {
            (None, _) => None,
            (Some(one), None) => hash(one)?,
            (Some(_), Some(_)) => return Err(unreadable()),
        };
        Ok(IfMatch { if_match })
    }
}

/// `"..."`; `*`: any.
fn hash(value: &HeaderValue) -> Result<Option<String>, Problem> {
    let text = value.to_str().map_err(|_| unreadable())?.trim();
    if text == "*" {
        return Ok(None);
    }
    let bare = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let is_one = !bare.is_empty() && !bare.contains(['"', ',']);
    if is_one { Ok(Some(bare.to_owned())) } else { Err(unreadable()) }
}

fn unreadable() -> Problem {
    Problem::bad_request("If-Match cannot be read").remedy("send the ETag of one draft, in quotation marks")
}

/// An answer.
pub(super) fn shown<T: Serialize>(of: OfDraft<T>) -> Response {
    answered(StatusCode::OK, of)
}

/// An answer about something new.
pub(super) fn created<T: Serialize>(of: OfDraft<T>) -> Response {
    answered(StatusCode::CREATED, of)
}

/// Something is gone.
pub(super) fn gone(of: OfDraft<()>) -> Response {
    tagged(StatusCode::NO_CONTENT.into_response(), of.hash)
}

/// A file, to be kept by whoever asks.
pub(super) fn file(download: Download) -> Response {
    let disposition = format!("attachment; filename=\"{}\"", download.file_name);
    let headers = [
        (header::CONTENT_TYPE, download.content_type.to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    (headers, download.bytes).into_response()
}

fn answered<T: Serialize>(status: StatusCode, of: OfDraft<T>) -> Response {
    tagged((status, Json(of.answer)).into_response(), of.hash)
}

fn tagged(mut response: Response, hash: Option<String>) -> Response {
    let tag = hash.and_then(|hash| HeaderValue::from_str(&format!("\"{hash}\"")).ok());
    if let Some(tag) = tag {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sent(values: &[&'static str]) -> Result<Option<String>, u16> {
        let mut request = axum::http::Request::builder();
        for value in values {
            request = request.header("if-match", *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        let found = IfMatch::from_request_parts(&mut parts, &()).await;
        found.map(|found| found.if_match).map_err(|problem| problem.status)
    }

    #[tokio::test(flavor = "current_thread")]
    async fn one_tag_is_taken_with_or_without_its_quotation_marks() {
        assert_eq!(sent(&[]).await, Ok(None));
        assert_eq!(sent(&["*"]).await, Ok(None));
        assert_eq!(sent(&["\"ab12\""]).await, Ok(Some("ab12".into())));
        assert_eq!(sent(&["ab12"]).await, Ok(Some("ab12".into())));
        // A weak one never matches.
        assert_eq!(sent(&["W/\"ab12\""]).await, Err(400));
        for bad in [&["\"\""][..], &[""], &["\"a\", \"b\""], &["\"a\"", "\"b\""]] {
            assert_eq!(sent(bad).await, Err(400), "{bad:?}");
        }
    }

    #[test]
    fn an_answer_bears_the_tag_of_its_draft() {
        let of = |hash: Option<&str>| OfDraft { answer: 7, hash: hash.map(str::to_owned) };
        let tag = |response: &Response| response.headers().get("etag").cloned();
        assert_eq!(tag(&shown(of(Some("ab12")))).unwrap(), "\"ab12\"");
        assert_eq!(tag(&shown(of(None))), None);
        assert_eq!(created(of(None)).status(), 201);
        let gone = gone(of(Some("ab12")).map(|_| ()));
        assert_eq!(
            (gone.status().as_u16(), tag(&gone).unwrap()),
            (204, HeaderValue::from_static("\"ab12\""))
        );
    }
}
