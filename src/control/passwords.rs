//! Passwords of users: where a new one comes from, and what is stored of it. Never from the command line's arguments,
//! which everybody on the machine can read.

use std::io::{self, BufRead, IsTerminal};
use std::ops::RangeInclusive;
use std::path::Path;

use argon2::password_hash::PasswordHasher;
use argon2::{Algorithm, Argon2, Params, Version};

use super::disk;
use super::failure::{Exit, Failure};
use crate::policy::StoredPassword;

/// What OWASP's Password Storage Cheat Sheet asks for first: 19 MiB and two passes, about 30 ms.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
/// Bytes of salt.
const SALT_BYTES: usize = 16;
/// How many bytes a new password has: no more than a CONNECT can carry `[MQTT 5.0, 3.1.3.6]`.
pub(super) const LENGTH: RangeInclusive<usize> = 1..=u16::MAX as usize;

/// Hashes a new password with a salt of its own: argon2id, in PHC form.
///
/// # Errors
/// The system has no random numbers to give.
pub fn hash(password: &[u8]) -> Result<StoredPassword, getrandom::Error> {
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt)?;
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).expect("they are within argon2's bounds");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash =
        argon2.hash_password_with_salt(password, &salt).expect("a CONNECT holds less than argon2 takes");
    Ok(hash.to_string().parse().expect("what is made here is taken here"))
}

/// Takes a new password: from the file, else from standard input if that is no terminal, else by asking twice. A line
/// break at the end is not part of it.
pub(super) fn take(file: Option<&Path>) -> Result<Vec<u8>, Failure> {
    let password = match file {
        Some(file) => one_line(disk::read_text(file).map_err(|fault| {
            Failure::new(Exit::Data, fault, "write the password into a file that only you can read")
        })?),
        None if io::stdin().is_terminal() => asked(|prompt| rpassword::prompt_password(prompt))?,
        None => {
            let mut line = String::new();
            io::stdin().lock().read_line(&mut line).map_err(|error| unread(&error))?;
            one_line(line)
        }
    };
    if !LENGTH.contains(&password.len()) {
        let cause = format!("the password has {} bytes", password.len());
        return Err(Failure::new(Exit::Invalid, cause, "give one of 1 to 65,535 bytes"));
    }
    Ok(password.into_bytes())
}

fn unread(error: &io::Error) -> Failure {
    Failure::new(
        Exit::Fault,
        format!("the password could not be read: {error}"),
        "name a file with `--password-file FILE`",
    )
}

/// Asks for it twice.
fn asked(mut ask: impl FnMut(&str) -> io::Result<String>) -> Result<String, Failure> {
    let password = ask("Password: ").map_err(|error| unread(&error))?;
    let again = ask("Again: ").map_err(|error| unread(&error))?;
    if password != again {
        return Err(Failure::new(Exit::Invalid, "the passwords differ: nothing was changed", "try again"));
    }
    Ok(password)
}

/// The text without the line break that editors and `echo` put at its end.
fn one_line(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_verifies_by_what_is_stored_and_never_twice_the_same() {
        let stored = hash(b"tide").unwrap();
        assert!(stored.verify(b"tide") && !stored.verify(b"tides"));
        assert!(stored.as_phc().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_ne!(hash(b"tide").unwrap().as_phc(), stored.as_phc(), "each has a salt of its own");
    }

    #[test]
    fn a_file_holds_a_password_with_or_without_a_line_break() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("password");
        for (text, password) in
            [("tide", "tide"), ("tide\n", "tide"), ("tide\r\n", "tide"), (" ti de \n\n", " ti de \n")]
        {
            std::fs::write(&file, text).unwrap();
            assert_eq!(take(Some(&file)).unwrap(), password.as_bytes());
        }
        for bad in [String::new(), "\n".into(), "x".repeat(65_536)] {
            std::fs::write(&file, bad).unwrap();
            assert_eq!(take(Some(&file)).unwrap_err().exit, Exit::Invalid);
        }
        assert_eq!(take(Some(&temp.path().join("none"))).unwrap_err().exit, Exit::Data);
    }

    #[test]
    fn a_password_that_is_typed_is_typed_twice() {
        let typed = |words: [&'static str; 2]| {
            let mut words = words.into_iter();
            asked(|_| Ok(words.next().unwrap().to_owned()))
        };
        assert_eq!(typed(["tide", "tide"]).unwrap(), "tide");
        let failure = typed(["tide", "tidE"]).unwrap_err();
        assert!(!failure.to_string().contains("tid"), "{failure}");
    }
}
