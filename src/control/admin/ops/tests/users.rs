//! Users. A password goes in and is nowhere to be seen.

use super::super::users::*;
use super::*;
use crate::control::config::{Draft, User};

fn user(name: &str, password: &str) -> UserNew {
    UserNew { name: name.into(), password: password.to_owned().into() }
}

fn password(text: &str) -> UserPassword {
    UserPassword { password: text.to_owned().into() }
}

impl Place {
    fn users(&self) -> Vec<User> {
        Draft::read(&self.text()).unwrap().config.users
    }
}

#[tokio::test]
async fn a_user_comes_gets_another_password_and_goes() {
    let place = Place::new();
    let added = add(&place.desk, user("alice", "tide-4711"), place.tag()).await.unwrap();
    assert_eq!((added.answer.name.as_str(), added.hash), ("alice", place.tag()));
    assert!(place.users()[0].password.verify(b"tide-4711"));
    assert!(!place.text().contains("4711"));
    let listed = list(&place.desk).await.unwrap().answer;
    assert_eq!(serde_json::to_string(&listed).unwrap(), "[{\"name\":\"alice\"}]");

    change_password(&place.desk, "alice".into(), password("tide-4712"), place.tag()).await.unwrap();
    let users = place.users();
    assert!(users.len() == 1 && users[0].password.verify(b"tide-4712"));
    let gone = remove(&place.desk, "alice".into(), place.tag()).await.unwrap();
    assert_eq!((place.users(), gone.hash), (Vec::new(), place.tag()));
}

#[tokio::test]
async fn who_is_there_cannot_come_and_who_is_not_cannot_go() {
    let place = Place::new();
    add(&place.desk, user("alice", "x"), None).await.unwrap();
    let before = place.text();
    let taken = refused(add(&place.desk, user("alice", "y"), None).await);
    assert_eq!((taken.0, taken.1.as_str()), (409, "tidemq:name-taken"));
    assert_eq!(refused(change_password(&place.desk, "bob".into(), password("y"), None).await).0, 404);
    assert_eq!(refused(remove(&place.desk, "bob".into(), None).await).0, 404);
    assert_eq!(refused(add(&place.desk, user("bob", "y"), stale()).await).0, 412);
    assert_eq!(refused(remove(&place.desk, "alice".into(), stale()).await).0, 412);
    let changed = change_password(&place.desk, "alice".into(), password("y"), stale()).await;
    assert_eq!(refused(changed).0, 412);
    assert_eq!(place.text(), before);
}

#[tokio::test]
async fn a_name_is_any_text_without_control_characters() {
    let place = Place::new();
    for name in HOSTILE {
        add(&place.desk, user(name, "x"), None).await.unwrap();
    }
    let names: Vec<String> = place.users().into_iter().map(|user| user.name).collect();
    assert_eq!(names, HOSTILE);
    for name in HOSTILE {
        remove(&place.desk, name.into(), None).await.unwrap();
    }
    for bad in ["", "line\nbreak", "nul\0", &"x".repeat(257)] {
        let (status, _, said) = refused(add(&place.desk, user(bad, "tide-4711"), None).await);
        assert!(status == 422 && said.contains("user[0].name") && !said.contains("4711"), "{said}");
    }
    assert_eq!(place.users(), []);
}

#[tokio::test]
async fn a_password_that_no_client_can_send_is_not_taken() {
    let place = Place::new();
    for bad in [String::new(), "x".repeat(65_536)] {
        let (status, kind, _) = refused(add(&place.desk, user("alice", &bad), None).await);
        assert_eq!((status, kind.as_str()), (422, "tidemq:bad-password"));
    }
    let request = format!("{:?}", user("alice", "tide-4711"));
    assert!(request.contains("alice") && !request.contains("4711"), "{request}");
}
