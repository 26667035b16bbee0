//! Client certificates, with real ones: the truth table of the policy, what TLS makes of it, chains, kinds of keys,
//! names, proof of possession and resumed sessions.

#![allow(clippy::disallowed_methods, reason = "the bans keep the broker's pure layers pure; this is a test")]

mod chains;
mod der;
mod handshake;
mod issue;
mod judged;
mod keys;
mod live;
mod names;
mod node;
mod openssl;
mod proof;
mod resumed;
mod shaken;
mod system;
mod table;
mod wire;
