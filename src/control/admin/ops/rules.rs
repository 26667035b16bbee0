//! Topic rules: tried.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::desk::Desk;
use super::super::problem::Problem;
use crate::control::apply::ApplyError;
use crate::control::config::{Config, Draft};
use crate::control::disk;

/// Which configuration is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::control) enum Which {
    /// The configuration file as it stands.
    #[default]
    Draft,
    /// What is in force.
    Applied,
}

/// The configuration that is asked about.
pub(super) async fn configured(desk: &Desk, which: Which) -> Result<Config, Problem> {
    match which {
        Which::Applied => desk.ask(|control| control.applied().config.clone()).await,
        Which::Draft => {
            let file = desk.file();
            desk.aside(move || {
                let text = disk::read_text(&file).map_err(ApplyError::from)?;
                Ok(Draft::read(&text).map_err(|problems| Problem::invalid(&problems))?.config)
            })
            .await?
        }
    }
}
