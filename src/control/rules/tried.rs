//! Topic rules of a configuration, tried: the judge's own verdict and what has to be said beside it. Where the
//! configuration comes from is not known here.

use crate::control::config::Config;
use crate::policy::Rules;
use crate::policy::rules::{Action, Explanation};

/// Here and below it the broker alone publishes.
const SYSTEM: &str = "$SYS";

const NEVER: &str = "clients never publish to $SYS, whatever the rules say";

const NO_RULES_APPLY: &str = "the rules do not apply: no enabled listener requires client certificates, and rules.apply is not \"always\"";

/// What a try says.
pub(in crate::control) struct Tried {
    /// The judge's verdict, with its reasons; `None`: no rule is asked about this.
    pub(in crate::control) explanation: Option<Explanation>,
    /// Why no rule is asked.
    pub(in crate::control) never: Option<&'static str>,
    /// What puts the verdict in another light.
    pub(in crate::control) note: Option<&'static str>,
}

impl Tried {
    /// Whether the client may.
    pub(in crate::control) fn allowed(&self) -> bool {
        self.explanation.as_ref().is_some_and(|explanation| explanation.allowed)
    }

    /// The same for people.
    pub(in crate::control) fn text(&self) -> String {
        let verdict = match &self.explanation {
            Some(explanation) => explanation.to_string(),
            None => format!("REFUSED: {}", self.never.unwrap_or_default()),
        };
        match self.note {
            Some(note) => format!("{verdict}\nnote: {note}"),
            None => verdict,
        }
    }
}

/// The rules of a configuration.
pub(in crate::control) fn compiled(config: &Config) -> Rules {
    Rules::compile(config.rules.clone()).expect("a valid configuration has no rule that is wrong")
}

/// Tries whether a client may act on a topic.
pub(in crate::control) fn tried(config: &Config, client: &str, action: Action, topic: &str) -> Tried {
    if action == Action::Publish && topic.split('/').next() == Some(SYSTEM) {
        return Tried { explanation: None, never: Some(NEVER), note: None };
    }
    let note = (!config.rules_apply()).then_some(NO_RULES_APPLY);
    Tried { explanation: Some(compiled(config).explain(client, action, topic)), never: None, note }
}
