//! What is wrong with a configuration: where, what, and what to do about it. Knows no field by name.

use std::fmt;

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, as the operator would write it: `listener[1].address`. Empty: the file as a whole.
    pub path: String,
    /// Line of the file, from 1, where one is to blame.
    pub line: Option<usize>,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "the file" } else { &self.path };
        match self.line {
            Some(line) => write!(out, "{path} (line {line}): {}; {}", self.what, self.remedy),
            None => write!(out, "{path}: {}; {}", self.what, self.remedy),
        }
    }
}

/// All that is wrong with a configuration; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(out)?;
            }
            write!(out, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_where_what_and_the_remedy() {
        let problem = Problem {
            path: "listener[1].address".into(),
            line: Some(7),
            what: "`here` is not an address".into(),
            remedy: "write IP:PORT".into(),
        };
        assert_eq!(
            problem.to_string(),
            "listener[1].address (line 7): `here` is not an address; write IP:PORT"
        );
        let whole = Problem { path: String::new(), line: None, ..problem };
        assert!(whole.to_string().starts_with("the file: "));
    }
}
