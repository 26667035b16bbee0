//! What stands around every page: the header with the broker's state, what is pending and Apply, the navigation, a
//! notice. It knows no page's content.

use askama::Template;

use crate::control::console::assets;
use crate::control::console::text::{Foreign, count, plural};

/// What stands around every page.
#[derive(Clone, Debug)]
pub(crate) struct Shell {
    /// Which page it is around.
    pub(crate) page: Page,
    /// Light or dark.
    pub(crate) theme: Theme,
    /// Whether the broker is enabled and runs.
    pub(crate) running: bool,
    /// The generation that is applied.
    pub(crate) generation: u64,
    /// Changes of the draft that are not applied.
    pub(crate) pending: usize,
    /// What is wrong with the draft: it cannot be applied as it is.
    pub(crate) problems: usize,
    /// The draft as it was when the page was made; edits carry it, so that nobody overwrites somebody else's.
    pub(crate) etag: String,
    /// A generation that is taken back unless somebody confirms it.
    pub(crate) trial: Option<Trial>,
    /// What the last action came to.
    pub(crate) notice: Option<Notice>,
    /// The page's own URL with its query, to which an action that belongs to no page comes back.
    pub(crate) here: String,
}

/// A generation that is taken back unless somebody confirms it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trial {
    /// Which.
    pub(crate) generation: u64,
    /// How long there is to confirm it.
    pub(crate) seconds: u64,
}

/// What an action came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    /// How it went.
    pub(crate) tone: Tone,
    /// In a sentence.
    pub(crate) text: Foreign,
    /// More, a line each.
    pub(crate) lines: Vec<Foreign>,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Done.
    Good,
    /// Done, and there is something to look at.
    Warning,
    /// Not done.
    Bad,
}

/// Light or dark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Theme {
    /// As the reader's system has it.
    #[default]
    Auto,
    /// Always light.
    Light,
    /// Always dark.
    Dark,
}

/// The pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    Status,
    BrokerSettings,
    CertificateAuthorities,
    BrokerCertificate,
    ClientCertificates,
    TopicAccessRules,
    Users,
    Clients,
    Retained,
    Diagnostics,
    History,
    Changes,
}

/// The tabs of Configuration, in the order of the source.
pub(crate) const CONFIGURATION: [Page; 6] = [
    Page::BrokerSettings,
    Page::CertificateAuthorities,
    Page::BrokerCertificate,
    Page::ClientCertificates,
    Page::TopicAccessRules,
    Page::Users,
];

impl Page {
    /// What people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Page::Status => "Status",
            Page::BrokerSettings => "Broker Settings",
            Page::CertificateAuthorities => "Certificate Authorities",
            Page::BrokerCertificate => "Broker Certificate",
            Page::ClientCertificates => "Client Certificates",
            Page::TopicAccessRules => "Topic Access Rules",
            Page::Users => "Users",
            Page::Clients => "Clients",
            Page::Retained => "Retained",
            Page::Diagnostics => "Diagnostics",
            Page::History => "History",
            Page::Changes => "Pending changes",
        }
    }

    /// Where it is.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Page::Status => "/status",
            Page::BrokerSettings => "/configuration/broker-settings",
            Page::CertificateAuthorities => "/configuration/certificate-authorities",
            Page::BrokerCertificate => "/configuration/broker-certificate",
            Page::ClientCertificates => "/configuration/client-certificates",
            Page::TopicAccessRules => "/configuration/topic-access-rules",
            Page::Users => "/configuration/users",
            Page::Clients => "/clients",
            Page::Retained => "/retained",
            Page::Diagnostics => "/diagnostics",
            Page::History => "/history",
            Page::Changes => "/changes",
        }
    }

    /// Its picture in the navigation.
    pub(crate) fn icon(self) -> &'static str {
        match self {
            Page::Status => "pulse",
            Page::Clients => "devices",
            Page::Retained => "pin",
            Page::Diagnostics => "search",
            Page::History | Page::Changes => "clock",
            _ => "sliders",
        }
    }
}

impl Theme {
    /// As the cookie and the page's root say it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Theme::Auto => "auto",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }

    /// Whether it is the one of this name.
    pub(crate) fn is(self, name: &str) -> bool {
        self.name() == name
    }

    /// What a cookie means; whatever else it says is [`Theme::Auto`].
    pub(crate) fn named(name: &str) -> Theme {
        [Theme::Light, Theme::Dark].into_iter().find(|theme| theme.name() == name).unwrap_or_default()
    }
}

impl Tone {
    /// As the style sheet has it.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Tone::Good => "good",
            Tone::Warning => "warning",
            Tone::Bad => "bad",
        }
    }
}

impl Notice {
    /// Done.
    pub(crate) fn good(text: impl Into<Foreign>) -> Notice {
        Notice { tone: Tone::Good, text: text.into(), lines: Vec::new() }
    }

    /// Not done.
    pub(crate) fn bad(text: impl Into<Foreign>) -> Notice {
        Notice { tone: Tone::Bad, text: text.into(), lines: Vec::new() }
    }
}

impl Shell {
    /// Where an asset is.
    pub(crate) fn asset(&self, name: &str) -> String {
        assets::url(name)
    }

    /// The tabs of Configuration.
    pub(crate) fn configuration(&self) -> [Page; 6] {
        CONFIGURATION
    }

    /// The other entries of the navigation, below Status and Configuration.
    pub(crate) fn others(&self) -> [Page; 4] {
        [Page::Clients, Page::Retained, Page::Diagnostics, Page::History]
    }

    /// Whether this is the page, for the navigation.
    pub(crate) fn is(&self, page: &Page) -> bool {
        self.page == *page
    }

    /// `3 pending changes`
    pub(crate) fn pending_text(&self) -> String {
        match (self.problems, self.pending) {
            (0, 0) => "No pending changes".into(),
            (0, pending) => plural(pending as u64, "pending change", "pending changes"),
            (problems, _) => plural(problems as u64, "problem in the draft", "problems in the draft"),
        }
    }

    /// `generation 1,234`
    pub(crate) fn generation_text(&self) -> String {
        format!("generation {}", count(self.generation))
    }
}

/// Header and countdown by themselves.
#[derive(Template)]
#[template(path = "header.html")]
pub(crate) struct HeaderPage {
    /// What is to be shown.
    pub(crate) shell: Shell,
}
