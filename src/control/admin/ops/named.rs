//! How the API writes what other layers keep as values.

use crate::mqtt::Version;

/// As people name a version of MQTT.
pub(super) fn version_name(version: Version) -> &'static str {
    match version {
        Version::V3_1 => "3.1",
        Version::V3_1_1 => "3.1.1",
        Version::V5 => "5.0",
    }
}

/// A moment as RFC 3339 writes it, from seconds since 1970.
pub(super) fn when(unix_secs: u64) -> String {
    moment(i64::try_from(unix_secs).unwrap_or(i64::MAX))
}

/// The same of a signed number.
pub(super) fn moment(unix_secs: i64) -> String {
    use time::format_description::well_known::Rfc3339;
    let moment = time::OffsetDateTime::from_unix_timestamp(unix_secs).ok();
    moment.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_else(|| "never".to_owned())
}
