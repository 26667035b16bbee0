//! The house rules that a compiler does not know: layers, what pure modules must not name, sizes, `unsafe`, leftovers.
//!
//! The sources are parsed with `syn`, so that comments and strings do not count and lengths are exact. Each rule is a
//! function from a source to findings; the tests at the end show that each can fail.
#![allow(clippy::disallowed_methods, reason = "the bans keep the broker's pure layers pure; this is a test")]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// From left to right: a module may name only what stands to its left.
const LAYERS: [&str; 10] =
    ["time", "ids", "mqtt", "policy", "session", "routing", "shard", "net", "node", "control"];

/// Neighbours that do not know each other.
const STRANGERS: [(&str, &str); 1] = [("routing", "session")];

/// Layers without clock, randomness, thread, lock, socket, file and `async`.
const PURE: [&str; 7] = ["time", "ids", "mqtt", "policy", "session", "routing", "shard"];

/// What pure layers must not name, and everything below it.
const IMPURE: [&str; 24] = [
    "std::time::Instant",
    "std::time::SystemTime",
    "std::thread",
    "std::fs",
    "std::io",
    "std::env",
    "std::process",
    "std::os",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::UdpSocket",
    "std::sync::Mutex",
    "std::sync::RwLock",
    "std::sync::Condvar",
    "std::sync::mpsc",
    "glommio",
    "io_uring",
    "crossbeam_channel",
    "getrandom",
    "rand",
    "libc",
    "rustix",
    "socket2",
    "tokio",
];

/// The only files that may hold `unsafe`: rings, their buffers, and what the kernel is handed.
const UNSAFE_FILES: [&str; 6] = [
    "src/net/buffers.rs",
    "src/net/ring.rs",
    "src/net/socket.rs",
    "src/node/priority.rs",
    "loadgen/src/buffers.rs",
    "loadgen/src/ring.rs",
];

const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 70;

/// Words of work that is not finished. Split, so that this file does not hold them.
const LEFTOVERS: [&str; 4] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK:")];

/// Roots of paths that exist on one machine only.
const MACHINE_PATHS: [&str; 4] = ["/ro_ot/", "/wo_rk/", "/Us_ers/", "/ho_me/"];

/// One Rust file.
struct Source {
    /// From the workspace's root.
    path: String,
    text: String,
    syntax: syn::File,
}

impl Source {
    fn new(path: &str, text: &str) -> Source {
        let syntax = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
        Source { path: path.to_owned(), text: text.to_owned(), syntax }
    }

    /// The module path under `src`: `src/net/ring.rs` is `net`, `ring`. Empty for what is not in the library.
    fn module(&self) -> Vec<String> {
        let Some(inside) = self.path.strip_prefix("src/") else { return Vec::new() };
        let mut parts: Vec<String> = inside.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        if matches!(parts.last().map(String::as_str), Some("mod" | "lib" | "main")) {
            parts.pop();
        }
        parts
    }

    fn layer(&self) -> Option<String> {
        self.module().first().cloned()
    }

    fn is_test_file(&self) -> bool {
        let in_tests = self.path.split('/').any(|part| part == "tests");
        in_tests || self.path.ends_with("tests.rs") || self.path.ends_with("test.rs")
    }

    fn at(&self, line: usize, what: impl std::fmt::Display) -> String {
        format!("{}:{line}: {what}", self.path)
    }

    fn facts(&self) -> Facts {
        let mut facts = Facts { module: self.module(), in_test: self.is_test_file(), ..Facts::default() };
        facts.visit_file(&self.syntax);
        facts
    }
}

/// What the rules want to know of a source.
#[derive(Default)]
struct Facts {
    module: Vec<String>,
    in_test: bool,
    /// `use` names: what each stands for.
    names: HashMap<String, String>,
    /// Full paths that are named, with line, and whether in a test.
    paths: Vec<(String, usize, bool)>,
    /// Functions with first line and length.
    functions: Vec<(String, usize, usize)>,
    unsafes: Vec<usize>,
    asyncs: Vec<usize>,
    unwraps: Vec<usize>,
    /// Macros of unfinished work.
    unfinished: Vec<usize>,
    /// Names of items.
    items: Vec<(String, usize)>,
}

impl Facts {
    /// A path as the crate's root sees it: `super::x` and names from `use` resolved.
    fn name(&mut self, segments: Vec<String>, line: usize) {
        let supers = segments.iter().take_while(|segment| *segment == "super").count();
        let mut full = match segments[0].as_str() {
            "super" => {
                let depth = self.module.len().saturating_sub(supers);
                let mut full = vec!["crate".to_owned()];
                full.extend(self.module[..depth].iter().cloned());
                full.extend(segments[supers..].iter().cloned());
                full.join("::")
            }
            first => match self.names.get(first) {
                Some(meaning) => [std::slice::from_ref(meaning), &segments[1..]].concat().join("::"),
                None => segments.join("::"),
            },
        };
        if let Some(inside) = full.strip_prefix("core::").or_else(|| full.strip_prefix("alloc::")) {
            full = format!("std::{inside}");
        }
        self.paths.push((full, line, self.in_test));
    }

    fn use_tree(&mut self, tree: &syn::UseTree, mut prefix: Vec<String>) {
        match tree {
            syn::UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.use_tree(&path.tree, prefix);
            }
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.use_tree(tree, prefix.clone()));
            }
            syn::UseTree::Glob(glob) => self.name(prefix, glob.span().start().line),
            syn::UseTree::Name(name) => self.leaf(prefix, &name.ident, &name.ident),
            syn::UseTree::Rename(rename) => self.leaf(prefix, &rename.ident, &rename.rename),
        }
    }

    fn leaf(&mut self, mut prefix: Vec<String>, ident: &syn::Ident, local: &syn::Ident) {
        if ident != "self" {
            prefix.push(ident.to_string());
        }
        if prefix.is_empty() {
            return;
        }
        self.name(prefix, ident.span().start().line);
        let (full, _, _) = self.paths.last().expect("it was named right now").clone();
        let local =
            if local == "self" { full.rsplit("::").next().unwrap_or_default() } else { &local.to_string() };
        self.names.insert(local.to_owned(), full.clone());
    }

    /// A macro's body is tokens, not syntax: the paths in it are found by their shape.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut segments: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    let name = ident.to_string();
                    if colons != 2 {
                        segments.clear();
                    }
                    segments.push(name);
                    if segments.len() > 1 {
                        self.name(segments.clone(), ident.span().start().line);
                    }
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    (colons, segments) = (0, Vec::new());
                    self.tokens(group.stream());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => (colons, segments) = (0, Vec::new()),
            }
        }
    }

    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let first = signature.span().start().line;
        self.functions.push((signature.ident.to_string(), first, block.span().end().line + 1 - first));
        if signature.asyncness.is_some() {
            self.asyncs.push(first);
        }
        if signature.unsafety.is_some() {
            self.unsafes.push(first);
        }
    }

    fn within(&mut self, attributes: &[syn::Attribute], visit: impl FnOnce(&mut Facts)) {
        let outside = self.in_test;
        self.in_test |= attributes.iter().any(is_for_tests);
        visit(self);
        self.in_test = outside;
    }
}

fn is_for_tests(attribute: &syn::Attribute) -> bool {
    if attribute.path().is_ident("test") {
        return true;
    }
    let tokens = attribute.meta.require_list().map(|list| list.tokens.to_string());
    attribute.path().is_ident("cfg") && tokens.is_ok_and(|tokens| tokens == "test")
}

impl<'ast> Visit<'ast> for Facts {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.within(&item.attrs, |facts| facts.use_tree(&item.tree, Vec::new()));
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.items.push((item.ident.to_string(), item.span().start().line));
        self.within(&item.attrs, |facts| {
            if item.content.is_some() {
                facts.module.push(item.ident.to_string());
                visit::visit_item_mod(facts, item);
                facts.module.pop();
            }
        });
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.within(&item.attrs, |facts| {
            facts.function(&item.sig, &item.block);
            visit::visit_item_fn(facts, item);
        });
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.within(&item.attrs, |facts| {
            facts.function(&item.sig, &item.block);
            visit::visit_impl_item_fn(facts, item);
        });
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.items.push((item.ident.to_string(), item.span().start().line));
        visit::visit_item_struct(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if item.unsafety.is_some() {
            self.unsafes.push(item.span().start().line);
        }
        self.within(&item.attrs, |facts| visit::visit_item_impl(facts, item));
    }

    fn visit_expr_unsafe(&mut self, expression: &'ast syn::ExprUnsafe) {
        self.unsafes.push(expression.span().start().line);
        visit::visit_expr_unsafe(self, expression);
    }

    fn visit_expr_async(&mut self, expression: &'ast syn::ExprAsync) {
        self.asyncs.push(expression.span().start().line);
        visit::visit_expr_async(self, expression);
    }

    fn visit_expr_await(&mut self, expression: &'ast syn::ExprAwait) {
        self.asyncs.push(expression.span().start().line);
        visit::visit_expr_await(self, expression);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if call.method == "unwrap" && call.args.is_empty() && !self.in_test {
            self.unwraps.push(call.method.span().start().line);
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.name(segments, path.span().start().line);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        let line = item.span().start().line;
        if item.path.segments.last().is_some_and(|last| last.ident == "todo" || last.ident == "unimplemented")
        {
            self.unfinished.push(line);
        }
        self.tokens(item.tokens.clone());
        visit::visit_macro(self, item);
    }
}

fn begins_with(path: &str, name: &str) -> bool {
    path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn layers(source: &Source, facts: &Facts) -> Vec<String> {
    let Some(layer) = source.layer() else { return Vec::new() };
    let Some(own) = LAYERS.iter().position(|known| *known == layer) else {
        return vec![source.at(1, format!("`{layer}` is not a layer: say in {} where it stands", file!()))];
    };
    let mut found = Vec::new();
    for (path, line, _) in &facts.paths {
        let Some(other) = path.strip_prefix("crate::").and_then(|inside| inside.split("::").next()) else {
            continue;
        };
        let strange =
            STRANGERS.iter().any(|pair| *pair == (layer.as_str(), other) || *pair == (other, layer.as_str()));
        if strange || LAYERS.iter().position(|known| *known == other).is_some_and(|position| position > own) {
            found.push(source.at(*line, format!("`{layer}` names `{path}`, which it must not know")));
        }
    }
    found
}

fn purity(source: &Source, facts: &Facts) -> Vec<String> {
    if !source.layer().is_some_and(|layer| PURE.contains(&layer.as_str())) {
        return Vec::new();
    }
    let named = facts.paths.iter().filter(|(_, _, in_test)| !in_test);
    let impure = named.filter(|(path, ..)| IMPURE.iter().any(|name| begins_with(path, name)));
    let mut found: Vec<String> =
        impure.map(|(path, line, _)| source.at(*line, format!("a pure layer names `{path}`"))).collect();
    found.extend(facts.asyncs.iter().map(|line| source.at(*line, "a pure layer is async")));
    found
}

fn sizes(source: &Source, facts: &Facts) -> Vec<String> {
    let mut found = Vec::new();
    let lines = source.text.lines().count();
    if lines > FILE_LINES {
        found.push(source.at(lines, format!("{lines} lines, more than {FILE_LINES}")));
    }
    for (name, line, length) in &facts.functions {
        if *length > FUNCTION_LINES {
            found.push(source.at(*line, format!("`{name}` has {length} lines, more than {FUNCTION_LINES}")));
        }
    }
    found
}

fn unsafe_code(source: &Source, facts: &Facts) -> Vec<String> {
    if UNSAFE_FILES.contains(&source.path.as_str()) {
        return Vec::new();
    }
    facts.unsafes.iter().map(|line| source.at(*line, "`unsafe` outside the files that may hold it")).collect()
}

fn leftovers(source: &Source, facts: &Facts) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in source.text.lines().enumerate() {
        if let Some(word) = LEFTOVERS.iter().find(|word| line.contains(**word)) {
            found.push(source.at(number + 1, format!("{word} is left")));
        }
    }
    found.extend(facts.unfinished.iter().map(|line| source.at(*line, "unfinished work")));
    found.extend(
        facts.unwraps.iter().map(|line| source.at(*line, "`unwrap` outside tests: say why it cannot fail")),
    );
    found
}

fn opening(source: &Source, _: &Facts) -> Vec<String> {
    if source.text.starts_with("//!") {
        return Vec::new();
    }
    vec![source.at(1, "a file opens with `//!`: what it is and what it must not know")]
}

fn names(source: &Source, facts: &Facts) -> Vec<String> {
    let getters = facts.functions.iter().filter(|(name, ..)| name.starts_with("get_"));
    let mut found: Vec<String> =
        getters.map(|(name, line, _)| source.at(*line, format!("`{name}`: no `get_` prefixes"))).collect();
    for (name, line) in &facts.items {
        let vague = matches!(name.as_str(), "utils" | "util" | "types" | "helpers");
        if vague || name.ends_with("Manager") || name.ends_with("Helper") {
            found.push(source.at(*line, format!("`{name}` does not say what it is")));
        }
    }
    found
}

type Rule = fn(&Source, &Facts) -> Vec<String>;

const RULES: [Rule; 7] = [layers, purity, sizes, unsafe_code, leftovers, opening, names];

/// In any text, not only Rust.
fn machine_paths(path: &str, text: &str) -> Vec<String> {
    let roots = MACHINE_PATHS.map(|root| root.replace('_', ""));
    let lines = text.lines().enumerate();
    let bad = lines.filter(|(_, line)| roots.iter().any(|root| line.contains(root.as_str())));
    bad.map(|(number, line)| format!("{path}:{}: a path of one machine: {}", number + 1, line.trim()))
        .collect()
}

/// Every file of the workspace that people wrote, by its path from the root.
fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder can be read") {
            let entry = entry.expect("a folder can be read");
            let (path, name) = (entry.path(), entry.file_name());
            let ours =
                !matches!(name.to_str(), Some("target" | ".git" | "Cargo.lock" | "__pycache__" | ".venv"));
            if ours && path.is_dir() {
                folders.push(path);
            } else if ours {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn the_house_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut found, mut sources) = (Vec::new(), 0);
    for file in files(root) {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let path = file.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        found.extend(machine_paths(&path, &text));
        if path.ends_with(".rs") {
            let source = Source::new(&path, &text);
            let facts = source.facts();
            found.extend(RULES.iter().flat_map(|rule| rule(&source, &facts)));
            sources += 1;
        }
    }
    assert!(sources > 50, "only {sources} sources were found");
    assert!(found.is_empty(), "{} findings:\n{}", found.len(), found.join("\n"));
}

/// What the rules find in a text at a path.
fn judged(path: &str, text: &str) -> Vec<String> {
    let source = Source::new(path, &format!("//! A file.\n{text}"));
    let facts = source.facts();
    RULES.iter().flat_map(|rule| rule(&source, &facts)).collect()
}

#[track_caller]
fn assert_found(path: &str, text: &str, expected: &str) {
    let found = judged(path, text);
    assert!(found.iter().any(|finding| finding.contains(expected)), "{expected:?} is not among {found:?}");
}

#[track_caller]
fn assert_clean(path: &str, text: &str) {
    assert_eq!(judged(path, text), [""; 0]);
}

#[test]
fn upward_names_are_found_however_they_are_written() {
    for text in [
        "use crate::shard::Shard;",
        "use crate::{mqtt::Packet, shard::Shard};",
        "fn f() { crate::shard::f(); }",
        "use super::shard;",
        "mod inner { use super::super::shard::Shard; }",
        "fn f() { assert!(crate::shard::f()); }",
        "#[cfg(test)] mod tests { use crate::shard::Shard; }",
    ] {
        assert_found("src/mqtt/mod.rs", text, "must not know");
    }
    assert_found("src/routing/table.rs", "use crate::session::ConnId;", "must not know");
    assert_found("src/session/mod.rs", "use crate::routing::ShardId;", "must not know");
    assert_found("src/brand_new/mod.rs", "", "is not a layer");
    assert_clean(
        "src/shard/mod.rs",
        "use crate::session::ConnId; use super::routing::ShardId; use self::shard::x;",
    );
    assert_clean("src/net/ring.rs", "use super::shard; use crate::net::x;");
}

#[test]
fn impure_names_are_found_outside_the_tests_of_pure_layers() {
    for text in [
        "use std::time::Instant;",
        "use std::time; fn f() -> time::Instant { loop {} }",
        "use std::{sync::{Arc, Mutex}};",
        "type Shared = std::sync::Arc<std::sync::RwLock<u8>>;",
        "use std::thread as workers; fn f() { workers::park(); }",
        "fn f() { println!(\"{:?}\", std::time::SystemTime::UNIX_EPOCH); }",
        "use core::time as t; use getrandom::fill;",
        "use std::net::{IpAddr, TcpStream};",
    ] {
        assert_found("src/shard/mod.rs", text, "a pure layer names");
    }
    assert_found("src/session/mod.rs", "async fn f() {}", "is async");
    assert_found("src/session/mod.rs", "fn f() { let g = async { 1 }; }", "is async");
    assert_clean(
        "src/shard/mod.rs",
        "use std::sync::{Arc, atomic::AtomicU64}; use std::net::{IpAddr, SocketAddr};",
    );
    assert_clean("src/shard/mod.rs", "#[cfg(test)] mod tests { use std::time::Instant; }");
    assert_clean("src/shard/wheel_tests.rs", "use std::time::Instant;");
    assert_clean("src/node/mod.rs", "use std::time::Instant;");
}

#[test]
fn long_files_and_functions_are_found() {
    let long = |lines: usize| "\n".repeat(lines);
    assert_found("src/net/a.rs", &long(FILE_LINES), "more than 600");
    assert_clean("src/net/a.rs", &long(FILE_LINES - 1));
    assert_found("loadgen/src/a.rs", &format!("fn f() {{{}}}", long(FUNCTION_LINES)), "`f` has 71 lines");
    assert_clean("loadgen/src/a.rs", &format!("fn f() {{{}}}", long(FUNCTION_LINES - 1)));
    let method = format!("struct S; impl S {{ fn m() {{{}}} }}", long(FUNCTION_LINES));
    assert_found("src/net/a.rs", &method, "`m` has 71 lines");
}

#[test]
fn unsafe_code_leftovers_and_vague_names_are_found() {
    for text in ["fn f() { unsafe { g() } }", "unsafe fn f() {}", "unsafe impl Send for S {}"] {
        assert_found("src/net/driver.rs", text, "`unsafe` outside");
        assert_clean("src/net/ring.rs", text);
    }
    assert_found("src/net/a.rs", &format!("// {}: later", LEFTOVERS[0]), "is left");
    assert_found("src/net/a.rs", "fn f() { todo!() }", "unfinished");
    assert_found("src/net/a.rs", "fn f() { g().unwrap(); }", "`unwrap` outside tests");
    assert_clean("src/net/a.rs", "#[test] fn f() { g().unwrap(); }");
    assert_clean("src/net/a.rs", "// g().unwrap()\nfn f() { g().unwrap_or(\"unwrap()\"); }");
    assert_found("src/net/a.rs", "fn get_it() {}", "no `get_` prefixes");
    assert_found("src/net/a.rs", "mod utils;", "does not say what it is");
    assert_found("src/net/a.rs", "struct SessionManager;", "does not say what it is");
    let bare = Source::new("src/net/a.rs", "fn f() {}");
    assert_eq!(opening(&bare, &bare.facts()).len(), 1);
}

#[test]
fn paths_of_one_machine_are_found() {
    for root in MACHINE_PATHS {
        let text = format!("see {}x/y", root.replace('_', ""));
        assert_eq!(machine_paths("README.md", &text).len(), 1, "{text}");
    }
    assert_eq!(machine_paths("README.md", "~/.local/state, /var/lib, network/x"), [""; 0]);
}
