//! What `doctor` says of the addresses that the broker is to listen on: free, held by this very broker, or by somebody
//! else. Each is bound for a moment, which is what the start does. Knows no file.

use std::net::SocketAddr;

use super::Finding;
use crate::net::{BindError, listener};

/// The broker that runs on this data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Runs {
    No,
    /// Its process, if it said which it is.
    Yes(Option<u32>),
}

const CHECK: &str = "port";

/// Looks at one address; `name` says whose it is.
pub(super) fn look(name: &str, address: SocketAddr, runs: Runs) -> Finding {
    if address.port() == 0 {
        return Finding::ok(CHECK, format!("{name}: any free port of {}", address.ip()));
    }
    match listener::bind(0, address, 1) {
        Ok(_free) => Finding::ok(CHECK, format!("{name}: {address} is free")),
        Err(error) => taken(name, &error, runs),
    }
}

fn taken(name: &str, error: &BindError, runs: Runs) -> Finding {
    if let (BindError::InUse { address, holder }, Runs::Yes(broker)) = (error, runs) {
        let holder = holder.as_ref().and_then(|holder| holder.pid);
        match (holder, broker) {
            (Some(holder), Some(broker)) if holder == broker => {
                return Finding::ok(
                    CHECK,
                    format!("{name}: {address} is held by this broker (process {broker})"),
                );
            }
            // Another user's process keeps to itself what it has open.
            (None, _) => {
                return Finding::ok(
                    CHECK,
                    format!("{name}: {address} is in use, most likely by this broker"),
                );
            }
            _ => {}
        }
    }
    let mut finding = match error {
        BindError::Other { .. } => Finding::problem(CHECK, error, "choose another address"),
        BindError::NotHere { .. } => Finding::problem(
            CHECK,
            error,
            "write one that `ip address` shows, 0.0.0.0 or [::] for all, 127.0.0.1 for this machine alone",
        ),
        BindError::InUse { .. } | BindError::Forbidden { .. } => Finding::from_error(CHECK, error),
    };
    finding.what = format!("{name}: {}", finding.what);
    finding
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_port_is_free_or_somebodys_or_this_brokers() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = holder.local_addr().unwrap();
        let own = std::process::id();

        let others = look("listener[0]", address, Runs::No);
        assert_eq!(others.verdict, Verdict::Problem);
        assert!(
            others.what.starts_with(&format!("listener[0]: {address} is already in use by process {own}"))
        );
        assert_eq!(others.remedy, "stop it, or choose another port");
        assert_eq!(look("listener[0]", address, Runs::Yes(Some(own + 1))).verdict, Verdict::Problem);
        assert_eq!(look("listener[0]", address, Runs::Yes(Some(own))).verdict, Verdict::Ok);

        drop(holder);
        let free = look("listener[0]", address, Runs::No);
        assert_eq!((free.verdict, free.what), (Verdict::Ok, format!("listener[0]: {address} is free")));
    }

    #[test]
    fn an_address_of_another_machine_is_a_problem() {
        let finding = look("admin", "192.0.2.1:1883".parse().unwrap(), Runs::No);
        assert_eq!(finding.verdict, Verdict::Problem);
        assert!(finding.remedy.contains("0.0.0.0"), "{}", finding.remedy);
    }
}
