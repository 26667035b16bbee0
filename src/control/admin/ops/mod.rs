//! What console, API and command line can have done: plain functions with typed requests and answers. Each is either a job
//! for the control thread or an edit of the draft. They know nothing of HTTP.

pub(in crate::control) mod applying;
pub(in crate::control) mod clients;
pub(in crate::control) mod draft;
pub(in crate::control) mod editing;
mod named;
pub(in crate::control) mod rejected;
pub(in crate::control) mod retained;
pub(in crate::control) mod rules;
pub(in crate::control) mod secret;
pub(in crate::control) mod status;
pub(in crate::control) mod trials;
pub(in crate::control) mod users;
pub(in crate::control) mod summary;
