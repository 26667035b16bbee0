//! The lists of statements and the tests that they name, held together: a statement without a proof or an excuse, a
//! proof that is not there, and a test of a statement that nobody lists are found here.
//!
//! A line of a list: number | whom it binds (server, client, both) | what it says, in our words | status. The status
//! is `proved: file::test, ...` (a file of this folder without `.rs`, or a path from the workspace's root), `excused:
//! why it cannot be shown`, or, for what binds clients alone, `-`. The head of a list says how many it holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

const LISTS: [(&str, &str); 2] =
    [("v5", include_str!("statements_v5.txt")), ("v3", include_str!("statements_v3.txt"))];

/// Whom a statement binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Binds {
    Server,
    Client,
    Both,
}

#[derive(Debug, PartialEq, Eq)]
enum Status {
    Proved(Vec<String>),
    Excused,
    /// A client's duty alone.
    Clients,
    /// Not done, which is a fault.
    Open,
}

struct Statement {
    number: String,
    binds: Binds,
    status: Status,
}

/// A list and what is wrong with it.
#[derive(Default)]
struct List {
    /// `statements`, `server`, `client`, `both`: how many the head announces.
    announced: BTreeMap<String, usize>,
    statements: Vec<Statement>,
    faults: Vec<String>,
}

impl List {
    fn parse(text: &str) -> List {
        let mut list = List::default();
        for (at, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Err(fault) = list.line(line) {
                list.faults.push(format!("line {}: {fault}: {line}", at + 1));
            }
        }
        list.count();
        list
    }

    fn line(&mut self, line: &str) -> Result<(), &'static str> {
        let fields: Vec<&str> = line.split(" | ").collect();
        let [number, binds, says, status] = fields[..] else {
            let (name, value) = line.split_once(": ").ok_or("neither a statement nor a count")?;
            self.announced.insert(name.to_owned(), value.parse().map_err(|_| "not a number")?);
            return Ok(());
        };
        let binds = match binds {
            "server" => Binds::Server,
            "client" => Binds::Client,
            "both" => Binds::Both,
            _ => return Err("it binds server, client or both"),
        };
        if parse_number(number).is_none() {
            return Err("that is no number of a statement");
        }
        if self.statements.iter().any(|known| known.number == number) {
            return Err("listed twice");
        }
        if says.len() < 10 {
            return Err("it does not say what it says");
        }
        let status = match (status.split_once(": "), binds) {
            (Some(("proved", tests)), _) => Status::Proved(tests.split(", ").map(str::to_owned).collect()),
            (Some(("excused", why)), Binds::Server | Binds::Both) if why.len() >= 10 => Status::Excused,
            (None, Binds::Client) if status == "-" => Status::Clients,
            _ => Status::Open,
        };
        if status == Status::Open {
            self.faults.push(format!("{number} is neither proved nor excused: {line}"));
        }
        self.statements.push(Statement { number: number.to_owned(), binds, status });
        Ok(())
    }

    fn count(&mut self) {
        let of = |binds| self.statements.iter().filter(|statement| statement.binds == binds).count();
        let counts = [
            ("statements", self.statements.len()),
            ("server", of(Binds::Server)),
            ("client", of(Binds::Client)),
            ("both", of(Binds::Both)),
        ];
        for (name, counted) in counts {
            let announced = self.announced.get(name);
            if announced != Some(&counted) {
                self.faults.push(format!("{name}: {counted} are listed, {announced:?} announced"));
            }
        }
        let numbers: Vec<_> =
            self.statements.iter().map(|statement| parse_number(&statement.number)).collect();
        if !numbers.is_sorted() {
            self.faults.push("the statements are not in the standard's order".to_owned());
        }
    }

    fn named(&self) -> impl Iterator<Item = (&str, &str)> {
        self.statements.iter().flat_map(|statement| match &statement.status {
            Status::Proved(tests) => {
                tests.iter().map(|test| (statement.number.as_str(), test.as_str())).collect::<Vec<_>>()
            }
            Status::Excused | Status::Clients | Status::Open => Vec::new(),
        })
    }
}

/// `3.1.2-22` as numbers.
fn parse_number(number: &str) -> Option<[u32; 4]> {
    let parts = number.split(['.', '-']).map(|part| part.parse().ok()).collect::<Option<Vec<u32>>>()?;
    let parts: [u32; 4] = parts.try_into().ok()?;
    let [a, b, c, d] = parts;
    (format!("{a}.{b}.{c}-{d}") == number).then_some(parts)
}

/// The standard and statement after which a test is named: `v5_3_1_2_22_...`.
fn named_after(test: &str) -> Option<(&str, String)> {
    let parts: Vec<&str> = test.splitn(6, '_').collect();
    let [standard @ ("v5" | "v3"), a, b, c, d, _] = parts[..] else { return None };
    let number = format!("{a}.{b}.{c}-{d}");
    parse_number(&number).map(|_| (standard, number))
}

/// The tests of a source: functions with `#[test]`, those within `proptest!` included, without `#[ignore]`.
#[derive(Default)]
struct Tests(BTreeSet<String>);

impl Tests {
    fn of(text: &str) -> Tests {
        let mut tests = Tests::default();
        tests.visit_file(&syn::parse_file(text).expect("it compiles"));
        tests
    }

    /// `#[test] fn name`, with other attributes in between or not.
    fn tokens(&mut self, tokens: TokenStream) {
        let (mut is_test, mut after_fn) = (false, false);
        for token in tokens {
            match token {
                TokenTree::Group(group) => match group.stream().to_string().as_str() {
                    "test" => is_test = true,
                    "ignore" => is_test = false,
                    _ => {}
                },
                TokenTree::Ident(ident) if after_fn => {
                    if std::mem::take(&mut is_test) {
                        self.0.insert(ident.to_string());
                    }
                    after_fn = false;
                }
                TokenTree::Ident(ident) => after_fn = ident == "fn",
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Tests {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        let has = |name| item.attrs.iter().any(|attribute| attribute.path().is_ident(name));
        if has("test") && !has("ignore") {
            self.0.insert(item.sig.ident.to_string());
        }
        visit::visit_item_fn(self, item);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        if item.path.segments.last().is_some_and(|last| last.ident == "proptest") {
            self.tokens(item.tokens.clone());
        }
    }
}

/// Where a list's name of a test says that it is: file and function.
fn location(name: &str) -> Option<(PathBuf, &str)> {
    let (file, test) = name.rsplit_once("::")?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = match file.contains('/') {
        true => root.join(file),
        false => root.join("tests/conformance").join(file).with_extension("rs"),
    };
    Some((file, test))
}

fn is_there(name: &str) -> bool {
    let Some((file, test)) = location(name) else { return false };
    fs::read_to_string(file).is_ok_and(|text| Tests::of(&text).0.contains(test))
}

/// The tests of this folder, by `file::test`.
fn tests_here() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("this folder") {
        let path = entry.expect("this folder").path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let file = path.file_stem().expect("it has an extension").to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).expect("a source");
            found.extend(Tests::of(&text).0.into_iter().map(|test| format!("{file}::{test}")));
        }
    }
    found
}

#[test]
fn every_statement_is_proved_or_excused() {
    for (standard, text) in LISTS {
        let list = List::parse(text);
        assert!(list.faults.is_empty(), "{standard}:\n{}", list.faults.join("\n"));
    }
}

#[test]
fn every_proof_is_a_test() {
    let missing: Vec<String> = LISTS
        .iter()
        .flat_map(|(standard, text)| {
            let list = List::parse(text);
            let missing: Vec<String> = list
                .named()
                .filter(|(_, test)| !is_there(test))
                .map(|(number, test)| format!("{standard} {number}: there is no test {test}"))
                .collect();
            missing
        })
        .collect();
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn every_test_of_a_statement_is_listed_there() {
    let here = tests_here();
    assert!(here.len() > 100, "only {here:?}");
    let mut astray = Vec::new();
    for name in &here {
        let Some((standard, number)) = named_after(name.rsplit("::").next().unwrap_or_default()) else {
            continue;
        };
        let (_, text) = LISTS.iter().find(|(known, _)| *known == standard).expect("v5 or v3");
        let list = List::parse(text);
        if !list.named().any(|listed| listed == (number.as_str(), name.as_str())) {
            astray.push(format!("{standard} {number} does not name {name}"));
        }
    }
    assert!(astray.is_empty(), "{}", astray.join("\n"));
}

#[test]
fn counts() {
    for (standard, text) in LISTS {
        let list = List::parse(text);
        let with = |wanted: fn(&Status) -> bool| list.statements.iter().filter(|s| wanted(&s.status)).count();
        let proved = with(|status| matches!(status, Status::Proved(_)));
        let excused = with(|status| *status == Status::Excused);
        let clients = with(|status| *status == Status::Clients);
        let tests: BTreeSet<&str> = list.named().map(|(_, test)| test).collect();
        println!(
            "{standard}: {} statements: {proved} proved by {} tests, {excused} excused, {clients} of clients alone",
            list.statements.len(),
            tests.len()
        );
    }
}

#[test]
fn what_is_wrong_with_a_list_is_found() {
    let head = "statements: 1\nserver: 1\nclient: 0\nboth: 0\n";
    let faults = |line: &str| List::parse(&format!("{head}{line}\n")).faults.join("\n");
    assert_eq!(faults("1.5.4-1 | server | says something | proved: a::b"), "");
    for (line, fault) in [
        ("1.5.4-1 | server | says something | open", "neither proved nor excused"),
        ("1.5.4-1 | server | says something | -", "neither proved nor excused"),
        ("1.5.4-1 | server | says something | excused: no", "neither proved nor excused"),
        ("1.5.4-1 | broker | says something | proved: a::b", "it binds"),
        ("1.5.4 | server | says something | proved: a::b", "no number"),
        ("1.5.04-1 | server | says something | proved: a::b", "no number"),
        ("1.5.4-1 | server | nothing | proved: a::b", "does not say"),
        ("1.5.4-1 | client | says something | -", "server: 0 are listed, Some(1) announced"),
        ("", "statements: 0 are listed, Some(1) announced"),
    ] {
        assert!(faults(line).contains(fault), "{line}: {}", faults(line));
    }
    let twice = "1.5.4-1 | server | says something | proved: a::b";
    assert!(faults(&format!("{twice}\n{twice}")).contains("listed twice"));
    let swapped = "2.1.1-1 | server | says something | proved: a::b";
    assert!(faults(&format!("{swapped}\n{twice}")).contains("order"));
}

#[test]
fn tests_are_told_from_other_functions() {
    let text = "#[test] fn a() {} fn b() {} mod m { #[test] #[ignore] fn c() {} #[test] fn d() {} }
        proptest! { #![x] #[test] fn e(x in 0..9) { fn g() {} } fn f(y in 0..9) {} }";
    assert_eq!(Tests::of(text).0, ["a", "d", "e"].map(str::to_owned).into());
    assert_eq!(named_after("v5_3_1_2_22_silence"), Some(("v5", "3.1.2-22".to_owned())));
    assert_eq!(named_after("v5_3_1_2_silence"), None);
    assert_eq!(named_after("v3_is_well"), None);
    assert!(is_there("list::counts") && is_there("tests/conformance/list.rs::counts"));
    assert!(!is_there("list::is_there") && !is_there("nowhere::counts") && !is_there("counts"));
}
