//! The console's files over HTTP. Their URLs change with them: a browser may keep them for good.

use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

use super::{Console, assets};

const FOR_GOOD: &str = "public, max-age=31536000, immutable";

pub(super) fn router() -> Router<Console> {
    Router::new().route("/assets/{folder}/{name}", get(file)).route("/favicon.ico", get(icon))
}

async fn file(Path((folder, name)): Path<(String, String)>) -> Response {
    match assets::find(&folder, &name) {
        Some(asset) => {
            let headers = [(header::CONTENT_TYPE, asset.media_type), (header::CACHE_CONTROL, FOR_GOOD)];
            (headers, asset.bytes).into_response()
        }
        None => (StatusCode::NOT_FOUND, "there is no such file").into_response(),
    }
}

async fn icon() -> Redirect {
    Redirect::permanent(&assets::url("mark.svg"))
}
