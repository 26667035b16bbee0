//! The status, now and over time.

use super::super::desk::Desk;
use super::super::problem::Problem;
use crate::control::status::{Point, Status};

/// What the broker tells of itself now.
pub(in crate::control) async fn now(desk: &Desk) -> Result<Status, Problem> {
    desk.ask(|control| control.status()).await
}

/// The last quarter of an hour, a point every 5 seconds, oldest first.
pub(in crate::control) async fn fine(desk: &Desk) -> Result<Vec<Point>, Problem> {
    desk.ask(|control| control.history().fine()).await
}

/// The last day, a point a minute, oldest first.
pub(in crate::control) async fn coarse(desk: &Desk) -> Result<Vec<Point>, Problem> {
    desk.ask(|control| control.history().coarse()).await
}
