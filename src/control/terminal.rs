//! What a terminal is shown beyond plain text: colours, only where somebody looks and has not asked for none. Knows no
//! command.

use std::io::IsTerminal;

/// How a word is set off from its surroundings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Doubtful,
    Bad,
    Strong,
    Faint,
}

/// Whether tones are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colours {
    On,
    Off,
}

impl Colours {
    /// For an output: on a terminal, unless `NO_COLOR` is set (<https://no-color.org>) or the terminal is a dumb one.
    pub(super) fn of(output: &impl IsTerminal) -> Colours {
        let is = |name, value: &str| std::env::var_os(name).is_some_and(|found| found == value);
        let refused =
            std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) || is("TERM", "dumb");
        if output.is_terminal() && !refused { Colours::On } else { Colours::Off }
    }

    /// A text in a tone.
    pub(super) fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => "32",
            Tone::Doubtful => "33",
            Tone::Bad => "1;31",
            Tone::Strong => "1",
            Tone::Faint => "2",
        };
        match self {
            Colours::On => format!("\x1b[{code}m{text}\x1b[0m"),
            Colours::Off => text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_without_colours() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(Colours::of(&file), Colours::Off);
        assert_eq!(Colours::Off.paint(Tone::Bad, "no"), "no");
        assert_eq!(Colours::On.paint(Tone::Good, "ok"), "\x1b[32mok\x1b[0m");
    }
}
