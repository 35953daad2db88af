//! Everything an oracle was told, in a file: enough to have it again.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::asked::Class;
use super::mishap::{Mode, Times};
use super::model::{Oracle, Reaction};

/// What an oracle is made of: the first line of its journal.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) class: Class,
    pub(crate) mode: Mode,
    pub(crate) times: Times,
}

/// What an oracle is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "told")]
pub(crate) enum Told {
    /// A request arrives.
    Call {
        method: String,
        path: String,
        query: String,
        body: Value,
    },
    /// Nothing goes wrong from now on.
    Calm,
    /// The system comes back from a backup that was made so long ago.
    Restore { back_ms: u64 },
    /// Somebody there types a record in, or changes it.
    ByHand { record: Value },
    /// Answers come so much later from now on.
    Hold { by_ms: u64 },
    /// The end of this request is about to be on the wire, an answer or a cut; or its caller has hung up.
    Ended { request: u64 },
    /// The process begins, or begins anew after its death: who waited for an answer gets none.
    Begin,
    /// Nothing: time has passed.
    Tick,
}

#[derive(Serialize, Deserialize)]
struct Line {
    now_ms: u64,
    #[serde(flatten)]
    told: Told,
}

/// A journal and the oracle that it makes.
pub(crate) struct Journal {
    file: File,
    oracle: Oracle,
    now_ms: u64,
    /// How much later than it could the system answers.
    hold_ms: u64,
    /// Writing requests whose caller waits for the end.
    open: BTreeSet<u64>,
    /// How many of them the last death has cut off.
    cut: usize,
}

impl Journal {
    /// Writes the first line of a new journal.
    pub(crate) fn create(path: &Path, plan: Plan) -> std::io::Result<()> {
        std::fs::write(path, format!("{}\n", serde_json::to_string(&plan)?))
    }

    /// Reads a journal as far as it was written, and goes on from there.
    pub(crate) fn open(path: &Path) -> std::io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        // A line that a kill has cut short was never acted on.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        file.set_len(whole as u64)?;
        file.seek(SeekFrom::End(0))?;
        let (plan, lines) = parse(&text)?;
        let mut journal = Self {
            file,
            oracle: Oracle::new(plan.seed, plan.class, plan.mode, plan.times),
            now_ms: 0,
            hold_ms: 0,
            open: BTreeSet::new(),
            cut: 0,
        };
        for line in lines {
            journal.act(line.now_ms, line.told);
        }
        Ok(journal)
    }

    /// All that a journal tells.
    pub(crate) fn lines(path: &Path) -> std::io::Result<Vec<Told>> {
        let (_, lines) = parse(&std::fs::read_to_string(path)?)?;
        Ok(lines.into_iter().map(|line| line.told).collect())
    }

    /// Writes it down, then does it. What a call comes to, if it is one.
    pub(crate) fn tell(&mut self, now_ms: u64, told: Told) -> std::io::Result<Option<Reaction>> {
        // The machine's clock may be set back; the books go on.
        let now_ms = now_ms.max(self.now_ms);
        // Somebody who only looks, often, needs no line where nothing is due.
        let is_due = self.oracle.next_late_ms().is_some_and(|due| due <= now_ms);
        if is_due || !matches!(told, Told::Tick) {
            let line = Line {
                now_ms,
                told: told.clone(),
            };
            self.file
                .write_all(format!("{}\n", serde_json::to_string(&line)?).as_bytes())?;
        }
        Ok(self.act(now_ms, told))
    }

    fn act(&mut self, now_ms: u64, told: Told) -> Option<Reaction> {
        self.now_ms = now_ms;
        match told {
            Told::Call {
                method,
                path,
                query,
                body,
            } => {
                let reaction = self.oracle.call(now_ms, &method, &path, &query, &body);
                if method != "GET" {
                    self.open.insert(self.oracle.requests());
                }
                return Some(reaction);
            }
            Told::Calm => {
                self.oracle.calm();
                self.hold_ms = 0;
            }
            Told::Restore { back_ms } => self.oracle.restore(now_ms, back_ms),
            Told::ByHand { record } => self.oracle.by_hand(now_ms, record),
            Told::Hold { by_ms } => self.hold_ms = by_ms,
            Told::Ended { request } => drop(self.open.remove(&request)),
            Told::Begin => self.cut = std::mem::take(&mut self.open).len(),
            Told::Tick => self.oracle.tick(now_ms),
        }
        None
    }

    /// The oracle, to be looked into only.
    pub(crate) fn into_oracle(self) -> Oracle {
        self.oracle
    }

    /// How much later than it could the system answers.
    pub(crate) fn hold_ms(&self) -> u64 {
        self.hold_ms
    }

    /// How many writing requests wait for their end.
    pub(crate) fn open_calls(&self) -> usize {
        self.open.len()
    }

    /// How many writing requests the last death has cut off: begun, and nothing of their end on the wire.
    pub(crate) fn cut_calls(&self) -> usize {
        self.cut
    }

    /// The oracle as it stands.
    pub(crate) fn oracle(&self) -> &Oracle {
        &self.oracle
    }
}

/// The plan and the whole lines that follow it.
fn parse(text: &str) -> std::io::Result<(Plan, Vec<Line>)> {
    let mut lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let plan = serde_json::from_str(lines.next().unwrap_or_default())?;
    let lines = lines.map(serde_json::from_str).collect::<Result<_, _>>()?;
    Ok((plan, lines))
}
