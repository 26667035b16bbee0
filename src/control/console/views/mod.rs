//! The pages as values with their templates. A view knows what is shown and how it is worded, not where it comes from:
//! no operation, no request, nothing of the broker.

pub(crate) mod access;
pub(crate) mod certificates;
pub(crate) mod clients;
pub(crate) mod diagnostics;
pub(crate) mod form;
pub(crate) mod history;
pub(crate) mod list;
pub(crate) mod login;
pub(crate) mod retained;
pub(crate) mod rules;
pub(crate) mod settings;
pub(crate) mod shell;
pub(crate) mod status;

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
