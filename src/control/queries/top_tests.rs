//! What `tidemq top` draws, and what keys do.

use super::*;
use crate::control::admin::ops::clients::ClientConnection;

fn client(id: &str) -> Row {
    Row {
        client_id: id.into(),
        connection: Some(ClientConnection {
            peer: "192.0.2.7:4711".into(),
            listener: "tcp".into(),
            tls: false,
            keep_alive_secs: 60,
            clean_start: true,
            since: String::new(),
            last_packet: String::new(),
            paused: None,
            output_bytes: 17,
            bytes_received: 1,
            bytes_sent: 2,
            messages_received: 3,
        }),
        disconnected_since: None,
        session_ends: None,
        version: "5.0".into(),
        client_name: None,
        user: None,
        certificate: None,
        session_expiry_secs: 0,
        has_will: false,
        subscriptions: 5,
        in_flight: 0,
        backlog_messages: 9,
        backlog_bytes: 900,
        shard: 0,
    }
}

fn view(clients: Vec<Row>) -> View {
    let status = Status { running: true, messages_sent: 500, ..Status::default() };
    let before = Some((Status { messages_sent: 100, ..status.clone() }, Duration::from_secs(2)));
    View { status, taken: Instant::now(), before, clients, by: 0, paused: false }
}

fn press(view: &mut View, code: KeyCode) -> bool {
    view.key(KeyEvent::new(code, KeyModifiers::NONE)) == Wish::Leave
}

#[test]
fn a_frame_fits_its_screen_whatever_clients_are_called() {
    let view = view(vec![client("evil\n\x1b[2J"), client(&"x".repeat(300)), client("last")]);
    for (width, height) in [(200, 40), (80, 24), (10, 3), (1, 1)] {
        let lines = view.frame(width, height, Colours::Off);
        assert_eq!(lines.len(), usize::from(height).max(2), "{width}x{height}");
        assert!(lines.iter().all(|line| line.chars().count() <= usize::from(width)));
        assert!(!lines.iter().any(|line| line.chars().any(char::is_control)));
    }
    let all = view.frame(200, 40, Colours::Off).join("\n");
    assert!(all.contains("Messages Sent 200/s"), "{all}");
    assert!(all.contains("BACKLOG B*") && all.contains("192.0.2.7:4711"), "{all}");
}

#[test]
fn keys_sort_pause_and_leave() {
    let mut view = view(Vec::new());
    assert!(!press(&mut view, KeyCode::Char('s')));
    assert_eq!(MEASURES[view.by].1, "subscriptions");
    press(&mut view, KeyCode::Right);
    assert_eq!(MEASURES[view.by].1, "bytes-received");
    view.by = 0;
    press(&mut view, KeyCode::Left);
    assert_eq!(view.by, MEASURES.len() - 1);
    press(&mut view, KeyCode::Char(' '));
    assert!(view.paused);
    assert!(press(&mut view, KeyCode::Char('q')) && press(&mut view, KeyCode::Esc));
    assert!(view.key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)) == Wish::Leave);
}
