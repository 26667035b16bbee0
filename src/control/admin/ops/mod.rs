//! What console, API and command line can have done: plain functions with typed requests and answers. Each is either a job
//! for the control thread or an edit of the draft. They know nothing of HTTP.

pub(in crate::control) mod applying;
pub(in crate::control) mod authorities;
pub(in crate::control) mod broker_certificate;
pub(in crate::control) mod certificate;
pub(in crate::control) mod changes;
pub(in crate::control) mod client_certificates;
pub(in crate::control) mod clients;
pub(in crate::control) mod draft;
pub(in crate::control) mod editing;
pub(in crate::control) mod issuing;
mod named;
pub(in crate::control) mod presenting;
pub(in crate::control) mod rejected;
pub(in crate::control) mod retained;
pub(in crate::control) mod rules;
pub(in crate::control) mod secret;
pub(in crate::control) mod status;
pub(in crate::control) mod summary;
pub(in crate::control) mod tracing;
pub(in crate::control) mod trials;
pub(in crate::control) mod users;

#[cfg(test)]
mod tests;
