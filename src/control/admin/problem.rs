//! What the API answers when it cannot do what was asked: `application/problem+json` (RFC 9457), with the remedy and,
//! where a configuration has problems, each of them with its place.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::control::apply::ApplyError;
use crate::control::certificates::Refused;
use crate::control::edit::EditError;
use crate::control::failure::{Exit, Failure};
use crate::control::pki::PkiError;
use crate::control::problem::{Problem as ConfigProblem, Problems};
use crate::control::thread::NotApplied;

/// Why a request was not granted.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct Problem {
    /// A name for this kind of problem that does not change: `tidemq:invalid-configuration`.
    #[serde(rename = "type")]
    pub(in crate::control) kind: String,
    /// The same for people.
    #[schema(value_type = String)]
    pub(in crate::control) title: Box<str>,
    /// The HTTP status.
    pub(in crate::control) status: u16,
    /// What happened here.
    pub(in crate::control) detail: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(in crate::control) remedy: String,
    /// The exit code that the command line ends with for it.
    pub(in crate::control) exit_code: u8,
    /// What is wrong with the configuration, each with its place.
    #[serde(default, skip_serializing_if = "<[Flaw]>::is_empty")]
    #[schema(value_type = Vec<Flaw>)]
    pub(in crate::control) problems: Box<[Flaw]>,
}

/// Something wrong with a configuration, or something to be warned of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(in crate::control) struct Flaw {
    /// The field, as the file names it: `listener[1].address`. Empty: the whole.
    pub(in crate::control) path: String,
    /// The line of the file, from 1, where one is to blame.
    pub(in crate::control) line: Option<usize>,
    /// What is wrong.
    pub(in crate::control) what: String,
    /// What to do about it.
    pub(in crate::control) remedy: String,
}

impl Problem {
    fn of(status: StatusCode, kind: &str, title: &str, detail: impl ToString, exit: Exit) -> Problem {
        Problem {
            kind: format!("tidemq:{kind}"),
            title: title.into(),
            status: status.as_u16(),
            detail: detail.to_string(),
            remedy: String::new(),
            exit_code: exit.code(),
            problems: Box::default(),
        }
    }

    /// The same with a remedy.
    pub(super) fn remedy(self, remedy: &str) -> Problem {
        Problem { remedy: remedy.to_owned(), ..self }
    }

    /// The broker is ending.
    pub(super) fn stopping() -> Problem {
        let (status, exit) = (StatusCode::SERVICE_UNAVAILABLE, Exit::NotRunning);
        Problem::of(status, "stopping", "The broker is stopping", "it takes no more requests", exit)
    }

    /// The broker is disabled, and what was asked about has no answer then.
    pub(super) fn disabled() -> Problem {
        let detail = "the broker is disabled: there is nothing to ask or change";
        Problem::of(StatusCode::CONFLICT, "disabled", "The broker is disabled", detail, Exit::NotRunning)
            .remedy("enable it: `enabled = true`, then apply")
    }

    /// There is nothing of that name.
    pub(super) fn not_found(detail: impl ToString) -> Problem {
        Problem::of(StatusCode::NOT_FOUND, "not-found", "Not found", detail, Exit::Given)
    }

    /// The request itself cannot be understood.
    pub(in crate::control) fn bad_request(detail: impl ToString) -> Problem {
        Problem::of(StatusCode::BAD_REQUEST, "bad-request", "The request is wrong", detail, Exit::Given)
    }

    /// The same with a status of its own.
    pub(super) fn unreadable(status: StatusCode, detail: impl ToString) -> Problem {
        Problem::of(status, "bad-request", "The request is wrong", detail, Exit::Given)
    }

    /// What was given cannot be taken as things are.
    pub(super) fn conflict(kind: &str, detail: impl ToString) -> Problem {
        Problem::of(StatusCode::CONFLICT, kind, "It cannot be done as things are", detail, Exit::NotApplied)
    }

    /// What was given cannot be taken.
    pub(super) fn not_taken(kind: &str, detail: impl ToString) -> Problem {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Problem::of(status, kind, "It was not done", detail, Exit::Given)
    }

    /// The draft is no longer the one that the request was made for.
    pub(super) fn precondition(detail: impl ToString) -> Problem {
        let title = "Somebody else has changed it";
        Problem::of(StatusCode::PRECONDITION_FAILED, "changed", title, detail, Exit::NotApplied)
            .remedy("read it again and repeat the change")
    }

    /// Nobody knows who asks.
    pub(super) fn unauthorised(detail: impl ToString) -> Problem {
        Problem::of(StatusCode::UNAUTHORIZED, "unauthorised", "Who are you?", detail, Exit::Given)
    }

    /// Who asks is known and may not, or asks from where nobody may.
    pub(super) fn forbidden(kind: &str, detail: impl ToString) -> Problem {
        Problem::of(StatusCode::FORBIDDEN, kind, "That is not allowed", detail, Exit::Given)
    }

    /// Too many, for now.
    pub(super) fn too_many(detail: impl ToString) -> Problem {
        let status = StatusCode::TOO_MANY_REQUESTS;
        Problem::of(status, "too-many", "Too many requests", detail, Exit::NotApplied)
    }

    /// Something failed that should not.
    pub(super) fn fault(detail: impl ToString) -> Problem {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Problem::of(status, "fault", "Something failed", detail, Exit::Fault)
    }

    /// A configuration has problems.
    pub(super) fn invalid(problems: &Problems) -> Problem {
        let count = problems.0.len();
        let detail = if count == 1 { "it has a problem".into() } else { format!("it has {count} problems") };
        let (status, title) = (StatusCode::UNPROCESSABLE_ENTITY, "The configuration has problems");
        let problem = Problem::of(status, "invalid-configuration", title, detail, Exit::Invalid);
        Problem { problems: Flaw::all(&problems.0).into(), ..problem }
    }

    fn of_exit(exit: Exit, detail: impl ToString) -> Problem {
        let (status, kind) = match exit {
            Exit::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "invalid-configuration"),
            Exit::NotApplied => (StatusCode::CONFLICT, "not-applied"),
            Exit::Machine => (StatusCode::CONFLICT, "machine"),
            Exit::Given | Exit::No => (StatusCode::UNPROCESSABLE_ENTITY, "not-taken"),
            Exit::NotRunning => (StatusCode::CONFLICT, "disabled"),
            Exit::Data | Exit::Fault => (StatusCode::INTERNAL_SERVER_ERROR, "fault"),
        };
        Problem::of(status, kind, "It was not done", detail, exit)
    }
}

impl Flaw {
    /// Each of them.
    pub(in crate::control) fn all(problems: &[ConfigProblem]) -> Vec<Flaw> {
        problems.iter().map(Flaw::from).collect()
    }
}

impl From<&ConfigProblem> for Flaw {
    fn from(problem: &ConfigProblem) -> Flaw {
        let ConfigProblem { path, line, what, remedy } = problem.clone();
        Flaw { path, line, what, remedy }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Problem {
        Problem::of_exit(failure.exit, &failure.cause).remedy(&failure.remedy)
    }
}

/// As the command line tells it.
impl From<Problem> for Failure {
    fn from(problem: Problem) -> Failure {
        let exit = Exit::of_code(problem.exit_code);
        let cause = if problem.problems.is_empty() {
            problem.detail
        } else {
            let flaws = problem.problems.into_iter().map(ConfigProblem::from);
            let listed: String = flaws.map(|flaw| format!("\n  {flaw}")).collect();
            format!("{}: {}{listed}", problem.title, problem.detail)
        };
        Failure { exit, cause, remedy: problem.remedy }
    }
}

impl From<Flaw> for ConfigProblem {
    fn from(flaw: Flaw) -> ConfigProblem {
        let Flaw { path, line, what, remedy } = flaw;
        ConfigProblem { path, line, what, remedy }
    }
}

impl From<PkiError> for Problem {
    fn from(error: PkiError) -> Problem {
        let remedy = error.remedy();
        let problem = match &error {
            PkiError::Unknown(_) => Problem::not_found(&error),
            PkiError::NoKey(_) => Problem::conflict("no-key", &error),
            PkiError::AuthorityWithoutKey(_) => {
                return Problem::conflict("no-key", &error)
                    .remedy("import it again with its key, or let another authority issue");
            }
            PkiError::PasswordWanted(_) => Problem::not_taken("password-wanted", &error),
            PkiError::WrongPassword(_) => Problem::not_taken("wrong-password", &error),
            _ => return Failure::from(error).into(),
        };
        problem.remedy(&remedy)
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Problem {
        match refused {
            Refused::NoAuthority(_) | Refused::NotListed(_) | Refused::NoClient(_) => {
                Problem::not_found(refused).remedy("read the list again: somebody may have removed it")
            }
            Refused::AuthorityNameTaken(_) | Refused::ClientNameTaken(_) => {
                Problem::conflict("name-taken", refused)
                    .remedy("give this one another name, or remove that one")
            }
            Refused::AuthorityKnown(_) => Problem::conflict("known", refused)
                .remedy("use the one that is there, or import it with its key if that has none"),
            Refused::NobodyIssues => Problem::conflict("nobody-issues", refused)
                .remedy("make an authority, or let one issue that has its key"),
            Refused::Listed { .. } => {
                Problem::conflict("listed", refused).remedy("change the status of that entry")
            }
            Refused::Ambiguous { .. } => {
                Problem::conflict("ambiguous", refused).remedy("say which by its thumbprint")
            }
            Refused::NotAServerName(_) => {
                Problem::not_taken("bad-name", refused).remedy("give host names and addresses")
            }
            Refused::Pki(error) => error.into(),
            Refused::Edit(error) => error.into(),
            Refused::Apply(error) => error.into(),
            Refused::Other(failure) => failure.into(),
        }
    }
}

impl From<EditError> for Problem {
    fn from(error: EditError) -> Problem {
        match &error {
            EditError::Invalid(_, problems) => Problem::invalid(problems),
            EditError::NotThere(what) => Problem::not_found(format!("there is no {what}")),
            EditError::Busy(_) => Problem::conflict("busy", &error).remedy("try it again"),
            _ => Failure::from(error).into(),
        }
    }
}

impl From<ApplyError> for Problem {
    fn from(error: ApplyError) -> Problem {
        match &error {
            ApplyError::Invalid(_, problems) => Problem::invalid(problems),
            ApplyError::Outdated { .. } | ApplyError::Edited { .. } => Problem::precondition(error),
            ApplyError::NoSuchGeneration(_) => Problem::not_found(error),
            ApplyError::Revives(_) => Problem::conflict("revives", error)
                .remedy("accept that it comes back, or change the draft by hand"),
            ApplyError::Conflict(_) => Problem::conflict("conflict", error).remedy(
                "read what differs; to apply the draft as it is, write the generation in force into it",
            ),
            _ => Failure::from(error).into(),
        }
    }
}

impl From<NotApplied> for Problem {
    fn from(error: NotApplied) -> Problem {
        match error {
            NotApplied::Refused(error) => error.into(),
            NotApplied::Machine(failure) => failure.into(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if status == StatusCode::UNAUTHORIZED {
            let bearer = HeaderValue::from_static("Bearer realm=\"tidemq\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
        }
        response
    }
}
