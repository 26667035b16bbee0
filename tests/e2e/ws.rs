//! WebSocket against the real binary on three shards: the rules of RFC 6455 and of chapter 6 of MQTT 5.0, by raw bytes
//! where they are broken and by another implementation where they are kept.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::{CloseFrame, Role};
use tungstenite::{Message, WebSocket};

/// Only a hang takes so long.
const HANG: Duration = Duration::from_secs(30);

const SHARDS: &str = "3";
const CONNACK: [u8; 4] = [0x20, 2, 0, 0];
const PINGREQ: [u8; 2] = [0xc0, 0];
const PINGRESP: [u8; 2] = [0xd0, 0];

/// The real binary. Ends with its value.
struct Broker {
    child: Child,
    data: TempDir,
    lines: Receiver<String>,
}

impl Broker {
    fn start(arguments: &[&str], config: &str) -> Broker {
        let data = tempfile::tempdir().expect("a folder for data");
        fs::write(data.path().join("config.toml"), config).expect("the folder is there");
        let mut child = Command::new(env!("CARGO_BIN_EXE_tidemq"))
            .args(["serve", "--shards", SHARDS, "--data"])
            .arg(data.path())
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let out = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Broker { child, data, lines }
    }

    /// The rest of the next line that begins like this.
    fn line(&self, start: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(HANG).expect("the broker says it");
            if let Some(rest) = line.strip_prefix(start) {
                return rest.to_owned();
            }
        }
    }

    /// Where WebSockets are taken next, with this path.
    fn websocket(&self, path: &str) -> SocketAddr {
        let url = self.line("listening on websocket ");
        url.strip_suffix(path).expect("its path").parse().expect("an address")
    }

    fn command(&self, arguments: &[&str]) -> String {
        let done = Command::new(env!("CARGO_BIN_EXE_tidemq"))
            .args(arguments)
            .arg("--data")
            .arg(self.data.path())
            .output()
            .expect("the binary runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).expect("text")
    }

    /// A row of the report; one that is not shown is zero.
    fn count(&self, row: &str) -> u64 {
        let report = self.command(&["report"]);
        let value = report.lines().find_map(|line| line.strip_prefix(row)?.strip_prefix(' '));
        value.map_or(0, |value| value.trim().parse().expect("a number"))
    }

    /// Applies `config`.
    fn apply(&self, config: &str) {
        fs::write(self.data.path().join("config.toml"), config).expect("the folder is there");
        self.command(&["config", "apply"]);
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// The address of a broker that all tests share, of which nothing is counted.
fn shared() -> SocketAddr {
    static SHARED: OnceLock<SocketAddr> = OnceLock::new();
    *SHARED.get_or_init(|| {
        // Statics are not dropped: a shell waits for the end of its input, which only this process holds open.
        let data = tempfile::tempdir().expect("a folder for data").keep();
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(r#""$0" serve --data "$1" --listen ws://127.0.0.1:0/mqtt --shards 3 & read -r _; kill $!; wait $!; rm -r "$1""#)
            .arg(env!("CARGO_BIN_EXE_tidemq"))
            .arg(data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh is there");
        let mut out = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let url = out
            .find_map(|line| line.expect("text").strip_prefix("listening on websocket ").map(str::to_owned))
            .expect("the broker says where it listens");
        // Dropping the child would close its standard input.
        std::mem::forget(child);
        url.strip_suffix("/mqtt").expect("the path").parse().expect("an address")
    })
}

fn dial(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the broker listens");
    stream.set_read_timeout(Some(HANG)).expect("not zero");
    stream.set_nodelay(true).expect("TCP");
    stream
}

/// A request for `target` with these lines instead of the sub-protocol's.
fn request(target: &str, lines: &str) -> Vec<u8> {
    format!(
        "GET {target} HTTP/1.1\r\nHost: broker\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n\r\n"
    )
    .into_bytes()
}

fn good_request() -> Vec<u8> {
    request("/mqtt?token=x", "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt")
}

/// The head of an answer.
fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("an answer");
        head.push(byte[0]);
    }
    String::from_utf8(head).expect("text")
}

fn masked(mut frame: Frame) -> Vec<u8> {
    frame.header_mut().mask = Some([0x37, 0xfa, 0x21, 0x3d]);
    let mut bytes = Vec::new();
    frame.format(&mut bytes).expect("a vector takes it");
    bytes
}

fn part(code: Data, last: bool, payload: &[u8]) -> Vec<u8> {
    masked(Frame::message(payload.to_vec(), OpCode::Data(code), last))
}

fn binary(payload: &[u8]) -> Vec<u8> {
    part(Data::Binary, true, payload)
}

fn ping(payload: &[u8]) -> Vec<u8> {
    masked(Frame::ping(payload.to_vec()))
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut len = body.len();
    while len >= 0x80 {
        bytes.push((len & 0x7f) as u8 | 0x80);
        len >>= 7;
    }
    bytes.push(len as u8);
    bytes.extend(body);
    bytes
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat()
}

/// A CONNECT of 3.1.1, with a will to this topic if one is named.
fn connect(id: &str, keep_alive: u8, will: Option<&str>) -> Vec<u8> {
    let flags = if will.is_some() { 6 } else { 2 };
    let mut body = [&b"\0\x04MQTT\x04"[..], &[flags, 0, keep_alive], &text(id)].concat();
    if let Some(topic) = will {
        body.extend([text(topic), text("gone")].concat());
    }
    packet(0x10, &body)
}

fn publish(topic: &str, payload: &[u8]) -> Vec<u8> {
    packet(0x30, &[&text(topic)[..], payload].concat())
}

fn subscribe(filter: &str) -> Vec<u8> {
    packet(0x82, &[&[0, 1][..], &text(filter), &[0]].concat())
}

/// A client whose frames are read by another implementation, and whose packets come in frames of any number.
struct Client {
    socket: WebSocket<TcpStream>,
    /// Bytes of MQTT that were not looked at.
    bytes: Vec<u8>,
    pongs: Vec<Vec<u8>>,
}

impl Client {
    fn shaken(address: SocketAddr) -> Client {
        let mut stream = dial(address);
        stream.write_all(&good_request()).expect("sent");
        Client::after_request(stream)
    }

    fn after_request(mut stream: TcpStream) -> Client {
        let head = head(&mut stream);
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(head.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{head}");
        let socket = WebSocket::from_raw_socket(stream, Role::Client, None);
        Client { socket, bytes: Vec::new(), pongs: Vec::new() }
    }

    fn connected(address: SocketAddr, id: &str) -> Client {
        let mut client = Client::shaken(address);
        client.send(&binary(&connect(id, 0, None)));
        client.expect(&CONNACK);
        client
    }

    fn subscribed(address: SocketAddr, id: &str, filter: &str) -> Client {
        let mut client = Client::connected(address, id);
        client.send(&binary(&subscribe(filter)));
        client.expect(&[0x90, 3, 0, 1, 0]);
        client
    }

    /// Sends bytes as they are.
    fn send(&mut self, bytes: &[u8]) {
        self.socket.get_mut().write_all(bytes).expect("the broker takes it");
    }

    /// The next bytes of MQTT are these.
    fn expect(&mut self, bytes: &[u8]) {
        while self.bytes.len() < bytes.len() {
            match self.socket.read().expect("the broker sends") {
                Message::Binary(more) => self.bytes.extend_from_slice(&more),
                Message::Pong(payload) => self.pongs.push(payload.to_vec()),
                other => panic!("{other:?}"),
            }
        }
        let rest = self.bytes.split_off(bytes.len());
        assert!(self.bytes == bytes, "{} other bytes came", bytes.len());
        self.bytes = rest;
    }

    /// Reads on to the Close frame, which must come, and behind it the end. The code.
    fn close_code(mut self) -> u16 {
        let code = loop {
            match self.socket.read().expect("a Close frame comes") {
                Message::Close(close) => break close.expect("a code").code.into(),
                Message::Pong(_) | Message::Binary(_) => {}
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(self.socket.get_mut().read(&mut [0]).expect("no reset"), 0);
        code
    }
}

#[test]
fn handshakes_are_refused_as_their_fault_says_and_counted() {
    let broker = Broker::start(&["--listen", "ws://127.0.0.1:0/mqtt"], "");
    let address = broker.websocket("/mqtt");
    let version = "Sec-WebSocket-Version: 13\r\n";
    let refused = [
        (request("/", &format!("{version}Sec-WebSocket-Protocol: mqtt")), "404", "/mqtt.\n"),
        (request("/mqtt", "Sec-WebSocket-Version: 12\r\nSec-WebSocket-Protocol: mqtt"), "426", "13"),
        (request("/mqtt", version.trim_end()), "400", "one of: mqtt, mqttv3.1.\n"),
        (request("/mqtt", &format!("{version}Sec-WebSocket-Protocol: chat")), "400", "one of: mqtt"),
        (b"POST /mqtt HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), "400", "handshake"),
        (connect("bare", 0, None), "400", "handshake"),
        (request("/mqtt", &format!("X: {}", "x".repeat(9_000))), "431", "8192 bytes"),
    ];
    for (request, status, body) in &refused {
        let mut stream = dial(address);
        stream.write_all(request).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer, and no reset");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(body), "{answer}");
        assert_eq!(answer.contains("\r\nSec-WebSocket-Version: 13\r\n"), *status == "426", "{answer}");
    }
    assert_eq!(broker.count("connection requests rejected"), 7);
    for (row, count) in [
        ("WebSocket handshakes refused: another path", 1),
        ("WebSocket handshakes refused: another version", 1),
        ("WebSocket handshakes refused: no sub-protocol of MQTT", 2),
        ("WebSocket handshakes refused: malformed", 2),
        ("WebSocket handshakes refused: headers too long", 1),
    ] {
        assert_eq!(broker.count(row), count, "{row}");
    }
    assert_eq!(broker.count("connection requests accepted"), 0);
}

#[test]
fn the_older_sub_protocol_is_taken_and_no_extension_is() {
    let mut stream = dial(shared());
    let lines = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\
                 Sec-WebSocket-Protocol: mqttv3.1";
    stream.write_all(&request("/mqtt", lines)).expect("sent");
    let head = head(&mut stream);
    assert!(head.contains("\r\nSec-WebSocket-Protocol: mqttv3.1\r\n"), "{head}");
    assert!(!head.contains("Extensions"), "{head}");
}

#[test]
fn mqtt_6_0_0_1_and_rfc_6455_what_breaks_the_rules_is_closed_with_its_code() {
    let frame = |first: u8, second: u8, more: &[u8]| [&[first, second][..], more].concat();
    for (why, bytes, code) in [
        ("text", part(Data::Text, true, &connect("t", 0, None)), 1003),
        ("unmasked", frame(0x82, 2, &PINGREQ), 1002),
        ("a reserved bit", frame(0xc2, 0x80, &[0; 4]), 1002),
        ("a reserved opcode", frame(0x84, 0x80, &[0; 4]), 1002),
        ("a reserved control opcode", frame(0x8c, 0x80, &[0; 4]), 1002),
        ("a long control frame", frame(0x89, 0xfe, &[0; 132]), 1002),
        ("a fragmented control frame", frame(0x09, 0x80, &[0; 4]), 1002),
        ("a length not minimal", frame(0x82, 0xfe, &[0, 1, 0, 0, 0, 0, 9]), 1002),
        ("a continuation of nothing", part(Data::Continue, true, b"x"), 1002),
        ("a message that is too long", frame(0x82, 0xff, &[0, 0, 0, 0xff, 0, 0, 0, 0, 1, 2, 3, 4]), 1009),
        ("a close with a bad code", frame(0x88, 0x82, &[0, 0, 0, 0, 3, 0xed]), 1002),
    ] {
        // Before CONNECT, and after it.
        let mut client = Client::shaken(shared());
        client.send(&bytes);
        assert_eq!(client.close_code(), code, "{why}, before CONNECT");
        let mut client = Client::connected(shared(), &format!("breaks/{}", why.replace(' ', "-")));
        client.send(&bytes);
        assert_eq!(client.close_code(), code, "{why}");
    }
}

#[test]
fn a_close_is_answered_and_a_disconnect_is_followed_by_one() {
    let mut client = Client::connected(shared(), "close/peer");
    client.send(&masked(Frame::close(Some(CloseFrame { code: 4321.into(), reason: "done".into() }))));
    assert_eq!(client.close_code(), 4321);
    let mut client = Client::connected(shared(), "close/disconnect");
    client.send(&binary(&[0xe0, 0]));
    assert_eq!(client.close_code(), 1000);
    let mut client = Client::connected(shared(), "close/violation");
    client.send(&binary(&[0xf0, 0]));
    assert_eq!(client.close_code(), 1002);
}

#[test]
fn a_close_without_disconnect_publishes_the_will() {
    let mut watcher = Client::subscribed(shared(), "will/watcher", "will/+");
    let close = masked(Frame::close(None));
    for (topic, end) in [("will/close", close), ("will/broken", vec![0x82, 0])] {
        let mut client = Client::shaken(shared());
        client.send(&binary(&connect(topic, 0, Some(topic))));
        client.expect(&CONNACK);
        client.send(&end);
        watcher.expect(&publish(topic, b"gone"));
    }
}

#[test]
fn everything_may_come_a_byte_at_a_time() {
    let mut stream = dial(shared());
    let slowly = |stream: &mut TcpStream, bytes: &[u8]| {
        bytes.chunks(1).for_each(|byte| stream.write_all(byte).expect("sent"));
    };
    slowly(&mut stream, &good_request());
    let mut client = Client::after_request(stream);
    let all = [binary(&connect("slow", 0, None)), ping(b"?"), binary(&PINGREQ)].concat();
    slowly(client.socket.get_mut(), &all);
    client.expect(&[&CONNACK[..], &PINGRESP].concat());
    assert_eq!(client.pongs, [b"?"]);
}

#[test]
fn packets_span_frames_and_share_them() {
    for shard in 0..6 {
        let mut stream = dial(shared());
        // In one piece with the handshake: CONNECT a byte a frame, one message for all of it.
        let id = format!("spans/{shard}");
        let mut bytes = good_request();
        let connect = connect(&id, 0, None);
        for (at, byte) in connect.iter().enumerate() {
            let code = if at == 0 { Data::Binary } else { Data::Continue };
            bytes.extend(part(code, at + 1 == connect.len(), &[*byte]));
            bytes.extend(ping(&[*byte]));
        }
        stream.write_all(&bytes).expect("sent");
        let mut client = Client::after_request(stream);
        client.expect(&CONNACK);
        client.send(&binary(&subscribe(&id)));
        client.expect(&[0x90, 3, 0, 1, 0]);
        // Several in one frame, the last of them cut; an empty frame is nothing.
        let many = [publish(&id, b"one"), publish(&id, b"two")].concat();
        let (head, tail) = many.split_at(many.len() - 2);
        client.send(&[binary(head), binary(b""), binary(tail)].concat());
        client.expect(&many);
        client.send(&binary(&PINGREQ.repeat(3)));
        client.expect(&PINGRESP.repeat(3));
    }
}

#[test]
fn a_listener_for_it_sends_each_packet_in_a_frame_of_its_own() {
    let broker = Broker::start(&["--listen", "ws://127.0.0.1:0/mqtt?packets=one"], "");
    let address = broker.websocket("/mqtt (one packet a frame)");
    let mut packets: Vec<Vec<u8>> = (0..400u32)
        .map(|number| publish("frames", &number.to_be_bytes().repeat(number as usize % 40)))
        .collect();
    packets.insert(200, publish("frames", &vec![9; 1_000_000]));
    // It reads when all of them have been sent: what the socket does not take waits.
    let mut subscriber = Client::subscribed(address, "frames/sub", "frames");
    let mut publisher = Client::connected(address, "frames/pub");
    publisher.send(&binary(&packets.concat()));
    publisher.send(&binary(&PINGREQ));
    publisher.expect(&PINGRESP);
    for packet in &packets {
        match subscriber.socket.read().expect("a frame") {
            Message::Binary(frame) => {
                assert!(frame == packet[..], "{} bytes of {}", frame.len(), packet.len());
            }
            other => panic!("{other:?}"),
        }
    }
    // Answers too: several in one turn.
    subscriber.send(&binary(&PINGREQ.repeat(300)));
    for _ in 0..300 {
        assert_eq!(subscriber.socket.read().expect("a frame"), Message::Binary(PINGRESP.to_vec().into()));
    }
}

#[test]
fn a_large_publish_in_64_fragments_with_pings_between_arrives_whole() {
    let payload: Vec<u8> = (0..(1 << 20) - 100).map(|at: usize| (at / 3) as u8 ^ at as u8).collect();
    let large = publish("large", &payload);
    let mut subscriber = Client::subscribed(shared(), "large/sub", "large");
    let mut publisher = Client::connected(shared(), "large/pub");
    let parts: Vec<&[u8]> = large.chunks(large.len().div_ceil(64)).collect();
    assert_eq!(parts.len(), 64);
    for (at, bytes) in parts.iter().enumerate() {
        let code = if at == 0 { Data::Binary } else { Data::Continue };
        publisher.send(&part(code, at == 63, bytes));
        publisher.send(&ping(&[at as u8]));
    }
    subscriber.expect(&large);
    publisher.send(&binary(&PINGREQ));
    publisher.expect(&PINGRESP);
    let pong = |client: &mut Client| client.pongs.last().is_some_and(|last| last[..] == [63]);
    while !pong(&mut publisher) {
        match publisher.socket.read().expect("the last ping is answered") {
            Message::Pong(payload) => publisher.pongs.push(payload.to_vec()),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn pings_of_websocket_do_not_keep_mqtt_alive() {
    let mut client = Client::shaken(shared());
    client.send(&binary(&connect("keep-alive", 1, None)));
    client.expect(&CONNACK);
    // Each ping waits for its pong, so that this ends when the broker says so.
    loop {
        // Whoever is closed meanwhile reads why.
        let _gone = client.socket.get_mut().write_all(&ping(b"still here"));
        match client.socket.read().expect("a pong or a Close") {
            Message::Pong(_) => {}
            Message::Close(_) => return,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn three_hundred_clients_on_three_shards_get_every_message() {
    let broker = Broker::start(&["--listen", "127.0.0.1:0", "--listen", "ws://127.0.0.1:0/mqtt"], "");
    broker.line("listening on tcp ");
    let address = broker.websocket("/mqtt");
    let mut clients: Vec<Client> =
        (0..300).map(|number| Client::subscribed(address, &format!("many/{number}"), "many/#")).collect();
    let mut publisher = Client::connected(address, "many/publisher");
    for number in 0..20u8 {
        publisher.send(&binary(&publish("many/x", &[number; 300])));
    }
    let expected: Vec<u8> = (0..20u8).flat_map(|number| publish("many/x", &[number; 300])).collect();
    clients.iter_mut().for_each(|client| client.expect(&expected));
    let moved = broker.count("sockets handed to another shard");
    assert!(moved > 0 && moved < 301, "{moved} moved");
    assert_eq!(broker.count("messages sent"), 6_000);
    for client in &mut clients {
        client.send(&binary(&[0xe0, 0]));
    }
    clients.into_iter().for_each(|client| assert_eq!(client.close_code(), 1000));
}

/// A configuration with TCP at any port and this for a WebSocket listener at `port`.
fn config(port: u16, more: &str) -> String {
    format!(
        "enabled = true\n[[listener]]\naddress = \"127.0.0.1:0\"\n\
         [[listener]]\nprotocol = \"websocket\"\naddress = \"127.0.0.1:{port}\"\n{more}\n"
    )
}

#[test]
fn apply_enables_changes_and_disables_a_websocket_listener() {
    let broker = Broker::start(&[], &config(0, "enabled = false"));
    broker.line("ready");
    broker.apply(&config(0, ""));
    let address = broker.websocket("/mqtt");
    let mut early = Client::connected(address, "early");

    broker.apply(&config(0, "path = \"/other\""));
    assert_eq!(broker.websocket("/other"), address, "it stays bound");
    early.send(&binary(&PINGREQ));
    early.expect(&PINGRESP);
    let answers = |path: &str| {
        let mut stream = dial(address);
        let lines = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt";
        stream.write_all(&request(path, lines)).expect("sent");
        head(&mut stream).split(' ').nth(1).expect("a status").to_owned()
    };
    let statuses = HashMap::from([("/mqtt", "404"), ("/other", "101")]);
    for (path, status) in statuses {
        assert_eq!(answers(path), status, "{path}");
    }

    broker.apply(&config(0, "enabled = false"));
    assert!(TcpStream::connect(address).is_err(), "nobody listens");
    assert_eq!(early.close_code(), 1008, "who came there is put out");
}
