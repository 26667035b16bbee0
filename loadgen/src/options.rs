//! The command line: what can be asked for, in which units, with which defaults.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::plan::Secret;
use crate::schedule::{Nanos, SECOND};
use crate::tls_options::TlsOptions;

const EXAMPLES: &str = "\
Examples:
  Fan-out, closed loop: 1 publisher to 1,000 subscribers, 16 messages under way, CPU of the broker per delivery
    tidemq-load fanout --subscribers 1000 --window 16 --messages 2000 --broker-pid $(pidof tidemq)
  Fan-out, open loop: 100 messages a second for half a minute, latency from the time each was due
    tidemq-load fanout --subscribers 100 --rate 100 --duration 30s --warmup 2s --qos 1 --version 5
  Fan-in and pairs
    tidemq-load fanin --publishers 100 --rate 20000 --duration 10s
    tidemq-load p2p --pairs 200 --window 400 --messages 100000 --qos 2
  15,000 connections, 2,000 a second, held for a minute; memory of the broker per connection
    tidemq-load connect --connections 15000 --connect-rate 2000 --hold 60s --broker-pid $(pidof tidemq)
  5,000 clients come back at once, each with the TLS session that it had
    tidemq-load connect -n 5000 --again --resume --broker mqtts://127.0.0.1:8883 --ca ca.pem --broker-pid $(pidof tidemq)
  A shared subscription: how evenly its members are served
    tidemq-load shared --publishers 10 --subscribers 20 --messages 100000 --qos 1
  Fan-out over WebSocket
    tidemq-load fanout --broker ws://127.0.0.1:8083/mqtt --subscribers 1000 --messages 2000
  The same by TLS, each client with a certificate of its own
    tidemq-load fanout --broker mqtts://broker:8883 --ca ca.pem --cert-dir clients --subscribers 1000 --messages 2000
  Handshakes: CPU of the broker for each, its memory for each idle connection (compare with --broker 127.0.0.1:1883)
    tidemq-load connect -n 5000 --hold 10s --broker mqtts://127.0.0.1:8883 --ca ca.pem --broker-pid $(pidof tidemq)
  Nothing lost, nothing twice, order kept while connections are cut at random
    tidemq-load chaos --publishers 200 --subscribers 200 --topics 50 --rate 2000 --cuts 50 --duration 30s

What is measured (all latencies from a clock read once for everything that one system call brought):
  TCP connect      from when the connection was due to the connected socket
  TLS handshake    from then to its end as the client sees it (in TLS 1.3 before the broker has judged a client's
                   certificate: that is in CONNACK); the generator's own work, and its queue, are in it
  CONNACK, SUBACK  from CONNECT, SUBSCRIBE to their answers
  PUBACK, PUBCOMP  from when the message was due to the end of its QoS 1 or 2 exchange
  end to end       from when the message was due to its arrival at a subscriber, one value a delivery
  ..., raw         the same from when the message was really sent: smaller where the sender was held up
With --rate (open loop) a message is due by a fixed timetable, whatever the broker does: a pause of the broker is
charged to every message that fell due in it. With --window (closed loop) it is due when there is room.
Every message carries its stream (publisher, topic, QoS) and number: losses, repetitions and order are counted for
each subscriber.

Exit code: 0 all is well (messages lost at QoS 0 are only shown, unless --strict); 1 something was lost at QoS 1 or 2,
came twice at QoS 0 or 2 or out of order, was refused, or a connection failed; 2 wrong usage; 3 the run could not be
made.";

/// Drives any MQTT broker and shows its latency histograms.
#[derive(Clone, Debug, Parser)]
#[command(name = "tidemq-load", disable_version_flag = true, after_long_help = EXAMPLES, after_help = "Examples and what is measured: --help")]
pub struct Options {
    /// What to do.
    #[command(subcommand)]
    pub scenario: Scenario,
}

/// The scenarios.
#[derive(Clone, Debug, Subcommand)]
pub enum Scenario {
    /// Connections that do nothing: connect latency, rate, and memory of the broker
    Connect {
        /// Connections
        #[arg(long, short = 'n', default_value_t = 1000)]
        connections: u32,
        /// How long they are held once all are there
        #[arg(long, default_value = "0s", value_parser = duration)]
        hold: Nanos,
        /// Then all leave, and come back at once: latencies, rates and CPU are those of coming back (see --resume)
        #[arg(long)]
        again: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Every message goes to every subscriber
    Fanout {
        /// Publishers
        #[arg(long, short = 'p', default_value_t = 1)]
        publishers: u32,
        /// Subscribers, each to all topics
        #[arg(long, short = 's', default_value_t = 1000)]
        subscribers: u32,
        /// Topics, over which the publishers spread
        #[arg(long, short = 't', default_value_t = 1)]
        topics: u32,
        #[command(flatten)]
        traffic: Traffic,
        #[command(flatten)]
        common: Common,
    },
    /// Many publishers, each with its topic; subscribers take all by one wildcard
    Fanin {
        /// Publishers
        #[arg(long, short = 'p', default_value_t = 100)]
        publishers: u32,
        /// Subscribers
        #[arg(long, short = 's', default_value_t = 1)]
        subscribers: u32,
        #[command(flatten)]
        traffic: Traffic,
        #[command(flatten)]
        common: Common,
    },
    /// Pairs: publisher i to subscriber i
    P2p {
        /// Pairs
        #[arg(long, short = 'n', default_value_t = 200)]
        pairs: u32,
        #[command(flatten)]
        traffic: Traffic,
        #[command(flatten)]
        common: Common,
    },
    /// One shared subscription: each message goes to one of its members. Is it even, is anything lost or twice?
    Shared {
        /// Publishers, each with its topic
        #[arg(long, short = 'p', default_value_t = 1)]
        publishers: u32,
        /// Members of the group
        #[arg(long, short = 's', default_value_t = 10)]
        subscribers: u32,
        /// Its name
        #[arg(long, default_value = "load")]
        group: String,
        #[command(flatten)]
        traffic: Traffic,
        #[command(flatten)]
        common: Common,
    },
    /// Durable sessions at every QoS whose connections are cut at random: is anything lost, twice, out of order?
    #[command(visible_alias = "verify")]
    Chaos {
        /// Publishers, each on one topic at QoS 0, 1 and 2 in turn
        #[arg(long, short = 'p', default_value_t = 200)]
        publishers: u32,
        /// Subscribers, each to one topic at QoS 2, half of them by a wildcard
        #[arg(long, short = 's', default_value_t = 200)]
        subscribers: u32,
        /// Topics
        #[arg(long, short = 't', default_value_t = 50)]
        topics: u32,
        /// Connections cut a second: half with what waits unsent, by RST, or in the middle of a packet
        #[arg(long, default_value_t = 20.0)]
        cuts: f64,
        /// The longest time a cut client stays away
        #[arg(long, default_value = "300ms", value_parser = duration)]
        longest_away: Nanos,
        /// Seed of every random choice; printed at the start [default: from the clock]
        #[arg(long)]
        seed: Option<u64>,
        #[command(flatten)]
        traffic: Traffic,
        #[command(flatten)]
        common: Common,
    },
}

/// The protocol version of the clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum VersionOption {
    /// MQTT 3.1.1
    #[value(name = "3.1.1", alias = "311", alias = "4", alias = "3")]
    V3_1_1,
    /// MQTT 5.0
    #[value(name = "5", alias = "5.0")]
    V5,
    /// 3.1.1 and 5.0 in turn
    Mixed,
}

/// What is published.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Traffic")]
pub struct Traffic {
    /// QoS of publishers and subscribers: 0, 1 or 2 (chaos: every QoS) [default: 0]
    #[arg(long, short = 'q', default_value_t = 0, hide_default_value = true, value_parser = clap::value_parser!(u8).range(0..=2))]
    pub qos: u8,
    /// Payload in bytes; the first 24 hold stream, number and times
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(24..=16_000_000))]
    pub payload: u32,
    /// Open loop: messages a second, over all publishers [default: closed loop; chaos: 2000]
    #[arg(long, short = 'r', conflicts_with = "window")]
    pub rate: Option<f64>,
    /// Closed loop: at most this many messages not yet delivered to all (with no subscriber: not acknowledged) [default: 16]
    #[arg(long, short = 'w')]
    pub window: Option<u64>,
    /// Messages in all, warm-up included [default: until --duration]
    #[arg(long, short = 'm')]
    pub messages: Option<u64>,
    /// How long messages fall due, warm-up not included: 500ms, 10s, 2m; plain numbers are seconds [default: 10s, without --messages]
    #[arg(long, short = 'd', value_parser = duration)]
    pub duration: Option<Nanos>,
    /// Latencies of messages due in this time at the start are not recorded
    #[arg(long, default_value = "0s", value_parser = duration)]
    pub warmup: Nanos,
    /// QoS 1 and 2: messages of one publisher in flight at most (and never more than a 5.0 broker's Receive Maximum)
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..))]
    pub max_inflight: u16,
    /// How long nothing may arrive before what is missing counts as lost
    #[arg(long, default_value = "5s", value_parser = duration)]
    pub drain: Nanos,
    /// Topics begin with this [default: load/<run>]
    #[arg(long)]
    pub prefix: Option<String>,
    /// Losses at QoS 0 count as a failure, too
    #[arg(long)]
    pub strict: bool,
}

/// Where to, from where, and what is shown.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Connection and report")]
pub struct Common {
    /// The broker's address and port; by TLS as mqtts://HOST:PORT, over WebSocket as ws:// or wss://HOST:PORT/PATH [default path: /mqtt]
    #[arg(long, short = 'b', value_name = "HOST:PORT", conflicts_with_all = ["host", "port"])]
    pub broker: Option<String>,
    /// Over WebSocket, at the path /mqtt if --broker names none
    #[arg(long)]
    pub ws: bool,
    /// The broker's name or address
    #[arg(long, default_value = "127.0.0.1")]
    pub host: String,
    /// The broker's port [default: 1883; with --tls 8883, --ws 8083, both 8084]
    #[arg(long)]
    pub port: Option<u16>,
    /// Protocol version [default: 3.1.1; chaos: mixed]
    #[arg(long, short = 'V', value_enum)]
    pub version: Option<VersionOption>,
    /// User name
    #[arg(long, visible_alias = "user", value_name = "NAME")]
    pub user_name: Option<String>,
    /// Password; others may see it among the processes
    #[arg(long, requires = "user_name", value_name = "TEXT", conflicts_with = "password_file")]
    pub password: Option<Secret>,
    /// Password: the first line of this file
    #[arg(long, requires = "user_name", value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Keep alive in seconds; 0: off
    #[arg(long, default_value_t = 60)]
    pub keep_alive: u16,
    /// Connections a second [default: as fast as they are answered, 64 at a time]
    #[arg(long, value_name = "PER_SEC")]
    pub connect_rate: Option<f64>,
    /// How long no connection may come up before the run is given up
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub connect_timeout: Nanos,
    /// Source addresses, taken in turn: 127.0.0.2-127.0.0.9,10.0.0.7 (each serves about 28,000 connections) [default: to a loopback address as many of 127.0.0.x as needed]
    #[arg(long, value_name = "LIST", value_parser = addresses)]
    pub source_ip: Option<Addresses>,
    /// Cores to run on, one worker each: 1,3-5 [default: the last one]
    #[arg(long, value_name = "LIST", value_parser = cores)]
    pub cores: Option<Cores>,
    /// Process of the broker on this machine: its CPU time and resident memory go into the report
    #[arg(long, value_name = "PID")]
    pub broker_pid: Option<u32>,
    /// Write the report as JSON to this file; - for standard output, then without the table
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the histograms to PREFIX.<phase>.hgrm, in milliseconds
    #[arg(long, value_name = "PREFIX")]
    pub hgrm: Option<PathBuf>,
    /// No progress
    #[arg(long)]
    pub quiet: bool,
    #[command(flatten)]
    pub tls: TlsOptions,
}

/// A list of cores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cores(pub Vec<usize>);

/// A list of source addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses(pub Vec<Ipv4Addr>);

fn duration(text: &str) -> Result<Nanos, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "us" => 1e-6,
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        other => return Err(format!("unknown unit {other}: us, ms, s, m, h")),
    };
    let number: f64 = digits.parse().map_err(|_| format!("{digits:?} is not a number"))?;
    let nanos = number * unit * SECOND as f64;
    if (0.0..=1e17).contains(&nanos) { Ok(nanos as Nanos) } else { Err("out of range".into()) }
}

/// `1,3-5` as its numbers.
fn ranges<T: Copy>(
    text: &str,
    parse: impl Fn(&str) -> Option<T>,
    between: impl Fn(T, T) -> Vec<T>,
) -> Result<Vec<T>, String> {
    let one = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let list = parse(first).zip(parse(last)).map(|(first, last)| between(first, last));
        list.filter(|l| !l.is_empty()).ok_or_else(|| format!("{part:?} is not an element or a range"))
    };
    text.split(',').map(one).collect::<Result<Vec<_>, _>>().map(|lists| lists.concat())
}

fn cores(text: &str) -> Result<Cores, String> {
    ranges(text, |s| s.parse().ok(), |a: usize, b| (a..=b.min(a + 1023)).collect()).map(Cores)
}

fn addresses(text: &str) -> Result<Addresses, String> {
    let between = |a: u32, b: u32| (a..=b.min(a.saturating_add(1023))).collect();
    let list = ranges(text, |s| s.parse::<Ipv4Addr>().ok().map(u32::from), between)?;
    Ok(Addresses(list.into_iter().map(Ipv4Addr::from).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Options::command().debug_assert();
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("10"), Ok(10 * SECOND));
        assert_eq!(duration("1.5s"), Ok(SECOND * 3 / 2));
        assert_eq!(duration("500ms"), Ok(SECOND / 2));
        assert_eq!(duration("2m"), Ok(120 * SECOND));
        assert!(duration("10parsecs").is_err() && duration("-1").is_err() && duration("").is_err());
    }

    #[test]
    fn lists_have_ranges() {
        assert_eq!(cores("1,3-5"), Ok(Cores(vec![1, 3, 4, 5])));
        assert!(cores("5-3").is_err() && cores("x").is_err() && cores("").is_err());
        let a = |last| Ipv4Addr::new(127, 0, 0, last);
        assert_eq!(addresses("127.0.0.2-127.0.0.4,127.0.0.9"), Ok(Addresses(vec![a(2), a(3), a(4), a(9)])));
    }

    #[test]
    fn rate_and_window_exclude_each_other() {
        assert!(Options::try_parse_from(["x", "fanout", "--rate", "5", "--window", "5"]).is_err());
        assert!(Options::try_parse_from(["x", "p2p", "--rate", "5", "--version", "5"]).is_ok());
    }
}
