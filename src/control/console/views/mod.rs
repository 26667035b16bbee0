//! The pages as values with their templates. A view knows what is shown and how it is worded, not where it comes from:
//! no operation, no request, nothing of the broker.

pub mod access;
pub mod certificates;
pub mod clients;
pub mod diagnostics;
pub mod form;
pub mod history;
pub mod list;
pub mod login;
pub mod retained;
pub mod rules;
pub mod settings;
pub mod shell;
pub mod status;

#[cfg(test)]
pub(in crate::control) mod sample;
#[cfg(test)]
mod tests;
