//! Packets while they pass: armed for whom and what, also for clients that have not connected yet.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::desk::Desk;
use super::super::problem::Problem;
use crate::control::config::PACKETS;
use crate::control::trace::Listener;
use crate::mqtt::PacketType;
use crate::policy::trace::{Directions, PAYLOAD_MOST, PacketTypes, TraceProblem, TraceSpec};

/// Bytes of a payload, if nobody says how many.
const PAYLOAD: usize = 256;

/// Which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::control) enum TraceDirection {
    #[default]
    Both,
    /// From clients.
    In,
    /// To clients.
    Out,
}

/// Which packets.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::control) struct TraceAsked {
    /// Of this client; it need not be connected yet.
    pub(in crate::control) client_id: Option<String>,
    /// Packets that name a topic that this filter matches, and no others.
    pub(in crate::control) topic: Option<String>,
    /// `both`, `in` (from clients) or `out`.
    pub(in crate::control) direction: TraceDirection,
    /// Types of packets, separated by commas: `publish,subscribe`. All, if it is left out.
    pub(in crate::control) packets: Option<String>,
    /// How much of each payload, in bytes.
    #[param(maximum = 4096)]
    pub(in crate::control) payload_bytes: Option<usize>,
}

/// From now on somebody hears of these packets.
pub(in crate::control) async fn listen(desk: &Desk, asked: TraceAsked) -> Result<Listener, Problem> {
    let spec = TraceSpec {
        client_id: asked.client_id,
        topic: asked.topic,
        directions: match asked.direction {
            TraceDirection::Both => Directions::Both,
            TraceDirection::In => Directions::In,
            TraceDirection::Out => Directions::Out,
        },
        packets: asked.packets.map_or(Ok(PacketTypes::ALL), |names| packets(&names))?,
        payload_bytes: asked.payload_bytes.unwrap_or(PAYLOAD).min(PAYLOAD_MOST),
    };
    desk.ask(move |control| control.listen(spec)).await?.map_err(|problem| match problem {
        TraceProblem::Filter(_) => Problem::bad_request(format!("topic: {problem}")),
        TraceProblem::TooMany(_) => Problem::too_many("too many listen already")
            .remedy("close one; a listener without a filter hears what all of them hear"),
    })
}

fn packets(names: &str) -> Result<PacketTypes, Problem> {
    let named = |name: &str| {
        let found = PACKETS.iter().find(|(known, _)| *known == name.trim()).map(|(_, packet)| *packet);
        found.ok_or_else(|| {
            let known: Vec<&str> = PACKETS.iter().map(|(name, _)| *name).collect();
            Problem::bad_request(format!("packets: {name:?} is none of {}", known.join(", ")))
        })
    };
    Ok(PacketTypes::of(&names.split(',').map(named).collect::<Result<Vec<PacketType>, Problem>>()?))
}
