//! The measuring loop against a mock broker and a virtual clock: what it measures, and what it finds.

use super::mock::{Fault, World};
use super::*;
use crate::plan::{Cuts, Durability, Login, Rate, Transport};
use crate::record::Phase;
use crate::scenarios::{Naming, Shape, Versions};
use crate::websocket::Endpoint;
use tidemq::mqtt::{QoS, Version};

pub(super) const START: Nanos = SECOND;
pub(super) const FOREVER: Nanos = 1000 * SECOND;

pub(super) fn plan(shape: Shape, qos: QoS, rate: Rate, messages: u64) -> Plan {
    let group = "g".to_owned();
    let naming = Naming { prefix: "t".into(), run: 7, versions: Versions::Mixed, group, workers: 1 };
    let cast = shape.cast(&naming, qos);
    Plan {
        run: 7,
        clients: cast.clients,
        streams: cast.streams,
        publishers: cast.publishers,
        shared: matches!(shape, Shape::Shared { .. }),
        workers: 1,
        transport: Transport::Tcp,
        security: None,
        login: Login::default(),
        durability: Durability::Clean,
        payload: 40,
        rate,
        messages: Some(messages),
        duration: None,
        warmup: 0,
        max_inflight: 100,
        connect_rate: None,
        connect_parallel: 3,
        cuts: None,
    }
}

/// A world in which connections are cut, and far enough away that cuts meet messages on their way.
fn chaos(seed: u64, fault: Fault) -> World {
    let shape = Shape::Chaos { publishers: 12, subscribers: 12, topics: 4 };
    let mut plan = plan(shape, QoS::AtMostOnce, Rate::PerSec(500.0), 3000);
    plan.durability = Durability::Durable;
    plan.cuts = Some(Cuts { per_sec: 20.0, longest_away: SECOND / 5, seed });
    let mut world = World::new(plan);
    (world.latency, world.fault) = (SECOND / 100, fault);
    world
}

/// Connects, publishes everything and receives what comes.
pub(super) fn play(world: &mut World) -> Tally {
    let everybody = world.worker.len() as u64;
    let ready = world.run(Act::Connect, 0, START, |t| t[Count::Ready] + t[Count::Failed] == everybody);
    assert_eq!(ready[Count::Ready], everybody);
    world.now = world.now.max(START - 1);
    world.run(Act::Publish, START, FOREVER, |t| t[Count::Done] == 1);
    let quiet = world.now + 10 * SECOND;
    let settled = |t: &Tally| {
        t[Count::UniqueSure] >= t[Count::ExpectedSure] && t[Count::Inflight] == 0 && t[Count::Away] == 0
    };
    let complete = move |t: &Tally| settled(t) && t[Count::UniqueLoose] >= t[Count::ExpectedLoose];
    world.run(Act::Drain, START, quiet, complete)
}

#[test]
fn every_scenario_at_every_qos_delivers_everything_and_measures_the_way() {
    let shapes = [
        Shape::Fanout { publishers: 2, subscribers: 5, topics: 3 },
        Shape::Fanin { publishers: 5, subscribers: 2 },
        Shape::PointToPoint { pairs: 4 },
    ];
    for shape in shapes {
        for (qos, ways) in [(QoS::AtMostOnce, 0), (QoS::AtLeastOnce, 2), (QoS::ExactlyOnce, 4)] {
            for rate in [Rate::Window(3), Rate::PerSec(1000.0)] {
                let mut world = World::new(plan(shape, qos, rate, 200));
                let tally = play(&mut world);
                assert_eq!(tally[Count::Published], 200, "{shape:?} {qos:?} {rate:?}");
                let found = world.findings();
                assert_eq!(found.seen.misdelivered + found.seen.foreign + found.lost_sessions, 0);
                let fan = u64::from(found.seen.deliveries[qos as usize].unique > 0) * 200;
                let d = found.seen.deliveries[qos as usize];
                assert_eq!(
                    (d.unique % fan, d.repeated + d.repeated_dup + d.late),
                    (0, 0),
                    "{shape:?} {qos:?} {rate:?}"
                );
                assert_eq!(d.unique, tally[Count::ExpectedLoose] + tally[Count::ExpectedSure]);
                // To the broker and back: two ways of a microsecond, and QoS 2 twice that to its end.
                let phase =
                    |p| found.seen.recorder.histogram(p).map(|h| ((h.min() + 50) / 100, h.max() / 100));
                assert_eq!(phase(Phase::EndToEnd), Some((20, 20)), "{shape:?} {qos:?} {rate:?}");
                let done = phase(Phase::PubAck).or(phase(Phase::PubComp));
                assert_eq!(done, (ways > 0).then_some((ways * 10, ways * 10)));
                assert_eq!(phase(Phase::ConnAck), Some((20, 20)));
            }
        }
    }
}

/// The reason for the open loop. The broker stalls for a second; one publisher may have one message in flight, so it
/// sends one message into the stall and cannot send the others. All of them were due.
#[test]
fn a_stall_is_charged_to_every_message_that_was_due_in_it() {
    let mut plan = plan(Shape::PointToPoint { pairs: 1 }, QoS::AtLeastOnce, Rate::PerSec(1000.0), 5000);
    plan.max_inflight = 1;
    let mut world = World::new(plan);
    world.stall = (START + 2 * SECOND, START + 3 * SECOND);
    play(&mut world);
    let found = world.findings();
    let slow = |p| {
        let h = found.seen.recorder.histogram(p).expect("recorded");
        (h.len(), h.count_between(SECOND / 2, 10 * SECOND))
    };
    let (all, slow_due) = slow(Phase::EndToEnd);
    let (all_raw, slow_raw) = slow(Phase::EndToEndRaw);
    assert_eq!((all, all_raw), (5000, 5000), "nothing that was due is missing from the measurement");
    assert!((495..=510).contains(&slow_due), "the messages due in the first half of the stall: {slow_due}");
    assert!(slow_raw <= 2, "a generator that waits sees one slow message: {slow_raw}");
    let lag = found.seen.recorder.histogram(Phase::Lag).expect("recorded");
    assert_eq!(lag.max(), 0, "the generator was never late by itself");
    // The median is what it was: the stall is no average.
    let h = found.seen.recorder.histogram(Phase::EndToEnd).expect("recorded");
    assert!(h.value_at_quantile(0.5) < 3000 && h.value_at_quantile(0.99) > 900_000_000);
}

#[test]
fn a_closed_loop_keeps_its_window() {
    let shape = Shape::Fanout { publishers: 3, subscribers: 10, topics: 1 };
    let mut world = World::new(plan(shape, QoS::AtMostOnce, Rate::Window(6), 600));
    play(&mut world);
    assert!((51..=60).contains(&world.most_outstanding), "{}", world.most_outstanding);
}

#[test]
fn a_closed_loop_goes_on_after_losses() {
    let mut world = World::new(plan(Shape::PointToPoint { pairs: 2 }, QoS::AtMostOnce, Rate::Window(4), 500));
    world.fault = Fault::Lose(10);
    let tally = play(&mut world);
    assert_eq!((tally[Count::Published], tally[Count::UniqueLoose]), (500, 450));
    assert!(world.findings().stalls >= 10);
}

#[test]
fn broken_promises_are_found() {
    let shape = Shape::Fanout { publishers: 1, subscribers: 3, topics: 1 };
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        for fault in [Fault::Lose(50), Fault::Repeat(50), Fault::Swap(50)] {
            let mut world = World::new(plan(shape, qos, Rate::PerSec(500.0), 300));
            world.fault = fault;
            play(&mut world);
            let d = world.findings().seen.deliveries[qos as usize];
            let expected = match fault {
                Fault::Lose(_) => (18, 0, 0),
                Fault::Repeat(_) => (0, 18, 0),
                // The last delivery of all is held back and has no successor.
                _ => (1, 0, 17),
            };
            assert_eq!((900 - d.unique, d.repeated, d.late), expected, "{qos:?} {fault:?}");
        }
    }
}

#[test]
fn cut_connections_lose_nothing_with_a_broker_that_keeps_sessions() {
    for seed in 0..20 {
        let mut world = chaos(seed, Fault::None);
        let tally = play(&mut world);
        let found = world.findings();
        let [zero, one, two] = found.seen.deliveries;
        assert!(found.cuts > 50, "seed {seed}: {} cuts", found.cuts);
        assert_eq!(found.failures, BTreeMap::new(), "seed {seed}");
        assert_eq!((tally[Count::Published], found.lost_sessions), (3000, 0), "seed {seed}");
        assert_eq!(one.unique + two.unique, tally[Count::ExpectedSure], "seed {seed}");
        assert_eq!((two.repeated, two.repeated_dup), (0, 0), "seed {seed}");
        assert_eq!((one.late, two.late, zero.repeated), (0, 0, 0), "seed {seed}");
        assert!(zero.unique < tally[Count::ExpectedLoose], "QoS 0 is not kept for who is away");
        let done = [Phase::PubAck, Phase::PubComp]
            .map(|p| found.seen.recorder.histogram(p).map_or(0, hdrhistogram::Histogram::len));
        let sent: [u64; 2] = [1, 2].map(|qos| {
            found.published.iter().filter(|(s, _)| s % 3 == qos).map(|(_, n)| u64::from(*n)).sum()
        });
        assert_eq!(done, sent, "seed {seed}");
    }
}

#[test]
fn cut_connections_find_a_broker_that_breaks_its_promises() {
    let (mut lost, mut twice) = (0, 0);
    for seed in 0..5 {
        let mut world = chaos(seed, Fault::ForgetInflight);
        let tally = play(&mut world);
        lost += tally[Count::ExpectedSure] - tally[Count::UniqueSure];
        let mut world = chaos(seed, Fault::TakeTwice);
        play(&mut world);
        twice += world.findings().seen.deliveries[2].repeated;
    }
    assert!(lost > 0 && twice > 0, "lost {lost}, twice {twice}");
}

#[test]
fn durable_sessions_are_ended_at_the_end() {
    let mut world = chaos(1, Fault::None);
    play(&mut world);
    world.run(Act::Finish, START, FOREVER, |_| false);
    assert!(world.worker.is_finished());
    assert_eq!(world.sessions_left(), 0);
}

#[test]
fn refused_connections_are_counted_with_their_reason() {
    let mut plan = plan(Shape::Connect { connections: 10 }, QoS::AtMostOnce, Rate::Window(1), 0);
    plan.clients.iter_mut().for_each(|c| c.version = Version::V5);
    let mut world = World::new(plan);
    world.fault = Fault::Refuse;
    let tally = world.run(Act::Connect, 0, START, |t| t[Count::Failed] == 10);
    assert_eq!((tally[Count::Failed], tally[Count::Ready]), (10, 0));
    let failures = world.findings().failures;
    assert_eq!(
        failures.into_iter().collect::<Vec<_>>(),
        [("CONNACK refused: NotAuthorized (0x87)".to_owned(), 10)]
    );
}

#[test]
fn idle_connections_are_pinged_and_a_deaf_broker_is_noticed() {
    let mut idle = plan(Shape::Connect { connections: 10 }, QoS::AtMostOnce, Rate::Window(1), 0);
    idle.login.keep_alive_secs = 20;
    let mut world = World::new(idle.clone());
    let tally = world.run(Act::Connect, 0, 60 * SECOND, |_| false);
    assert_eq!(tally[Count::Failed], 0);
    // Each once in 15 s, from the fifteenth on.
    assert!((29..=31).contains(&world.pings), "{}", world.pings);
    let mut world = World::new(idle);
    world.fault = Fault::Deaf;
    let tally = world.run(Act::Connect, 0, 120 * SECOND, |_| false);
    assert_eq!(tally[Count::Failed], 10);
}

#[test]
fn connections_come_at_their_rate() {
    let mut plan = plan(Shape::Connect { connections: 100 }, QoS::AtMostOnce, Rate::Window(1), 0);
    (plan.connect_rate, plan.connect_parallel) = (Some(50.0), usize::MAX);
    let mut world = World::new(plan);
    world.run(Act::Connect, 0, FOREVER, |t| t[Count::Ready] == 100);
    assert!((SECOND * 198 / 100..SECOND * 199 / 100).contains(&world.now), "{}", world.now);
}

#[test]
fn a_rate_that_cannot_be_kept_leaves_messages_unsent_and_says_so() {
    let mut plan = plan(Shape::PointToPoint { pairs: 1 }, QoS::AtLeastOnce, Rate::PerSec(1000.0), 0);
    (plan.messages, plan.duration, plan.max_inflight) = (None, Some(SECOND), 1);
    let mut world = World::new(plan);
    // A round trip of 10 ms: a hundred messages a second.
    world.latency = 5 * SECOND / 1000;
    world.run(Act::Connect, 0, START, |t| t[Count::Ready] == 2);
    world.now = START - 1;
    world.run(Act::Publish, START, START + 2 * SECOND, |t| t[Count::Done] == 1);
    let tally = world.run(Act::Drain, START, FOREVER, |t| t[Count::Inflight] == 0);
    assert!((195..=205).contains(&tally[Count::Published]), "{}", tally[Count::Published]);
    assert_eq!(tally[Count::Published] + tally[Count::Unsent], 1000);
}

pub(super) fn over_websocket(mut plan: Plan) -> Plan {
    let endpoint = Endpoint { host: "mock".into(), path: "/mqtt".into(), seed: 5 };
    plan.transport = Transport::WebSocket(Arc::new(endpoint));
    plan
}

#[test]
fn over_websocket_everything_is_delivered_and_left_in_order() {
    for (qos, durability) in [
        (QoS::AtMostOnce, Durability::Clean),
        (QoS::AtLeastOnce, Durability::Durable),
        (QoS::ExactlyOnce, Durability::Clean),
    ] {
        let shape = Shape::Fanout { publishers: 2, subscribers: 5, topics: 3 };
        let mut plan = over_websocket(plan(shape, qos, Rate::Window(3), 200));
        plan.durability = durability;
        let mut world = World::new(plan);
        let tally = play(&mut world);
        assert_eq!(tally[Count::Published], 200);
        assert_eq!(tally.unique(), 1_000, "{qos:?}");
        assert_eq!(world.servers.values().filter(|server| !server.is_closed()).count(), 7);
        world.run(Act::Finish, START, FOREVER, |_| false);
        assert!(world.worker.is_finished());
        if durability == Durability::Durable {
            assert_eq!(world.sessions_left(), 0);
        }
        assert!(world.goodbyes >= 7, "{} WebSockets closed in order", world.goodbyes);
        let found = world.findings();
        let d = found.seen.deliveries[qos as usize];
        assert_eq!((d.unique, d.repeated + d.repeated_dup + d.late), (1_000, 0));
        assert_eq!((found.failures, found.seen.misdelivered + found.seen.foreign), (BTreeMap::new(), 0));
    }
}

#[test]
fn over_websocket_the_handshake_is_no_part_of_what_connack_takes() {
    let shape = Shape::Connect { connections: 5 };
    let mut world = World::new(over_websocket(plan(shape, QoS::AtMostOnce, Rate::Window(1), 0)));
    world.latency = SECOND / 1000;
    world.run(Act::Connect, 0, START, |t| t[Count::Ready] == 5);
    let found = world.findings();
    let h = found.seen.recorder.histogram(Phase::ConnAck).expect("recorded");
    assert!((1_990_000..2_010_000).contains(&h.max()), "{}", h.max());
}

#[test]
fn over_websocket_cut_connections_lose_nothing() {
    for seed in 0..5 {
        let shape = Shape::Chaos { publishers: 12, subscribers: 12, topics: 4 };
        let mut plan = over_websocket(plan(shape, QoS::AtMostOnce, Rate::PerSec(500.0), 3000));
        plan.durability = Durability::Durable;
        plan.cuts = Some(Cuts { per_sec: 20.0, longest_away: SECOND / 5, seed });
        let mut world = World::new(plan);
        world.latency = SECOND / 100;
        let tally = play(&mut world);
        let found = world.findings();
        let [_, one, two] = found.seen.deliveries;
        assert!(found.cuts > 50 && found.failures.is_empty(), "seed {seed}: {:?}", found.failures);
        assert_eq!(one.unique + two.unique, tally[Count::ExpectedSure], "seed {seed}");
        assert_eq!(two.repeated + two.repeated_dup + one.late + two.late, 0, "seed {seed}");
    }
}

#[test]
fn a_shared_subscription_gets_each_message_once_and_its_spread_is_told() {
    let shape = Shape::Shared { publishers: 3, subscribers: 4 };
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        for fault in [Fault::None, Fault::Lose(50), Fault::Repeat(50)] {
            let mut world = World::new(plan(shape, qos, Rate::PerSec(500.0), 300));
            world.fault = fault;
            let tally = play(&mut world);
            assert_eq!(tally[Count::ExpectedLoose] + tally[Count::ExpectedSure], 300);
            let found = world.findings();
            let d = found.seen.deliveries[qos as usize];
            let expected = match fault {
                Fault::Lose(_) => (294, 0),
                Fault::Repeat(_) => (300, 6),
                _ => (300, 0),
            };
            assert_eq!((d.unique, d.repeated, d.late), (expected.0, expected.1, 0), "{qos:?} {fault:?}");
            let taken = |(_, tracks): &(u32, Vec<crate::ledger::Track>)| {
                tracks.iter().map(crate::ledger::Track::counted).sum::<u64>()
            };
            let members: Vec<u64> = found.subscribers.iter().map(taken).collect();
            assert_eq!(members.iter().sum::<u64>(), expected.0 + expected.1);
            assert!(members.len() == 4 && members.iter().all(|n| (70..=80).contains(n)), "{members:?}");
        }
    }
}
