//! What happens on the operator's side, told to whoever listens: applied, enabled, reverted. A listener that does not keep
//! up loses the oldest and is told how many; nobody waits for it.

use std::convert::Infallible;

use axum::response::sse;
use futures_util::stream::{self, Stream};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use utoipa::ToSchema;

/// Events kept for a listener that is slow.
const KEPT: usize = 64;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct Told {
    /// Seconds since 1970, UTC.
    pub(in crate::control) unix_secs: i64,
    /// `applied`, `not-applied`, `confirmed`, `reverted`
    pub(in crate::control) kind: String,
    /// The generation in force.
    pub(in crate::control) generation: u64,
    /// The same for people.
    pub(in crate::control) text: String,
}

/// Where it is told.
#[derive(Clone, Debug)]
pub(in crate::control) struct Feed(broadcast::Sender<Told>);

impl Feed {
    pub(in crate::control) fn new() -> Feed {
        Feed(broadcast::Sender::new(KEPT))
    }

    /// Tells it; perhaps nobody listens.
    pub(in crate::control) fn tell(&self, told: Told) {
        let _nobody = self.0.send(told);
    }

    /// Everything that happens from now on, as server-sent events.
    pub(super) fn events(&self) -> impl Stream<Item = Result<sse::Event, Infallible>> + use<> {
        stream::unfold(self.0.subscribe(), async |mut listener| {
            let event = match listener.recv().await {
                Ok(told) => {
                    let kind = told.kind.clone();
                    let data = serde_json::to_string(&told).unwrap_or_default();
                    sse::Event::default().event(kind).data(data)
                }
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    sse::Event::default().event("missed").data(missed.to_string())
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            };
            Some((Ok(event), listener))
        })
    }
}
