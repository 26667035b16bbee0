//! Stored passwords and who is judged how.

use super::*;

/// A well-formed stored password that no password fits: its hash is made up from `name`.
pub(crate) fn stored(name: &str) -> StoredPassword {
    let digest = Sha256::digest(name);
    let text: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    let phc = format!("$argon2id$v=19$m=19456,t=2,p=1$c29tZSBzYWx0${text}");
    phc.parse().unwrap_or_else(|error| panic!("{phc} {error}"))
}

fn parse(phc: &str) -> Result<StoredPassword, BadStoredPassword> {
    phc.parse()
}

/// What `argon2-cffi` for Python makes of "tide".
const OF_PYTHON: &str =
    "$argon2id$v=19$m=7168,t=5,p=1$c29tZSBzYWx0$ptUnYzrCxSPt0EPbZSDO3M/rgEDEflvms+3jTR4rr3Q";

#[test]
fn what_another_program_has_hashed_verifies() {
    let stored = parse(OF_PYTHON).expect("a good one");
    assert!(stored.verify(b"tide"));
    assert!(!stored.verify(b"tidE"));
    assert!(!stored.verify(b""));
}

#[test]
fn what_is_wrong_with_a_stored_password_is_said() {
    use BadStoredPassword as Bad;
    let with =
        |parameters: &str| format!("$argon2id$v=19${parameters}$c29tZSBzYWx0$c29tZSBoYXNoIG9mIDE4IGJ5");
    assert!(parse(&with("m=19456,t=2,p=1")).is_ok());
    assert!(parse(&with("t=2,p=1,m=7168")).is_ok(), "in any order");
    for (phc, why) in [
        (String::new(), Bad::NotPhc),
        ("secret".into(), Bad::NotPhc),
        ("$argon2id$v=19$m=19456,t=2,p=1$c29tZSBzYWx0$!!".into(), Bad::NotPhc),
        (with("m=19456,t=2"), Bad::NotPhc),
        (with("m=x,t=2,p=1"), Bad::NotPhc),
        (with("m=19456,t=0,p=1"), Bad::NotPhc),
        (with("m=19456,t=2,p=1,keyid=Hj5+dsK0"), Bad::Parameters),
        (with("m=19456,t=2,p=1") + "$more", Bad::NotPhc),
        ("$2b$12$abcdefghijklmnopqrstuv".into(), Bad::NotPhc),
        (
            "$scrypt$ln=16,r=8,p=1$c29tZSBzYWx0$c29tZSBoYXNoIG9mIDE4IGJ5".into(),
            Bad::Algorithm("scrypt".into()),
        ),
        (
            "$argon2i$v=19$m=19456,t=2,p=1$c29tZSBzYWx0$c29tZSBoYXNoIG9mIDE4IGJ5".into(),
            Bad::Algorithm("argon2i".into()),
        ),
        ("$argon2id$v=16$m=19456,t=2,p=1$c29tZSBzYWx0$c29tZSBoYXNoIG9mIDE4IGJ5".into(), Bad::Version),
        ("$argon2id$m=19456,t=2,p=1$c29tZSBzYWx0$c29tZSBoYXNoIG9mIDE4IGJ5".into(), Bad::Version),
        (with("m=7167,t=2,p=1"), Bad::Memory(7_167)),
        (with("m=262145,t=2,p=1"), Bad::Memory(262_145)),
        (with("m=4294967295,t=2,p=1"), Bad::Memory(u32::MAX)),
        (with("m=262144,t=5,p=1"), Bad::Work(5 << 18)),
        (with("m=19456,t=4294967295,p=1"), Bad::Work(19_456 * u64::from(u32::MAX))),
        (with("m=19456,t=2,p=0"), Bad::Lanes(0)),
        (with("m=19456,t=2,p=17"), Bad::Lanes(17)),
        ("$argon2id$v=19$m=19456,t=2,p=1$c29tZSBzYWx0".into(), Bad::Short),
        ("$argon2id$v=19$m=19456,t=2,p=1$c29tZSBzYWx0$c29tZSBoYXNoIA".into(), Bad::Short),
    ] {
        assert_eq!(parse(&phc), Err(why), "{phc}");
    }
}

#[test]
fn a_stored_password_does_not_show_itself() {
    let credentials = Credentials::new(true, [("anna".into(), stored("first"))]);
    let shown = format!("{credentials:?} {:?}", parse("$argon2id$secret"));
    assert!(!shown.contains("$argon2id$v=19") && !shown.contains("secret"), "{shown}");
}

#[test]
fn without_users_what_is_sent_is_ignored_unless_credentials_are_required() {
    let none = Credentials::default();
    for (user, password) in
        [(None, None), (Some("anna"), None), (None, Some(&b"x"[..])), (Some("anna"), Some(b"x"))]
    {
        assert_eq!(none.judge(user, password), Judgement::Anonymous);
    }
    let nobody = Credentials::new(true, []);
    assert_eq!(nobody.judge(None, None), Judgement::Refused(CredentialRefusal::Missing));
    for (user, password) in [(Some("anna"), None), (None, Some(&b"x"[..])), (Some("anna"), Some(b"x"))] {
        assert_eq!(nobody.judge(user, password), Judgement::Refused(CredentialRefusal::Wrong));
    }
}

#[test]
fn once_a_user_exists_what_is_sent_must_match() {
    for require in [false, true] {
        let credentials = Credentials::new(require, [("anna".into(), stored("anna"))]);
        let without = credentials.judge(None, None);
        if require {
            assert_eq!(without, Judgement::Refused(CredentialRefusal::Missing));
        } else {
            assert_eq!(without, Judgement::Anonymous);
        }
        let wrong = Judgement::Refused(CredentialRefusal::Wrong);
        assert_eq!(credentials.judge(Some("anna"), None), wrong);
        assert_eq!(credentials.judge(Some("nobody"), None), wrong);
        assert_eq!(credentials.judge(None, Some(b"x")), wrong);
        assert_eq!(credentials.judge(Some("anna"), Some(b"x")), Judgement::Verify(&stored("anna")));
        for nobody in ["Anna", "anna ", "", "nobody"] {
            assert_eq!(
                credentials.judge(Some(nobody), Some(b"x")),
                Judgement::Pretend(&stored("anna")),
                "{nobody}"
            );
        }
    }
}

#[test]
fn who_does_not_exist_costs_what_one_who_does_costs_and_always_the_same() {
    let users = ["anna", "bert", "carl"].map(|name| (name.into(), stored(name)));
    let credentials = Credentials::new(false, users);
    let decoy = |name: &str| match credentials.judge(Some(name), Some(b"x")) {
        Judgement::Pretend(decoy) => decoy.clone(),
        other => panic!("{other:?}"),
    };
    let names: Vec<String> = (0..60).map(|n| format!("nobody{n}")).collect();
    for name in &names {
        assert_eq!(decoy(name), decoy(name));
    }
    for user in ["anna", "bert", "carl"] {
        assert!(names.iter().any(|name| decoy(name) == stored(user)), "{user}");
    }
}

#[test]
fn who_may_stay() {
    let credentials = |require, password| Credentials::new(require, [("anna".into(), stored(password))]);
    let proved = |name: &str| ProvedUser { name: name.into(), proof: stored("first").proof() };
    let anna = Some(&proved("anna"));
    for require in [false, true] {
        assert!(credentials(require, "first").still_accept(anna));
        assert!(!credentials(require, "second").still_accept(anna), "a changed password");
        assert!(!Credentials::new(require, []).still_accept(anna), "a user who is gone");
        assert_eq!(credentials(require, "first").still_accept(None), !require);
    }
    assert!(!credentials(false, "first").still_accept(Some(&proved("bert"))));
}
