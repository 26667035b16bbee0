//! The measuring loop over TLS, and WebSockets in it: what is delivered, what is measured, and what is said of a
//! refusal.

use super::mock::World;
use super::tests::{FOREVER, START, over_websocket, plan, play};
use super::*;
use crate::plan::{Cuts, Durability, Rate};
use crate::record::Phase;
use crate::scenarios::Shape;
use crate::security::Security;
use crate::tls_options::TlsOptions;
use crate::tls_server::{Authority, BOTH, config};
use tidemq::mqtt::QoS;

/// A world whose broker speaks TLS, wants clients of an authority if one is given, and is not verified.
fn over_tls(mut plan: Plan, clients: Option<&Authority>, resume: bool) -> World {
    let options = TlsOptions { insecure: true, resume, ..TlsOptions::default() };
    let security = Security::new(&options, "broker.test", &plan.transport).unwrap();
    plan.security = Some(Arc::new(security));
    let mut world = World::new(plan);
    let broker = Authority::new("ca").issue(&["broker.test"], |_| ());
    world.tls = Some(config(&broker, BOTH, clients));
    world
}

#[test]
fn everything_is_delivered_over_tls_and_over_websockets_in_it() {
    for qos in [QoS::AtMostOnce, QoS::ExactlyOnce] {
        for websocket in [false, true] {
            let shape = Shape::Fanout { publishers: 2, subscribers: 5, topics: 3 };
            let mut plan = plan(shape, qos, Rate::Window(3), 200);
            if websocket {
                plan = over_websocket(plan);
            }
            let mut world = over_tls(plan, None, false);
            assert_eq!(play(&mut world).unique(), 1_000, "{qos:?}");
            world.run(Act::Finish, START, FOREVER, |_| false);
            assert!(world.worker.is_finished());
            assert!(!websocket || world.goodbyes >= 7, "{} WebSockets closed in order", world.goodbyes);
            let found = world.findings();
            let d = found.seen.deliveries[qos as usize];
            assert_eq!((d.unique, d.repeated + d.repeated_dup + d.late), (1_000, 0));
            assert_eq!((found.failures, found.seen.misdelivered + found.seen.foreign), (BTreeMap::new(), 0));
            assert_eq!(found.handshakes.agreed.values().sum::<u64>(), 7);
        }
    }
}

#[test]
fn the_handshake_is_a_phase_of_its_own() {
    for websocket in [false, true] {
        let mut plan = plan(Shape::Connect { connections: 5 }, QoS::AtMostOnce, Rate::Window(1), 0);
        if websocket {
            plan = over_websocket(plan);
        }
        let mut world = over_tls(plan, None, false);
        world.latency = SECOND / 1000;
        world.run(Act::Connect, 0, START, |t| t[Count::Ready] == 5);
        let found = world.findings();
        for phase in [Phase::Tls, Phase::ConnAck] {
            let h = found.seen.recorder.histogram(phase).expect("recorded");
            assert_eq!(h.len(), 5);
            assert!((1_990_000..2_010_000).contains(&h.max()), "{phase:?}: {}", h.max());
        }
    }
}

#[test]
fn a_refusal_is_counted_with_its_alert() {
    let plan = plan(Shape::Connect { connections: 5 }, QoS::AtMostOnce, Rate::Window(1), 0);
    let mut world = over_tls(plan, Some(&Authority::new("clients")), false);
    let tally = world.run(Act::Connect, 0, START, |t| t[Count::Failed] == 5);
    assert_eq!((tally[Count::Failed], tally[Count::Ready]), (5, 0));
    let found = world.findings();
    assert_eq!(found.failures.len(), 1, "{:?}", found.failures);
    let (why, n) = found.failures.first_key_value().unwrap();
    assert!(*n == 5 && why.contains("certificate_required"), "{why}");
}

#[test]
fn cut_connections_lose_nothing_and_resume_where_that_is_asked_for() {
    for (seed, resume) in [(0, false), (1, true)] {
        let shape = Shape::Chaos { publishers: 12, subscribers: 12, topics: 4 };
        let mut plan = plan(shape, QoS::AtMostOnce, Rate::PerSec(500.0), 3000);
        plan.durability = Durability::Durable;
        plan.cuts = Some(Cuts { per_sec: 20.0, longest_away: SECOND / 5, seed });
        let mut world = over_tls(plan, None, resume);
        world.latency = SECOND / 100;
        let tally = play(&mut world);
        let found = world.findings();
        let [_, one, two] = found.seen.deliveries;
        assert!(found.cuts > 50 && found.failures.is_empty(), "seed {seed}: {:?}", found.failures);
        assert_eq!(one.unique + two.unique, tally[Count::ExpectedSure], "seed {seed}");
        assert_eq!(two.repeated + two.repeated_dup + one.late + two.late, 0, "seed {seed}");
        assert_eq!(found.handshakes.resumed > 20, resume, "{} resumed", found.handshakes.resumed);
    }
}

#[test]
fn who_leaves_and_comes_back_is_measured_anew() {
    for resume in [false, true] {
        let plan = plan(Shape::Connect { connections: 5 }, QoS::AtMostOnce, Rate::Window(1), 0);
        let mut world = over_tls(plan, None, resume);
        world.run(Act::Connect, 0, START, |t| t[Count::Ready] == 5);
        let left = world.run(Act::Leave, 0, START, |t| t[Count::Ready] == 0);
        assert_eq!((left[Count::Ready], left[Count::Away]), (0, 0));
        world.latency = SECOND / 1000;
        let back = world.run(Act::Return, 0, START, |t| t[Count::Ready] == 5);
        assert_eq!((back[Count::Ready], back[Count::Failed]), (5, 0));
        let found = world.findings();
        let tls = found.seen.recorder.histogram(Phase::Tls).expect("recorded");
        assert_eq!((tls.len(), tls.min() > SECOND / 1000), (5, true), "the first time is forgotten");
        assert_eq!(found.handshakes.resumed, if resume { 5 } else { 0 });
    }
}
