//! The console's files, embedded in the binary: each under a URL that changes with them, so that a browser may keep
//! them for ever. It knows no page.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

/// A file.
pub(crate) struct Asset {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its media type.
    pub(crate) media_type: &'static str,
    /// What is in it.
    pub(crate) bytes: &'static [u8],
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! asset {
    ($name:literal, $media_type:expr) => {
        Asset { name: $name, media_type: $media_type, bytes: include_bytes!(concat!("assets/", $name)) }
    };
}

/// All of them. Scripts import each other by relative URLs, which works because all share one folder.
pub(crate) static ALL: [Asset; 11] = [
    asset!("console.css", "text/css; charset=utf-8"),
    asset!("mark.svg", "image/svg+xml"),
    asset!("dom.js", SCRIPT),
    asset!("page.js", SCRIPT),
    asset!("status.js", SCRIPT),
    asset!("chart.js", SCRIPT),
    asset!("draft.js", SCRIPT),
    asset!("settings.js", SCRIPT),
    asset!("rules.js", SCRIPT),
    asset!("messages.js", SCRIPT),
    asset!("payload.js", SCRIPT),
];

/// The folder of this build's files: a hash over all of them.
static FOLDER: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for asset in &ALL {
        hash.update(asset.name.as_bytes());
        hash.update(asset.bytes);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
});

/// Where a file is.
pub(crate) fn url(name: &str) -> String {
    format!("/assets/{}/{name}", *FOLDER)
}

/// The file at a folder and name; `None`: there is none, or it is of another build.
pub(crate) fn find(folder: &str, name: &str) -> Option<&'static Asset> {
    if folder != *FOLDER {
        return None;
    }
    ALL.iter().find(|asset| asset.name == name)
}
