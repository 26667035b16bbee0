//! `tidemq rules` edits the file and answers what the judge says.

use std::fs;
use std::path::PathBuf;

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn with(text: &str) -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        fs::write(folder.file(), text).unwrap();
        folder
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("config.toml")
    }

    /// Runs a command on this folder.
    fn run(&self, arguments: &[&str]) -> Result<ExitCode, Failure> {
        let data = self.0.path().to_str().unwrap();
        let place = ["--data", data];
        let all = ["rules"].iter().chain(arguments).chain(&place);
        run(&Line::try_parse_from(all).unwrap_or_else(|error| panic!("{error}")).command)
    }

    fn config(&self) -> Config {
        Draft::read(&fs::read_to_string(self.file()).unwrap()).unwrap().config
    }

    fn names(&self) -> Vec<String> {
        self.config().rules.into_iter().map(|rule| rule.name).collect()
    }
}

#[test]
fn the_example_of_the_documentation_grants_each_device_its_own_topic() {
    let folder = Folder::with("[rules]\napply = \"always\"\n");
    folder
        .run(&[
            "add",
            "temperatures",
            "--access",
            "write",
            "--client-pattern",
            "device.*",
            "--topic-pattern",
            "/{%client%}/temperature",
        ])
        .unwrap();
    let allowed = ExitCode::SUCCESS;
    for device in ["device1", "device2", "device3"] {
        let topic = format!("/{device}/temperature");
        let test = |client, action, topic: &str| {
            folder.run(&["test", "--client", client, "--action", action, "--topic", topic]).unwrap()
        };
        assert_eq!(test(device, "publish", &topic), allowed);
        assert_eq!(test(device, "write", &topic), allowed);
        let refused = ExitCode::from(9);
        assert_eq!(test(device, "subscribe", &topic), refused);
        assert_eq!(test(device, "publish", "/device4/temperature"), refused);
        assert_eq!(test("other", "publish", &topic), refused);
    }
    let said = tried(&folder.config(), "device2", Action::Publish, "/device2/temperature");
    assert_eq!(
        said.text(),
        "ALLOWED by rule 1 \"temperatures\" (Write): /{%client%}/temperature = /device2/temperature"
    );
    assert_eq!(
        listed(&folder.config()),
        "1 \"temperatures\": write, clients: pattern \"device.*\", topics: pattern \"/{%client%}/temperature\""
    );
}

#[test]
fn rules_stand_where_they_are_put() {
    let folder = Folder::with("# mine\n[rules]\napply = \"always\"\n\n[log]\nlevel = \"info\" # quiet\n");
    let add = |name: &str, more: &[&str]| {
        let arguments = [&["add", name, "--access", "deny"], more].concat();
        folder.run(&arguments).unwrap();
    };
    add("b", &[]);
    add("c", &["--client", "device1", "--topic", "a/#"]);
    add("a", &["--at", "1"]);
    assert_eq!(folder.names(), ["a", "b", "c"]);
    folder.run(&["move", "3", "1"]).unwrap();
    assert_eq!(folder.names(), ["c", "a", "b"]);
    folder.run(&["move", "a", "3"]).unwrap();
    assert_eq!(folder.names(), ["c", "b", "a"]);
    folder.run(&["remove", "c"]).unwrap();
    folder.run(&["remove", "2"]).unwrap();
    assert_eq!(folder.names(), ["b"]);
    let text = fs::read_to_string(folder.file()).unwrap();
    assert!(text.starts_with("# mine\n[rules]") && text.ends_with("level = \"info\" # quiet\n"), "{text}");
    folder.run(&["remove", "b"]).unwrap();
    assert_eq!(listed(&folder.config()), "there are no rules");
}

#[test]
fn what_cannot_be_done_leaves_the_file_as_it_was() {
    let text = "[rules]\napply = \"always\"\n";
    let folder = Folder::with(text);
    for (arguments, says) in [
        (&["add", "a", "--access", "write", "--client-pattern", "("][..], "rule[0].client"),
        (&["add", "a", "--access", "write", "--topic", "a/#/b"], "rule[0].topic"),
        (&["add", "a", "--access", "write", "--topic-pattern", "{%cleint%}"], "rule[0].topic"),
        (&["remove", "a"], "there is no rule \"a\""),
        (&["remove", "0"], "there is no rule 0"),
        (&["move", "1", "1"], "there is no rule 1"),
    ] {
        let failure = folder.run(arguments).unwrap_err();
        assert!(failure.cause.contains(says), "{arguments:?}: {failure}");
        assert_eq!(fs::read_to_string(folder.file()).unwrap(), text);
    }
    for name in ["twin", "twin"] {
        folder.run(&["add", name, "--access", "deny"]).unwrap();
    }
    assert!(folder.run(&["remove", "twin"]).unwrap_err().cause.contains("several rules"));
    assert!(folder.run(&["move", "1", "3"]).is_err());
    assert_eq!(folder.names(), ["twin", "twin"]);
}

#[test]
fn a_test_says_when_the_rules_do_not_apply_and_that_the_brokers_topics_are_its_own() {
    let rule =
        "[[rule]]\nname = \"all\"\naccess = \"read-write\"\nclient_match = \"all\"\ntopic_match = \"all\"\n";
    let config = Draft::read(rule).unwrap().config;
    let said = tried(&config, "", Action::Publish, "t");
    assert!(said.allowed() && said.text().contains("note: the rules do not apply"), "{}", said.text());
    let said = tried(&config, "", Action::Publish, "$SYS/broker/uptime");
    assert!(!said.allowed() && said.text().contains("never publish"), "{}", said.text());
    assert!(tried(&config, "", Action::Subscribe, "$SYS/#").allowed());
}

#[test]
fn lint_answers_no_when_something_is_odd() {
    let folder = Folder::with("[rules]\napply = \"always\"\n");
    folder.run(&["add", "all", "--access", "read-write"]).unwrap();
    assert_eq!(folder.run(&["lint"]).unwrap(), ExitCode::SUCCESS);
    folder.run(&["add", "never", "--access", "deny", "--topic", "a"]).unwrap();
    assert_eq!(folder.run(&["lint"]).unwrap(), ExitCode::from(9));
}

#[test]
fn what_is_applied_is_another_question_than_what_the_file_says() {
    let folder = Folder::with("[rules]\napply = \"always\"\n");
    fs::create_dir(folder.0.path().join("state")).unwrap();
    assert!(folder.run(&["list", "--applied"]).unwrap_err().cause.contains("nothing was applied"));
    folder.run(&["add", "all", "--access", "write", "--apply"]).unwrap();
    folder.run(&["remove", "all"]).unwrap();
    let test =
        |more: &[&str]| folder.run(&[&["test", "--action", "write", "--topic", "t"], more].concat()).unwrap();
    assert_eq!(test(&["--applied"]), ExitCode::SUCCESS);
    assert_eq!(test(&[]), ExitCode::from(9));
}
