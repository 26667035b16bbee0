//! Whoever runs the broker: looks at what a shard holds, traces, and puts clients out. None of it but the last may change
//! what clients see, and what is told must be so at that moment.

use std::collections::BTreeSet;
use std::sync::Arc;

use tidemq::policy::{TraceSet, TraceSpec};
use tidemq::shard::{
    ClientQuery, ClientState, KickWhat, Looked, Measure, RetainedQuery, Shard, StateFilter, SubscriptionQuery,
};

use crate::rng::Rng;

/// One thing that it wants.
#[derive(Clone, Debug)]
pub enum Order {
    /// To see everything.
    Look,
    /// To have everything traced, or nothing.
    Trace(bool),
    /// To take a client's connection.
    Kick(String),
}

impl Order {
    pub fn draw(rng: &mut Rng, client_id: &str) -> Order {
        match rng.weighted(&[20, 4, 1]) {
            0 => Order::Look,
            1 => Order::Trace(rng.percent(50)),
            _ => Order::Kick(client_id.to_owned()),
        }
    }

    /// An error says what was not as it must be.
    pub fn carry_out(self, shard: &mut Shard) -> Result<(), String> {
        // Whoever takes records does so all the time; here it is seldom, and they are bounded.
        drop(shard.take_traced());
        match self {
            Order::Look => look(shard),
            Order::Trace(on) => {
                let everything = TraceSpec { payload_bytes: 9, ..TraceSpec::default() };
                let set = TraceSet::new(vec![everything]).expect("it is right");
                shard.set_trace(on.then(|| Arc::new(set)));
                Ok(())
            }
            Order::Kick(client_id) => {
                let connected = shard.client(&client_id).is_some_and(|row| is_connected(&row.state));
                let kicked = shard.kick(&client_id, KickWhat::Connection);
                let row = shard.client(&client_id);
                let stays = row.is_some_and(|row| is_connected(&row.state));
                let right = kicked == connected && !stays;
                if right {
                    Ok(())
                } else {
                    Err(format!("a kick of {client_id:?}: {connected}, {kicked}, {stays}"))
                }
            }
        }
    }
}

fn is_connected(state: &ClientState) -> bool {
    matches!(state, ClientState::Connected(_))
}

/// All parts of an answer.
fn all<Row, Place>(start: Place, mut ask: impl FnMut(Place) -> Looked<Row, Place>) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut from = Some(start);
    while let Some(place) = from {
        let looked = ask(place);
        rows.extend(looked.rows);
        from = looked.next;
    }
    rows
}

/// What is listed is what is counted.
fn look(shard: &Shard) -> Result<(), String> {
    let census = shard.census();
    let clients = all(0, |from| shard.clients(&ClientQuery::default(), from, 2));
    let names: BTreeSet<_> = clients.iter().map(|row| &row.client_id).collect();
    let connected = clients.iter().filter(|row| is_connected(&row.state)).count();
    let of_state = ClientQuery { state: StateFilter::Connected, ..ClientQuery::default() };
    let subscriptions = all((0, 0), |from| shard.subscriptions(&SubscriptionQuery::default(), from, 3));
    let retained = all(None, |from: Option<Box<str>>| {
        let Looked { rows, next } = shard.retained(&RetainedQuery::default(), from.as_deref(), 2);
        Looked { rows, next: next.map(Some) }
    });
    let backlog: usize = clients.iter().map(|row| row.backlog_messages).sum();
    let top = all(0, |from| shard.top_clients(Measure::Subscriptions, usize::MAX, from));
    let counted: usize = top.iter().map(|row| row.subscriptions).sum();
    let right = clients.len() == census.sessions
        && names.len() == clients.len()
        && connected == census.connected
        && all(0, |from| shard.clients(&of_state, from, 1)).len() == connected
        && subscriptions.len() == census.subscriptions
        && counted == census.subscriptions
        && backlog == census.backlog_messages
        // What has expired may not have been swept.
        && retained.len() <= census.retained
        && retained.is_sorted_by(|a, b| a.topic < b.topic);
    if right {
        Ok(())
    } else {
        Err(format!("what is listed is not what is counted: {census:?}, {clients:?}"))
    }
}
