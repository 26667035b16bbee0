//! Sessions and messages.

use super::{Fresh, SectionDoc, boolean, choice, text, word};

pub(super) const BROKER: SectionDoc = SectionDoc {
    path: "broker",
    title: "Sessions and messages",
    doc: "Sessions and messages.",
    fields: &[
        boolean("broker.persistent_sessions", "Enable persistent sessions and messages", true)
            .says("false: every session ends with its connection. Retained messages stay."),
        choice(
            "broker.storage",
            "Storage",
            Some("memory"),
            &[word("memory", "in memory, cleared by a restart"), word("disk", "on disk: not available yet")],
        )
        .at_start()
        .says("Where sessions and messages lie: \"memory\" is cleared by a restart."),
        text("broker.response_information", "Response Information", Some("")).new_connections().says(
            "What a 5.0 client is told as Response Information, if it asks: this, and its client identifier behind it, \
             for example \"replies/\". Where it may wait for answers, that is; the broker itself makes nothing of it. \
             Empty: nothing is told.",
        ),
    ],
    fresh: Fresh::Table,
};
