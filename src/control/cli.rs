//! The command line: what can be asked for, and nothing about how it is done.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use clap::{Args, CommandFactory, Parser, Subcommand};

use super::apply::{AdminAt, Overrides};
use super::certificates::{Ca, Cert};
use super::completions::{Completions, Manual};
use super::config::{Listener, PACKETS_PER_FRAME, Protocol};
use super::doctor::Doctor;
use super::failure::EXIT_CODES;
use super::output::{self, Form};
use super::queries::{
    Clients, Console, Generations, Guarded, Rejected, Retained, StatusAsked, Subscriptions, Top, Trace,
};
use super::rules::Editing;
use super::users::User;
use super::{certificates, commands, completions, doctor, rules, serve, users, validate};
use crate::net::PacketsPerFrame;

#[derive(Debug, Parser)]
#[command(name = "tidemq", version, about, after_help = EXIT_CODES, max_term_width = 100)]
struct Cli {
    /// Write JSON: a document, or one a line where there are several; a failure is one on standard error
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the broker until SIGTERM or SIGINT (Ctrl-C); SIGHUP applies the configuration file, SIGUSR1 prints the
    /// counters
    Serve(Serve),
    /// Checks, compares, applies and shows the configuration
    #[command(subcommand)]
    Config(Config),
    /// Adds, changes, removes and lists users and their passwords
    #[command(subcommand)]
    User(User),
    /// Makes, imports and lists certificate authorities, and lets them issue client certificates
    #[command(subcommand)]
    Ca(Ca),
    /// The broker's certificate, and the client certificates that are authorized or revoked
    #[command(subcommand)]
    Cert(Cert),
    /// Tries, lists and edits the topic rules
    #[command(subcommand)]
    Rules(rules::Command),
    /// Shows the running broker's counters
    Status(StatusAsked),
    /// Shows the broker and its greatest clients live
    Top(Top),
    /// Lists clients, shows what waits for them, puts them out
    #[command(subcommand)]
    Clients(Clients),
    /// Lists who is subscribed to what
    Subscriptions(Subscriptions),
    /// Lists, shows and removes retained messages
    #[command(subcommand)]
    Retained(Retained),
    /// Shows packets while they pass, by client, topic, direction and type, until Ctrl-C
    Trace(Trace),
    /// Shows whom the running broker did not let in, what it refused to clients, and why
    Rejected(Rejected),
    /// Makes a link by which a browser logs in to the console once
    Console(Console),
    /// Prints every counter of the running broker and of each shard, as SIGUSR1 does where it runs
    Report(Place),
    /// Looks over this machine and the installation: kernel, limits, ports, clock, certificates, disk, configuration
    ///
    /// Exit code 0: nothing will fail, though there may be warnings; 9: there are problems.
    Doctor(Doctor),
    /// Writes what a shell needs to complete the commands: bash, elvish, fish, powershell or zsh
    Completions(Completions),
    /// Writes the manual, a page for each command
    Man(Manual),
}

/// Where the broker keeps what.
#[derive(Args, Clone, Debug)]
pub(super) struct Place {
    /// Data directory [default: $STATE_DIRECTORY, else ~/.local/state/tidemq]
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    /// Configuration file [default: config.toml in the data directory]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

/// The value that a word of the configuration file means.
pub(super) fn named<T: Copy>(names: &[(&str, T)], text: &str) -> Result<T, String> {
    let found = names.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    let known = || names.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    found.ok_or_else(|| format!("write one of {}", known()))
}

/// `tidemq serve`
#[derive(Args, Debug)]
pub(super) struct Serve {
    #[command(flatten)]
    pub(super) place: Place,
    /// Enable the broker whatever the configuration says; a fresh configuration is written as enabled
    #[arg(long)]
    enable: bool,
    /// Listen here, in place of the configured listeners; implies --enable. HOST:PORT is plain TCP, mqtts://HOST:PORT is
    /// TLS with the configured broker certificate. ws://HOST:PORT/PATH is WebSocket, at /mqtt if no path is named, and
    /// wss:// the same with TLS; ?packets=one behind it sends one packet a frame, for clients that take a frame for a
    /// packet (Eclipse Paho C). Port 0: any free port. May be given several times
    #[arg(long, value_name = "HOST:PORT|mqtts://HOST:PORT|ws[s]://HOST:PORT/PATH", value_parser = listener)]
    listen: Vec<Listener>,
    /// Console and API listen here, or not at all (`off`), in place of what the configuration says [default with --listen:
    /// any free port of 127.0.0.1]
    #[arg(long, value_name = "HOST:PORT|off", value_parser = admin_at)]
    admin: Option<AdminAt>,
    /// Number of shards [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) shards: Option<u16>,
    /// Cores that the shards run on, such as 0-3,8 [default: all that this process may use]
    #[arg(long, value_name = "LIST")]
    pub(super) cores: Option<CoreList>,
}

impl Serve {
    /// What this command line says in place of the file.
    pub(super) fn overrides(&self) -> Overrides {
        // Who starts one for a trial may have another one running.
        let trial = (!self.listen.is_empty()).then_some(AdminAt::Address(ANY_PORT));
        Overrides {
            enable: self.enable,
            listen: self.listen.clone(),
            admin: self.admin.or(trial),
            ..Overrides::default()
        }
    }
}

/// `tidemq config`
#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Tries a file without applying it; touches nothing
    Check {
        #[command(flatten)]
        place: Place,
        /// The file to try [default: the configuration file]
        file: Option<PathBuf>,
    },
    /// Shows what the configuration file would change, and when each change takes effect
    Diff(Place),
    /// Applies the configuration file; if a broker runs, it does so and its answer is shown
    Apply {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        guarded: Guarded,
    },
    #[command(flatten)]
    Generations(Generations),
    /// Explains the fields of the configuration file: what each is for, what it takes, and when a change takes effect
    Reference {
        /// A field or a section, such as `limits` or `listener[].tls` [default: all]
        path: Option<String>,
        /// Write the whole as Markdown
        #[arg(long, conflicts_with_all = ["path", "json"])]
        markdown: bool,
    },
    /// Writes the JSON Schema of the configuration, as the API takes it
    Schema,
    /// Sets one field of the configuration file, such as `certificates.require true` or `listener[0].tls true`
    Set {
        #[command(flatten)]
        editing: Editing,
        /// The field
        path: String,
        /// Its value, as the file would write it; quotation marks may be left out
        value: String,
    },
    /// Shows what is applied, every default included
    Show {
        #[command(flatten)]
        place: Place,
        /// Show the text of a fresh configuration instead
        #[arg(long)]
        fresh: bool,
    },
}

/// A list of cores: `0-3,8`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CoreList(pub(super) Vec<usize>);

impl FromStr for CoreList {
    type Err = String;

    fn from_str(text: &str) -> Result<CoreList, String> {
        let number = |text: &str| {
            let core = text.trim().parse::<usize>().ok().filter(|core| *core < 4_096);
            core.ok_or_else(|| format!("`{text}` is not a core: write a list such as 0-3,8"))
        };
        let mut cores = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(format!("`{part}` runs backwards: write {last}-{first}"));
            }
            cores.extend(first..=last);
        }
        let listed = cores.len();
        cores.sort_unstable();
        cores.dedup();
        if cores.len() == listed { Ok(CoreList(cores)) } else { Err("a core is listed twice".into()) }
    }
}

/// Any free port of this machine alone.
const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// What `--admin` asks for.
fn admin_at(text: &str) -> Result<AdminAt, String> {
    if text == "off" { Ok(AdminAt::Off) } else { resolve(text).map(AdminAt::Address) }
}

/// What `--listen` asks for.
fn listener(text: &str) -> Result<Listener, String> {
    let schemes = [
        ("ws://", Protocol::WebSocket, false),
        ("wss://", Protocol::WebSocket, true),
        ("mqtt://", Protocol::Tcp, false),
        ("mqtts://", Protocol::Tcp, true),
    ];
    let scheme = schemes
        .into_iter()
        .find_map(|(scheme, protocol, tls)| text.strip_prefix(scheme).map(|rest| (rest, protocol, tls)));
    let (rest, protocol, tls) = scheme.unwrap_or((text, Protocol::Tcp, false));
    if protocol == Protocol::Tcp {
        return Ok(Listener { tls, ..Listener::at(protocol, resolve(rest)?) });
    }
    let (rest, packets_per_frame) = match rest.split_once('?') {
        None => (rest, None),
        Some((rest, query)) => (rest, Some(packets(query)?)),
    };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let address = resolve(host)?;
    if !path.is_empty() && !validate::is_relative_url(path) {
        return Err(format!(
            "`{path}` is not a path: write /PATH behind the port, without spaces, `?` or `#`"
        ));
    }
    let path = (!path.is_empty()).then(|| path.to_owned());
    Ok(Listener { path, packets_per_frame, tls, ..Listener::at(protocol, address) })
}

/// What stands behind the path: `packets=one`.
fn packets(query: &str) -> Result<PacketsPerFrame, String> {
    let asked = query.strip_prefix("packets=");
    let known = PACKETS_PER_FRAME.iter().find(|(name, _)| asked == Some(name));
    let wrong = || format!("`?{query}` is not known: write `?packets=one`, `?packets=many` or nothing");
    known.map(|(_, packets)| *packets).ok_or_else(wrong)
}

fn resolve(text: &str) -> Result<SocketAddr, String> {
    let mut found = text
        .to_socket_addrs()
        .map_err(|error| format!("{error}: write HOST:PORT, such as 127.0.0.1:1883"))?;
    found.next().ok_or_else(|| "the name has no address".into())
}

/// Runs the command line of this process.
#[must_use]
pub fn run() -> ExitCode {
    let Cli { json, command } = Cli::parse();
    output::choose(if json { Form::Json } else { Form::Text });
    let done = match command {
        Command::Serve(serve) => serve::run(&serve),
        Command::Config(config) => commands::config(&config),
        Command::User(user) => users::run(&user),
        Command::Ca(ca) => certificates::ca(&ca),
        Command::Cert(cert) => certificates::cert(&cert),
        Command::Rules(rules) => rules::run(&rules),
        Command::Report(place) => commands::asked(&place, "/report"),
        Command::Status(status) => status.run(),
        Command::Top(top) => top.run(),
        Command::Clients(clients) => clients.run(),
        Command::Subscriptions(subscriptions) => subscriptions.run(),
        Command::Retained(retained) => retained.run(),
        Command::Trace(trace) => trace.run(),
        Command::Rejected(rejected) => rejected.run(),
        Command::Console(console) => console.run(),
        Command::Doctor(doctor) => doctor::run(&doctor),
        Command::Completions(wanted) => completions::complete(&wanted, Cli::command()),
        Command::Man(wanted) => completions::manual(&wanted, Cli::command()),
    };
    done.unwrap_or_else(|failure| failure.tell())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serve(arguments: &[&str]) -> Result<Serve, clap::Error> {
        let all = ["tidemq", "serve"].iter().chain(arguments);
        Cli::try_parse_from(all).map(|cli| match cli.command {
            Command::Serve(serve) => serve,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_trial_needs_no_file() {
        let trial =
            serve(&["--data", "d", "--listen", "127.0.0.1:0", "--listen", "[::1]:5", "--shards", "4"])
                .unwrap();
        let listen: Vec<String> = trial.overrides().listen.iter().map(ToString::to_string).collect();
        assert_eq!(listen, ["tcp 127.0.0.1:0", "tcp [::1]:5"]);
        assert_eq!(trial.shards, Some(4));
        for bad in [["--shards", "0"], ["--listen", "nowhere"], ["--cores", "x"]] {
            assert!(serve(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_websocket_and_tls_are_asked_for_by_their_urls() {
        for (asked, meant) in [
            ("ws://127.0.0.1:0/mqtt", "websocket 127.0.0.1:0/mqtt"),
            ("ws://[::1]:8083", "websocket [::1]:8083/mqtt"),
            ("ws://127.0.0.1:9/", "websocket 127.0.0.1:9/"),
            ("ws://127.0.0.1:9/a/b", "websocket 127.0.0.1:9/a/b"),
            ("ws://127.0.0.1:9/a?packets=many", "websocket 127.0.0.1:9/a"),
            ("ws://127.0.0.1:9/a?packets=one", "websocket 127.0.0.1:9/a (one packet a frame)"),
            ("ws://127.0.0.1:9?packets=one", "websocket 127.0.0.1:9/mqtt (one packet a frame)"),
            ("wss://127.0.0.1:9/a?packets=one", "websocket+tls 127.0.0.1:9/a (one packet a frame)"),
            ("wss://127.0.0.1:0", "websocket+tls 127.0.0.1:0/mqtt"),
            ("mqtts://127.0.0.1:0", "tls 127.0.0.1:0"),
            ("mqtt://127.0.0.1:0", "tcp 127.0.0.1:0"),
        ] {
            let listen = serve(&["--listen", asked]).unwrap().overrides().listen;
            assert_eq!(listen[0].to_string(), meant);
        }
        for bad in [
            "ws://",
            "ws://127.0.0.1",
            "ws:///mqtt",
            "ws://127.0.0.1:9/a b",
            "ws://127.0.0.1:9/?q",
            "mqtts://x",
            "mqtts://127.0.0.1:9/",
        ] {
            assert!(serve(&["--listen", bad]).is_err(), "{bad:?}");
        }
        for bad in ["?packets=two", "?packets", "?", "?packets=one&x"] {
            let bad = &format!("ws://127.0.0.1:9/mqtt{bad}");
            assert!(serve(&["--listen", bad]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn cores_are_a_list_of_numbers_and_ranges() {
        assert_eq!("0-3,8".parse(), Ok(CoreList(vec![0, 1, 2, 3, 8])));
        assert_eq!("5".parse(), Ok(CoreList(vec![5])));
        for bad in ["", "3-1", "1,1", "0-2,2", "a", "1-", "-1", "0-99999999999"] {
            assert!(bad.parse::<CoreList>().is_err(), "{bad:?}");
        }
    }
}
