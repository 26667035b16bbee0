//! Where clients connect: the fields of the file itself and of its listeners.

use super::FieldDoc;
use super::{Example, Fresh, Kind, SectionDoc, address, boolean, choice, number, text, word};

pub(super) const ROOT: SectionDoc = SectionDoc {
    path: "",
    title: "The broker",
    doc: "tidemq: the broker's configuration.\n\
        An edit is taken by `tidemq config apply`, or by SIGHUP to the running broker; `tidemq config check FILE` tries \
        one without applying it. Sizes may be written as \"1 MiB\" or as a number of bytes. `tidemq config reference` \
        says all of this and more of every field.",
    fields: &[
        FieldDoc {
            default: None,
            ..number("generation", "Generation", 0, 0, i64::MAX as u64).says(
                "Which applied configuration this text was made from. Apply raises it; leave it as it is when you edit. \
                 A text without it is taken whatever is applied.",
            )
        },
        boolean("enabled", "Enable MQTT broker service on this computer", false)
            .says("Nobody can connect while this is false."),
    ],
    fresh: Fresh::Table,
};

pub(super) const LISTENER: SectionDoc = SectionDoc {
    path: "listener[]",
    title: "Listeners",
    doc: "Where clients connect. 127.0.0.1 means: from this machine only; 0.0.0.0 (or [::]) means: from anywhere.",
    fields: &[
        choice(
            "listener[].protocol",
            "Protocol",
            Some("tcp"),
            &[
                word("tcp", "MQTT on a TCP connection"),
                word("websocket", "MQTT in WebSocket frames, for browsers too"),
            ],
        )
        .says("How clients speak MQTT here."),
        address("listener[].address", "Address", None)
            .required()
            .says("The address and the port, such as \"127.0.0.1:1883\" or \"[::]:1883\"."),
        boolean("listener[].tls", "Use encryption (TLS)", false)
            .says("true: encrypted, with the broker's certificate (see [broker_certificate])."),
        boolean("listener[].require_client_certificate", "Require client certificates here", true)
            .says("false: clients need no certificate here, whatever [certificates] says."),
        text("listener[].path", "Relative URL", None).says(
            "What WebSocket clients ask for, as in ws://127.0.0.1:8083/mqtt; without it that is \"/mqtt\". Not for \"tcp\".",
        ),
        FieldDoc {
            kind: Kind::Choice { words: PACKETS },
            ..text("listener[].packets_per_frame", "Packets per frame", None)
        }
        .new_connections()
        .says(
            "What goes out in one WebSocket frame; without it that is \"many\". \"one\" is for clients that take a frame \
             for a packet (Eclipse Paho C does). Not for \"tcp\".",
        ),
        boolean("listener[].enabled", "Enable this listener", true)
            .says("false: it stays in the file and nobody can connect here."),
    ],
    fresh: Fresh::Entries(&[
        Example {
            doc: "",
            values: &[("address", "\"127.0.0.1:1883\""), ("path", ""), ("packets_per_frame", "")],
        },
        Example {
            doc: "MQTT in WebSocket frames, for browsers too: ws://127.0.0.1:8083/mqtt, with TLS \
                wss://127.0.0.1:8083/mqtt",
            values: &[
                ("protocol", "\"websocket\""),
                ("address", "\"127.0.0.1:8083\""),
                ("path", "\"/mqtt\""),
                ("packets_per_frame", "\"many\""),
                ("enabled", "false"),
            ],
        },
    ]),
};

const PACKETS: &[super::Word] =
    &[word("many", "as many packets as there are"), word("one", "each packet in a frame of its own")];
