//! Conformance by statement: what the two OASIS standards number, and the tests that prove it, one file a chapter.
//!
//! `statements_v5.txt` and `statements_v3.txt` list every numbered statement; `list.rs` holds list and tests together.
//! A test is named after the statement that it proves first, `v5_3_1_2_22_...`, and speaks in bytes: what is sent and
//! what is expected is made here (`wire.rs`) and not by the broker's codec. `broker.rs` has the broker in this process,
//! with one shard and with three; `sockets.rs` the real binary, for what only a socket can show.

#![allow(unreachable_pub, reason = "the modules of a test have no outside")]

mod broker;
mod ch1_data;
mod ch2_format;
mod ch3_01_connect;
mod ch3_01_limits;
mod ch3_01_sessions;
mod ch3_01_wills;
mod ch3_02_connack;
mod ch3_03_publish;
mod ch3_03_publish_properties;
mod ch3_03_publish_retained;
mod ch3_04_acks;
mod ch3_08_subscribe;
mod ch3_08_subscribe_races;
mod ch3_10_unsubscribe;
mod ch3_12_ping;
mod ch3_14_disconnect;
mod ch4_01_state;
mod ch4_03_qos;
mod ch4_06_order;
mod ch4_07_topics;
mod ch4_08_shared;
mod ch4_09_flow;
mod ch4_12_auth;
mod ch4_13_errors;
mod ch6_websocket;
mod list;
mod rng;
mod shorthand;
mod sockets;
mod wire;
