//! How far long work has come, on standard error: one changing line on a terminal, now and then a line elsewhere.

use std::cell::RefCell;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use super::Output;

/// How often a line is written where lines cannot change.
const EVERY: Duration = Duration::from_secs(2);

/// Back to the start of an emptied line.
const EMPTIED: &str = "\r\x1b[2K";

/// Who shows how far it has come. What was shown last goes with it.
pub(super) struct Live {
    output: Output,
    terminal: bool,
    last: RefCell<Option<(Instant, String)>>,
}

impl Live {
    /// Shows nothing yet; and nothing at all where JSON is wanted.
    pub(super) fn new(output: Output) -> Self {
        Self {
            output,
            terminal: std::io::stderr().is_terminal(),
            last: RefCell::new(None),
        }
    }

    /// A line that stays.
    pub(super) fn say(&self, text: &str) {
        self.empty();
        self.output.progress(text);
    }

    /// A line that the next one takes the place of.
    pub(super) fn show(&self, text: &str) {
        if self.output.is_json() {
            return;
        }
        let mut last = self.last.borrow_mut();
        let (since, same) = match &*last {
            Some((at, before)) => (at.elapsed(), before == text),
            None => (Duration::MAX, false),
        };
        if same || (!self.terminal && since < EVERY) {
            return;
        }
        if self.terminal {
            // A line that were to run over the edge could not be taken back: it is not wrapped.
            drop(write!(
                std::io::stderr().lock(),
                "{EMPTIED}\x1b[?7l{text}\x1b[?7h"
            ));
        } else {
            self.output.progress(text);
        }
        *last = Some((Instant::now(), text.to_owned()));
    }

    fn empty(&self) {
        if self.terminal && self.last.borrow_mut().take().is_some() {
            drop(write!(std::io::stderr().lock(), "{EMPTIED}"));
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.empty();
    }
}
