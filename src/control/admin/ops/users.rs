//! Users: who may connect by user name and password. A password comes in, is hashed, and is never seen again.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::desk::Desk;
use super::super::problem::Problem;
use super::editing::{self, OfDraft};
use super::secret::Secret;
use crate::control::config::Config;
use crate::control::edit::Key;
use crate::control::passwords;
use crate::policy::StoredPassword;

/// The table of the file that lists them.
const TABLE: &str = "user";

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct UserShown {
    /// The user name, as the client sends it.
    pub(in crate::control) name: String,
}

/// A user as it is to be.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::control) struct UserNew {
    /// The user name, as the client sends it.
    pub(in crate::control) name: String,
    /// The password: 1 to 65,535 bytes.
    pub(in crate::control) password: Secret,
}

/// Another password.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::control) struct UserPassword {
    /// The password: 1 to 65,535 bytes.
    pub(in crate::control) password: Secret,
}

/// The users in the order of the file.
pub(in crate::control) async fn list(desk: &Desk) -> Result<OfDraft<Vec<UserShown>>, Problem> {
    editing::read(desk, |draft| {
        draft.config.users.into_iter().map(|user| UserShown { name: user.name }).collect()
    })
    .await
}

/// Adds a user.
pub(in crate::control) async fn add(
    desk: &Desk,
    UserNew { name, password }: UserNew,
    expected: Option<String>,
) -> Result<OfDraft<UserShown>, Problem> {
    let stored = stored(desk, password).await?;
    editing::edit(desk, expected, move |edit, draft| {
        if is_there(&draft.config, &name) {
            return Err(Problem::conflict("name-taken", format!("there is a user {name:?} already"))
                .remedy("choose another name, or give that one another password"));
        }
        let key = Key { field: "name", value: &name };
        edit.put(TABLE, key, &[("password", stored.as_phc().into())])?;
        Ok(UserShown { name })
    })
    .await
}

/// Gives a user another password; once applied, whoever is connected with the old one is disconnected.
pub(in crate::control) async fn change_password(
    desk: &Desk,
    name: String,
    UserPassword { password }: UserPassword,
    expected: Option<String>,
) -> Result<OfDraft<UserShown>, Problem> {
    let stored = stored(desk, password).await?;
    editing::edit(desk, expected, move |edit, draft| {
        must_be_there(&draft.config, &name)?;
        let key = Key { field: "name", value: &name };
        edit.put(TABLE, key, &[("password", stored.as_phc().into())])?;
        Ok(UserShown { name })
    })
    .await
}

/// Removes a user.
pub(in crate::control) async fn remove(
    desk: &Desk,
    name: String,
    expected: Option<String>,
) -> Result<OfDraft<()>, Problem> {
    editing::edit(desk, expected, move |edit, draft| {
        must_be_there(&draft.config, &name)?;
        Ok(edit.remove(TABLE, Key { field: "name", value: &name })?)
    })
    .await
}

/// What is kept of a password. It takes a core for a while and 19 MiB: one after the other.
async fn stored(desk: &Desk, password: Secret) -> Result<StoredPassword, Problem> {
    let bytes = password.text().len();
    if !passwords::LENGTH.contains(&bytes) {
        let detail = format!("the password has {bytes} bytes");
        return Err(Problem::not_taken("bad-password", detail).remedy("give one of 1 to 65,535 bytes"));
    }
    let hashed = desk.in_turn(move || passwords::hash(password.text().as_bytes())).await?;
    hashed.map_err(|error| Problem::fault(error).remedy("the system gives no random numbers"))
}

fn is_there(config: &Config, name: &str) -> bool {
    config.users.iter().any(|user| user.name == name)
}

fn must_be_there(config: &Config, name: &str) -> Result<(), Problem> {
    if is_there(config, name) {
        return Ok(());
    }
    Err(Problem::not_found(format!("there is no user {name:?}"))
        .remedy("read the list again: somebody may have removed it"))
}
