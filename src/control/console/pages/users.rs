//! Users.

use std::collections::HashSet;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::Shown;
use super::settings::form;
use crate::control::admin::ops;
use crate::control::admin::ops::users::{UserNew, UserPassword};
use crate::control::console::Console;
use crate::control::console::frame::{Fields, Visit, outside};
use crate::control::console::trouble::{Trouble, shown, told};
use crate::control::console::views::access::{User, UsersPage};
use crate::control::console::views::list::List;
use crate::control::console::views::shell::{Notice, Page};

const PATH: &str = "/configuration/users";

pub(super) fn router() -> Router<Console> {
    Router::new()
        .route(PATH, get(list))
        .route("/configuration/users/add", post(add))
        .route("/configuration/users/password", post(password))
        .route("/configuration/users/remove", post(remove))
}

async fn list(visit: Visit) -> Shown {
    let notice = visit.notice();
    Ok(shown(&page(&visit, "", notice).await?))
}

async fn page(visit: &Visit, typed: &str, mut notice: Option<Notice>) -> Result<UsersPage, Trouble> {
    let desk = &visit.app().desk;
    let (form, _) = form(visit).await?;
    let users = match ops::users::list(desk).await {
        Ok(of) => of.answer,
        Err(problem) => {
            notice.get_or_insert(told(&problem));
            Vec::new()
        }
    };
    let pending = ops::changes::pending(desk).await?;
    // A password is not shown, and that it was changed is: by the path of the change.
    let entries = pending.changes.iter().filter_map(|change| change.path.rsplit_once("]."));
    let changed: HashSet<&str> = entries.map(|(entry, _)| entry).collect();
    let query = visit.asked("q").to_lowercase();
    let found = users.into_iter().filter(|user| user.name.to_lowercase().contains(&query));
    let row = |name: String| User {
        changed: changed.contains(format!("user[{name:?}").as_str()),
        name: outside(name),
    };
    let rows: Vec<User> = found.map(|user| row(user.name)).collect();
    let (list, users) = List::of(PATH, visit.asked("q"), visit.number("offset").unwrap_or(0), rows);
    let shell = visit.shell_saying(Page::Users, notice).await?;
    Ok(UsersPage { shell, required: form.on("credentials.require"), list, users, typed: outside(typed) })
}

async fn add(visit: Visit, fields: Fields) -> Shown {
    let name = fields.text("name").to_owned();
    let user = UserNew { name: name.clone(), password: fields.text("password").to_owned().into() };
    match ops::users::add(&visit.app().desk, user, fields.etag()).await {
        Ok(_) => Ok(visit.to(PATH, Notice::good(outside(format!("The user {name} is in the draft."))))),
        Err(problem) => {
            let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
            let page = page(&visit, &name, Some(told(&problem))).await?;
            Ok((status, shown(&page)).into_response())
        }
    }
}

async fn password(visit: Visit, fields: Fields) -> Response {
    let name = fields.text("name").to_owned();
    let password = UserPassword { password: fields.text("password").to_owned().into() };
    let changed = ops::users::change_password(&visit.app().desk, name.clone(), password, fields.etag()).await;
    visit.done(
        PATH,
        changed.map(|_| Notice::good(outside(format!("The password of {name} is changed in the draft.")))),
    )
}

async fn remove(visit: Visit, fields: Fields) -> Response {
    let name = fields.text("name").to_owned();
    let removed = ops::users::remove(&visit.app().desk, name.clone(), fields.etag()).await;
    visit.done(
        PATH,
        removed.map(|_| Notice::good(outside(format!("The user {name} is removed from the draft.")))),
    )
}
