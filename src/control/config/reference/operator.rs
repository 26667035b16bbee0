//! What is there for the operator: the console and the API, what the broker says of itself, the log, diagnostics.

use super::{
    FieldDoc, Fresh, Kind, SectionDoc, Word, address, boolean, bytes, choice, number, secret, text, texts,
    word,
};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

pub(super) const ADMIN: SectionDoc = SectionDoc {
    path: "admin",
    title: "Console and API",
    doc: "The console and the API. Whoever has the token in `admin.token` of the data directory gets in. The command line \
        does not need them: it has a socket of its own there.",
    fields: &[
        boolean("admin.enabled", "Enable the console and the API", true)
            .says("false: they do not listen; `tidemq` still works on this machine."),
        address("admin.address", "Address", Some("127.0.0.1:9883"))
            .says("Where they listen. Another address than one of this machine alone needs `tls = true`."),
        boolean("admin.tls", "Use encryption (TLS)", false)
            .says("true: encrypted, with the broker's certificate (see [broker_certificate])."),
        texts("admin.hosts", "Names").says(
            "Names by which browsers may ask for the console, such as [\"broker.example.org\"], besides its addresses \
             and the name of this machine. A page of another name is refused, so that none can pretend to be it.",
        ),
        secret("admin.password", "Password", Some("")).says(
            "A password besides the token: its argon2id hash in PHC format, as `tidemq console --set-password` makes it. Empty: the \
             token alone.",
        ),
    ],
    fresh: Fresh::Table,
};

pub(super) const STATUS: SectionDoc = SectionDoc {
    path: "status",
    title: "Status",
    doc: "What the broker says of itself.",
    fields: &[number("status.sys_interval_secs", "Interval of $SYS", 10, 0, u16::MAX as u64)
        .unit("seconds")
        .says(
            "Seconds between two looks at the counters: what has changed is published below $SYS/broker, retained. 0 = \
             never, and nothing is retained there.",
        )],
    fresh: Fresh::Table,
};

pub(super) const LOG: SectionDoc = SectionDoc {
    path: "log",
    title: "Log",
    doc: "The log, on standard error.",
    fields: &[
        choice(
            "log.level",
            "Level",
            Some("info"),
            &[
                word("error", "what failed"),
                word("warn", "and what may fail"),
                word("info", "and what an operator wants to know"),
                word("debug", "and what a developer wants to know"),
                word("trace", "everything"),
            ],
        )
        .says("The least severe events that are written: error, warn, info, debug or trace."),
        choice(
            "log.format",
            "Format",
            Some("text"),
            &[word("text", "a line for people"), word("json", "a JSON object a line, for machines")],
        )
        .says("How a line is written: \"text\", or \"json\" (one object a line)."),
    ],
    fresh: Fresh::Table,
};

const PACKETS: &[Word] = &[
    word("connect", "CONNECT"),
    word("connack", "CONNACK"),
    word("publish", "PUBLISH"),
    word("puback", "PUBACK"),
    word("pubrec", "PUBREC"),
    word("pubrel", "PUBREL"),
    word("pubcomp", "PUBCOMP"),
    word("subscribe", "SUBSCRIBE"),
    word("suback", "SUBACK"),
    word("unsubscribe", "UNSUBSCRIBE"),
    word("unsuback", "UNSUBACK"),
    word("pingreq", "PINGREQ"),
    word("pingresp", "PINGRESP"),
    word("disconnect", "DISCONNECT"),
    word("auth", "AUTH"),
];

pub(super) const DIAGNOSTICS: SectionDoc = SectionDoc {
    path: "diagnostics",
    title: "Diagnostics",
    doc: "The log of MQTT messages, for fault finding: files in the folder `messages` of the data directory, the oldest of \
        which is removed. It drops its own lines before it slows the broker. `tidemq trace` shows messages without it.",
    fields: &[
        boolean("diagnostics.log_messages", "Log MQTT messages", false)
            .says("true: what the fields below pick is logged."),
        text("diagnostics.client", "Client", Some(""))
            .says("The client identifier of the client of which messages are logged. Empty: of every client."),
        text("diagnostics.topic", "Topic", Some("#"))
            .says("A topic filter: of packets with a topic the ones that it matches are logged. \"#\" is every topic."),
        choice(
            "diagnostics.direction",
            "Direction",
            Some("both"),
            &[
                word("both", "what clients send and what they are sent"),
                word("in", "what clients send"),
                word("out", "what clients are sent"),
            ],
        )
        .says("\"in\" (what clients send), \"out\" (what they are sent), or \"both\"."),
        FieldDoc { kind: Kind::Choices { words: PACKETS }, ..texts("diagnostics.packets", "Packets") }
            .says("Which packets are logged, such as [\"publish\", \"subscribe\"]. Empty: all."),
        bytes("diagnostics.payload_bytes", "Payload", 256, 0, crate::policy::trace::PAYLOAD_MOST as u64)
            .says("How much of a payload is logged."),
        bytes("diagnostics.file_bytes", "Size of a file", 16 * MIB, 64 * KIB, GIB)
            .says("How large a file becomes before the next one is begun."),
        number("diagnostics.files", "Files", 4, 1, 1_000)
            .unit("files")
            .says("How many files are kept."),
    ],
    fresh: Fresh::Table,
};
