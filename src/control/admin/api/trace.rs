//! Packets while they pass, as server-sent events.

use std::convert::Infallible;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream, StreamExt};

use super::super::App;
use super::super::body::Query;
use super::super::ops::tracing::{self, TraceAsked};
use super::super::problem::Problem;
use crate::control::trace::Heard;

/// Packets while they pass, as server-sent events, also of clients that are not connected yet. `armed` says that from now
/// on none is missed, `packet` is one as JSON, `lost` says how many a listener lost that does not keep up.
#[utoipa::path(get, path = "/api/v1/trace", tag = "diagnostics", params(TraceAsked),
    responses((status = 200, body = String, content_type = "text/event-stream")))]
pub(super) async fn packets(
    State(app): State<App>,
    Query(asked): Query<TraceAsked>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let listener = tracing::listen(&app.desk, asked).await?;
    let armed = stream::once(async { Ok(Event::default().event("armed").data("{}")) });
    let packets = stream::unfold(listener, async |mut listener| {
        let event = match listener.next().await? {
            Heard::Line(line) => Event::default().event("packet").data(&*line),
            Heard::Lost(lines) => Event::default().event("lost").data(lines.to_string()),
        };
        Some((Ok(event), listener))
    });
    Ok(Sse::new(armed.chain(packets)).keep_alive(KeepAlive::default()))
}
