//! Who may connect and what they may do: certificates, credentials, topic rules.

use super::{
    Example, FieldDoc, Fresh, Kind, SectionDoc, Word, boolean, choice, secret, text, texts, thumbprint, word,
};

const THUMBPRINT: &str = "\"8f43...\"";

pub(super) const CERTIFICATES: SectionDoc = SectionDoc {
    path: "certificates",
    title: "Client certificates",
    doc: "Client certificates. A certificate that a client presents is always judged; one that is revoked never gets in.",
    fields: &[
        boolean("certificates.require", "Require client certificates", false).says(
            "true: no client gets in without one, on any listener that does not exempt itself. Topic rules apply then.",
        ),
        boolean(
            "certificates.trusted_authorized_only",
            "Accept trusted authorized client certificates only",
            false,
        )
        .says(
            "By default all certificates are accepted that an [[authority]] has issued, or one that the operating system \
             trusts. true: of these only the ones that are listed as authorized.",
        ),
        boolean("certificates.any_authorized", "Accept any authorized client certificate", false).says(
            "true: whatever is listed as authorized gets in, whoever has issued it and even if it has expired.",
        ),
        boolean("certificates.trust_operating_system", "Trust what the operating system trusts", true).says(
            "false: who the operating system trusts issues no client certificates; only an [[authority]] does.",
        ),
        choice(
            "certificates.client_id",
            "Client identifiers",
            Some("any"),
            &[
                word("any", "whatever it asks for"),
                word("equals-name", "its name alone"),
                word("starts-with-name", "whatever begins with its name"),
            ],
        )
        .new_connections()
        .says(
            "Which client identifiers a client may use whose name is known by certificate or password, so that nobody \
             takes another's session: \"any\", \"equals-name\", or \"starts-with-name\".",
        ),
    ],
    fresh: Fresh::Table,
};

pub(super) const CLIENT_CERTIFICATE: SectionDoc = SectionDoc {
    path: "client_certificate[]",
    title: "Listed client certificates",
    doc: "Certificates are listed, each by a [[client_certificate]]: `tidemq cert client` adds, authorizes and revokes \
        them.",
    fields: &[
        text("client_certificate[].name", "Name", None)
            .required()
            .says("What people call it; each is there once."),
        thumbprint("client_certificate[].thumbprint", "Thumbprint")
            .required()
            .says("The certificate's SHA-256 thumbprint, 64 hexadecimal digits."),
        choice(
            "client_certificate[].status",
            "Status",
            None,
            &[
                word("authorized", "\"Authorized\": it gets in where the options above ask for listed ones"),
                word("revoked", "\"Revoked\": it never gets in, whatever else is said"),
            ],
        )
        .required()
        .says("\"authorized\" or \"revoked\"."),
    ],
    fresh: Fresh::Within(
        "certificates",
        Example {
            doc: "",
            values: &[("name", "\"device1\""), ("thumbprint", THUMBPRINT), ("status", "\"authorized\"")],
        },
    ),
};

pub(super) const CREDENTIALS: SectionDoc = SectionDoc {
    path: "credentials",
    title: "Client credentials",
    doc: "User names and passwords.",
    fields: &[boolean("credentials.require", "Require client credentials", false).says(
        "true: no client gets in without. false: clients may stay anonymous, but what they send must be right once there \
         is a user.",
    )],
    fresh: Fresh::Table,
};

pub(super) const USER: SectionDoc = SectionDoc {
    path: "user[]",
    title: "Users",
    doc: "Users are listed, each by a [[user]]: `tidemq user` adds and removes them.",
    fields: &[
        text("user[].name", "User name", None).required().says("As the client sends it; each is there once."),
        secret("user[].password", "Password", None).required().says(
            "What is kept of the password: its argon2id hash in PHC format, which `tidemq user passwd` makes.",
        ),
    ],
    fresh: Fresh::Within(
        "credentials",
        Example {
            doc: "",
            values: &[("name", "\"alice\""), ("password", "\"$argon2id$v=19$m=19456,t=2,p=1$...\"")],
        },
    ),
};

pub(super) const BROKER_CERTIFICATE: SectionDoc = SectionDoc {
    path: "broker_certificate",
    title: "Broker certificate",
    doc: "What the broker presents to clients on listeners with TLS.",
    fields: &[
        FieldDoc {
            kind: Kind::Thumbprint { or: Some("auto") },
            ..text("broker_certificate.certificate", "Certificate", Some("auto"))
        }
        .new_connections()
        .says(
            "\"auto\": one that the broker makes itself and renews in time, signed by the [[authority]] that issues \
             (`tidemq ca`). Or the thumbprint of one that `tidemq cert broker` has imported.",
        ),
        texts("broker_certificate.names", "Names and addresses").new_connections().says(
            "Names and addresses in a certificate that the broker makes. Empty: all of this machine.",
        ),
    ],
    fresh: Fresh::Table,
};

pub(super) const AUTHORITY: SectionDoc = SectionDoc {
    path: "authority[]",
    title: "Certificate authorities",
    doc: "Certificate authorities: whoever shows a certificate that one of them has issued is trusted. The one that \
        `issues` signs the broker's certificate, and what `tidemq ca issue` makes for clients; `tidemq ca export NAME` \
        writes what clients need to trust the broker. The first start makes one for its installation.",
    fields: &[
        text("authority[].name", "Name", None).required().says("What people call it; each is there once."),
        thumbprint("authority[].thumbprint", "Thumbprint")
            .required()
            .says("The SHA-256 thumbprint of its certificate."),
        boolean("authority[].issues", "Issues certificates", false)
            .says("true: it issues what is issued here. One can, and needs its private key."),
    ],
    fresh: Fresh::Made(Example {
        doc: "",
        values: &[("name", "\"built-in\""), ("thumbprint", THUMBPRINT), ("issues", "true")],
    }),
};

pub(super) const RULES: SectionDoc = SectionDoc {
    path: "rules",
    title: "Topic access rules",
    doc: "What clients may publish and subscribe to, by their names.",
    fields: &[
        choice(
            "rules.apply",
            "Rules apply",
            Some("certificates"),
            &[
                word("certificates", "as soon as an enabled listener requires client certificates"),
                word("always", "always, to user names too"),
            ],
        )
        .says(
            "\"certificates\": as soon as an enabled listener requires client certificates. \"always\": for user names \
             too.",
        ),
        choice(
            "rules.refused_publish_v3",
            "A refused publish of an older client",
            Some("acknowledge"),
            &[
                word("acknowledge", "it is acknowledged and dropped"),
                word("close", "the connection is closed"),
            ],
        )
        .says(
            "What becomes of a refused publish of a client older than MQTT 5.0, which cannot be told: \"acknowledge\" it \
             and drop it, or \"close\" the connection.",
        ),
    ],
    fresh: Fresh::Table,
};

const MATCHES: [&[Word]; 2] = [
    &[
        word("all", "every client, also one without a name"),
        word("specific", "the client with exactly this name"),
        word("pattern", "clients of which the whole name matches a regular expression"),
    ],
    &[
        word("all", "every topic"),
        word("specific", "topics that a filter matches"),
        word("pattern", "topics that a filter matches with {%client%} in it replaced by the client's name"),
    ],
];

pub(super) const RULE: SectionDoc = SectionDoc {
    path: "rule[]",
    title: "Rules",
    doc: "A rule is a [[rule]]: the first that matches a client and a topic decides, and without one that matches nothing \
        is allowed. `tidemq rules` adds, moves and tries them. For example, every client whose name begins with \"device\" \
        may publish its own temperature:",
    fields: &[
        text("rule[].name", "Name", None).required().says("What people call it."),
        choice(
            "rule[].access",
            "Topic Access",
            None,
            &[
                word("deny", "\"Deny\": nothing"),
                word("read", "\"Read\": to subscribe"),
                word("write", "\"Write\": to publish"),
                word("read-write", "\"Read / Write\": both"),
            ],
        )
        .required()
        .says("What it grants: \"deny\", \"read\" (subscribe), \"write\" (publish) or \"read-write\"."),
        choice("rule[].client_match", "Client Match", None, MATCHES[0])
            .required()
            .says("\"all\", \"specific\", or \"pattern\" (a regular expression for the whole name)."),
        text("rule[].client", "Client", Some(""))
            .says("The client's name, or the regular expression; nothing if all are meant."),
        choice("rule[].topic_match", "Topic Match", None, MATCHES[1])
            .required()
            .says("\"all\", \"specific\" (a topic filter), or \"pattern\" (a filter with {%client%} in it)."),
        text("rule[].topic", "Topic", Some("")).says("The filter; nothing if all are meant."),
    ],
    fresh: Fresh::Within(
        "rules",
        Example {
            doc: "",
            values: &[
                ("name", "\"temperatures\""),
                ("access", "\"write\""),
                ("client_match", "\"pattern\""),
                ("client", "\"device.*\""),
                ("topic_match", "\"pattern\""),
                ("topic", "\"/{%client%}/temperature\""),
            ],
        },
    ),
};

pub(super) const RULE_TEST: SectionDoc = SectionDoc {
    path: "rule_test[]",
    title: "Tests of the rules",
    doc: "A [[rule_test]] guards the rules: what it expects must come true, or nothing is applied.",
    fields: &[
        text("rule_test[].name", "Name", None).required().says("What people call it; each is there once."),
        text("rule_test[].client", "Client", Some("")).says("The client's name; nothing: it has none."),
        choice(
            "rule_test[].action",
            "Action",
            None,
            &[word("publish", "it publishes"), word("subscribe", "it subscribes")],
        )
        .required()
        .says("What it wants to do: \"publish\" or \"subscribe\"."),
        text("rule_test[].topic", "Topic", None)
            .required()
            .says("The topic that it publishes to, or the filter that it subscribes with."),
        choice(
            "rule_test[].expect",
            "Expected",
            None,
            &[word("allowed", "it may"), word("refused", "it may not")],
        )
        .required()
        .says("\"allowed\" or \"refused\"."),
    ],
    fresh: Fresh::Within(
        "rules",
        Example {
            doc: "",
            values: &[
                ("name", "\"temperatures are private\""),
                ("client", "\"device1\""),
                ("action", "\"publish\""),
                ("topic", "\"/device2/temperature\""),
                ("expect", "\"refused\""),
            ],
        },
    ),
};
