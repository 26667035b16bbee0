//! What a request brings and nothing may repeat: passwords, and files that may hold keys. No error about them, no log and
//! no answer ever shows what they hold.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize, Deserializer, Error};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};
use zeroize::Zeroizing;

use super::super::problem::Problem;

/// A text that is not repeated.
#[derive(Clone)]
pub(in crate::control) struct Secret(Zeroizing<String>);

impl Secret {
    /// What it is.
    pub(in crate::control) fn text(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret(Zeroizing::new(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("(not shown)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
        // Told by hand: the error that comes with it would say what was found instead of a text.
        match serde_json::Value::deserialize(from) {
            Ok(serde_json::Value::String(text)) => Ok(Secret::from(text)),
            _ => Err(D::Error::custom("a text is expected")),
        }
    }
}

impl PartialSchema for Secret {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).write_only(true).into()
    }
}

impl ToSchema for Secret {}

/// A file, as base64.
#[derive(Clone, Debug)]
pub(in crate::control) struct File(Secret);

impl File {
    /// One that is here already.
    pub(in crate::control) fn of(bytes: &[u8]) -> File {
        File(Secret::from(STANDARD.encode(bytes)))
    }

    /// What it holds. `field`: what the request calls it.
    pub(super) fn bytes(&self, field: &str) -> Result<Zeroizing<Vec<u8>>, Problem> {
        // Many tools break its lines.
        let text: Zeroizing<String> =
            Zeroizing::new(self.0.text().chars().filter(|c| !c.is_ascii_whitespace()).collect());
        STANDARD.decode(text.as_bytes()).map(Zeroizing::new).map_err(|_| {
            Problem::not_taken("not-base64", format!("`{field}` is not base64"))
                .remedy("send the file's bytes as base64, with its padding")
        })
    }
}

impl<'de> Deserialize<'de> for File {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<File, D::Error> {
        Secret::deserialize(from).map(File)
    }
}

impl PartialSchema for File {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .content_encoding("base64")
            .description(Some("A file's bytes as base64"))
            .write_only(true)
            .into()
    }
}

impl ToSchema for File {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_in_no_error_and_in_no_debug_output() {
        for wrong in ["4711", "[\"4711\"]", "{\"x\": 4711}", "true", "\"4711"] {
            let error = serde_json::from_str::<Secret>(wrong).unwrap_err().to_string();
            assert!(!error.contains("4711"), "{error}");
        }
        let secret: Secret = serde_json::from_str("\"4711\"").unwrap();
        assert_eq!((secret.text(), format!("{secret:?}").as_str()), ("4711", "(not shown)"));
    }

    #[test]
    fn a_file_is_base64_with_or_without_breaks_and_what_is_not_is_not_repeated() {
        let file: File = serde_json::from_str("\"dGlk\\r\\nZW1x\\n\"").unwrap();
        assert_eq!(file.bytes("data").unwrap().as_slice(), b"tidemq");
        assert_eq!(File::of(b"tide").bytes("data").unwrap().as_slice(), b"tide");
        let bad: File = serde_json::from_str("\"-----BEGIN 4711\"").unwrap();
        let problem = bad.bytes("key").unwrap_err();
        assert!(problem.status == 422 && problem.detail.contains("`key`"), "{problem:?}");
        assert!(!format!("{problem:?}").contains("4711"));
    }
}
