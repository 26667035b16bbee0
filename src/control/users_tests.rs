//! `tidemq user` on a data directory without a broker.

use clap::Parser;
use tempfile::TempDir;

use super::*;
use crate::control::config::FRESH;

#[derive(Debug, Parser)]
struct Line {
    #[command(subcommand)]
    command: User,
}

struct Data {
    temp: TempDir,
}

impl Data {
    fn new() -> Data {
        let temp = tempfile::tempdir().unwrap();
        std::fs::write(temp.path().join("config.toml"), FRESH).unwrap();
        std::fs::write(temp.path().join("password"), "tide\n").unwrap();
        Data { temp }
    }

    fn run(&self, command: &[&str]) -> Result<ExitCode, Failure> {
        let place = ["--data", self.temp.path().to_str().unwrap()];
        let words = ["user"].iter().chain(&command[..1]).chain(&place).chain(&command[1..]);
        run(&Line::try_parse_from(words).unwrap().command)
    }

    /// With the password from its file.
    fn with_password(&self, command: &[&str], password: &str) -> Result<ExitCode, Failure> {
        let file = self.temp.path().join("password");
        std::fs::write(&file, password).unwrap();
        self.run(&[command, &["--password-file", file.to_str().unwrap()]].concat())
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.temp.path().join("config.toml")).unwrap()
    }

    fn stored(&self, name: &str) -> Option<StoredPassword> {
        let config = Draft::read(&self.text()).unwrap().config;
        config.users.into_iter().find(|user| user.name == name).map(|user| user.password)
    }
}

#[test]
fn users_come_change_and_go() {
    let data = Data::new();
    data.with_password(&["add", "anna"], "tide\n").unwrap();
    data.with_password(&["add", "b\u{e9}rt o'brien"], "geheim").unwrap();
    let anna = data.stored("anna").unwrap();
    assert!(anna.verify(b"tide"));
    assert!(data.stored("b\u{e9}rt o'brien").unwrap().verify(b"geheim"));
    assert!(!data.text().contains("tide\"") && !data.text().contains("geheim"), "no password is stored");
    data.with_password(&["passwd", "anna"], "other").unwrap();
    let other = data.stored("anna").unwrap();
    assert!(other.verify(b"other") && !other.verify(b"tide"));
    data.run(&["list"]).unwrap();
    data.run(&["remove", "anna"]).unwrap();
    assert_eq!(data.stored("anna"), None);
    assert!(data.stored("b\u{e9}rt o'brien").is_some());
    assert!(data.text().contains("# tidemq: the broker's configuration."), "what people wrote stays");
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_changes() {
    let data = Data::new();
    data.with_password(&["add", "anna"], "tide").unwrap();
    let before = data.text();
    for (command, says) in [
        (&["add", "anna"][..], "already"),
        (&["passwd", "bert"], "no user"),
        (&["add", ""], "is not a name"),
        (&["add", "a\nb"], "is not a name"),
        (&["add", "a\0b"], "is not a name"),
    ] {
        let failure = data.with_password(command, "tide").unwrap_err();
        assert!(failure.to_string().contains(says), "{command:?}: {failure}");
        assert_eq!(failure.exit, Exit::Invalid);
    }
    assert!(data.run(&["remove", "bert"]).unwrap_err().to_string().contains("no user"));
    assert_eq!(data.with_password(&["add", "bert"], "").unwrap_err().exit, Exit::Invalid);
    assert_eq!(data.text(), before);
}

#[test]
fn without_a_configuration_file_there_is_nothing_to_change() {
    let data = Data::new();
    std::fs::remove_file(data.temp.path().join("config.toml")).unwrap();
    assert_eq!(data.with_password(&["add", "anna"], "tide").unwrap_err().exit, Exit::Data);
    assert_eq!(data.run(&["list"]).unwrap_err().exit, Exit::Data);
}

#[test]
fn a_password_is_never_an_argument() {
    for line in [["user", "add", "anna", "tide"], ["user", "add", "anna", "--password=tide"]] {
        assert!(Line::try_parse_from(line).is_err(), "{line:?}");
    }
}
