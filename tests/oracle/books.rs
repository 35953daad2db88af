//! The oracle's books: every commit in its order, and the rows that follow from them.
//!
//! A record is an object with `id` (the key), `text` and whatever else the mapping gives. The number behind the first
//! `#` of the text is its version, for an entry or a step its place among those of its key: it survives upper case and
//! cutting, so that the judge can read from a lossy row which version it holds.

use jiff::Timestamp;
use serde_json::{Value, json};

/// Longest text that a lossy system keeps, in characters.
const LOSSY_LENGTH: usize = 24;

/// A record with this in its text is refused by every class: it will never be taken so.
pub(crate) const UNACCEPTABLE: &str = "[không hợp lệ]";

/// What a request wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// A row that is not there yet.
    Create,
    /// Another content of a row that is there.
    Change,
    /// A row of this content, whether there is one or not.
    Put,
    /// One entry more.
    Append,
    /// A row taken one step further.
    Step,
    /// Nothing: somebody at the system does it, and is not refused.
    ByHand,
}

/// What a commit did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Made a row.
    Created,
    /// Changed the rows of a key.
    Updated,
    /// Added an entry.
    Appended,
    /// Took a row one step further.
    Stepped,
    /// Somebody at the system changed or typed in a row: no call of the bus.
    ByHand,
}

/// A commit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Effect {
    /// Its place among all commits, from 1.
    pub(crate) number: u64,
    /// When.
    pub(crate) at_ms: u64,
    /// The request that asked for it, counted from 1; 0 for what was done by hand.
    pub(crate) request: u64,
    /// What it did.
    pub(crate) act: Act,
    /// Key of the record.
    pub(crate) key: String,
    /// The number in the record's text.
    pub(crate) version: i64,
    /// The record as it was stored.
    pub(crate) record: Value,
    /// From when on a search shows it.
    pub(crate) shown_from_ms: u64,
    /// The system was restored to an earlier time: it is gone.
    pub(crate) undone: bool,
}

/// A row or an entry as the commits have left it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    /// Key of the record.
    pub(crate) key: String,
    /// Version, state or place among the entries.
    pub(crate) version: i64,
    /// The record as stored.
    pub(crate) record: Value,
    /// The last commit that changed it.
    pub(crate) changed: u64,
    /// What searches show of it, and from when on.
    shown: Vec<(u64, Value)>,
}

impl Row {
    fn new(effect: &Effect) -> Self {
        let mut row = Self {
            key: effect.key.clone(),
            version: 0,
            record: Value::Null,
            changed: 0,
            shown: Vec::new(),
        };
        row.take(effect);
        row
    }

    fn take(&mut self, effect: &Effect) {
        self.version = effect.version;
        self.record = effect.record.clone();
        self.changed = effect.number;
        self.shown.push((effect.shown_from_ms, effect.record.clone()));
    }

    fn shown_at(&self, now_ms: u64) -> Option<&Value> {
        let shown = self.shown.iter().rev().find(|(from, _)| *from <= now_ms);
        shown.map(|(_, record)| record)
    }
}

/// A commit that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Write {
    /// What it is to do.
    pub(crate) verb: Verb,
    /// The record.
    pub(crate) record: Value,
}

impl Write {
    /// Whether any class would take this record.
    pub(crate) fn is_acceptable(&self) -> bool {
        !text_of(&self.record, "id").is_empty() && !text_of(&self.record, "text").contains(UNACCEPTABLE)
    }
}

/// What the system does of its own accord about the order and the identity of what it is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traits {
    /// A second row of one key is refused.
    pub(crate) refuses_duplicates: bool,
    /// An older version, or an entry out of its order, is refused.
    pub(crate) refuses_disorder: bool,
    /// Texts are kept in upper case and cut short.
    pub(crate) lossy: bool,
}

/// Why a commit was refused: HTTP status and what is said.
pub(crate) type Refusal = (u16, &'static str);

/// An entry or step that does not follow the last one.
pub(crate) const DISORDER: Refusal = (422, "sai thứ tự");

/// A version older than the one that is there.
pub(crate) const OLDER: Refusal = (422, "dữ liệu cũ hơn dữ liệu đang có");

/// The books.
#[derive(Debug, Default)]
pub(crate) struct Books {
    effects: Vec<Effect>,
    rows: Vec<Row>,
    entries: Vec<Row>,
}

impl Books {
    /// Every commit, in order.
    pub(crate) fn effects(&self) -> &[Effect] {
        &self.effects
    }

    /// The rows.
    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The entries, in the order in which they were added.
    pub(crate) fn entries(&self) -> &[Row] {
        &self.entries
    }

    /// What a search for this key shows.
    pub(crate) fn find(&self, key: &str, entries: bool, now_ms: u64) -> Vec<Value> {
        let among = if entries { &self.entries } else { &self.rows };
        let found = among.iter().filter(|row| row.key == key);
        found.filter_map(|row| row.shown_at(now_ms)).cloned().collect()
    }

    /// The rows that changed after this commit, as the system reports them.
    pub(crate) fn changes(&self, since: u64) -> Vec<Value> {
        let mut changed: Vec<&Row> = self.rows.iter().filter(|row| row.changed > since).collect();
        changed.sort_by_key(|row| row.changed);
        let report = |row: &&Row| {
            let mut report = row.record.clone();
            let changed = self.effects.iter().find(|effect| effect.number == row.changed);
            report["at"] = json!(changed.map(|effect| time(effect.at_ms)));
            report
        };
        changed.iter().map(report).collect()
    }

    /// Commits, or says why not. `lag_ms`: how long searches lag behind it.
    pub(crate) fn commit(
        &mut self,
        write: &Write,
        traits: Traits,
        request: u64,
        now_ms: u64,
        lag_ms: u64,
    ) -> Result<(), Refusal> {
        let record = if traits.lossy {
            lossy(&write.record)
        } else {
            write.record.clone()
        };
        let key = text_of(&record, "id").to_owned();
        let version = number_in(text_of(&record, "text"));
        let held = self
            .rows
            .iter()
            .rev()
            .find(|row| row.key == key)
            .map(|row| row.version);
        let act = self.judge(write, &key, version, held, traits)?;
        let effect = Effect {
            number: self.effects.len() as u64 + 1,
            at_ms: now_ms,
            request,
            act,
            key,
            version,
            record,
            shown_from_ms: now_ms + lag_ms,
            undone: false,
        };
        self.enter(&effect);
        self.effects.push(effect);
        Ok(())
    }

    /// What the commit will do; `held` is the version of the row that is there.
    fn judge(
        &self,
        write: &Write,
        key: &str,
        version: i64,
        held: Option<i64>,
        traits: Traits,
    ) -> Result<Act, Refusal> {
        let last = || self.entries.iter().rev().find(|entry| entry.key == key);
        match (write.verb, held) {
            (Verb::ByHand, _) => Ok(Act::ByHand),
            _ if !write.is_acceptable() => Err((422, "dữ liệu không hợp lệ")),
            (Verb::Create, Some(_)) if traits.refuses_duplicates => Err((409, "hồ sơ đã tồn tại")),
            (Verb::Create, _) | (Verb::Put, None) => Ok(Act::Created),
            (Verb::Change | Verb::Step, None) => Err((404, "không có hồ sơ này")),
            (Verb::Change | Verb::Put, Some(held)) if traits.refuses_disorder && version < held => Err(OLDER),
            (Verb::Change | Verb::Put, Some(_)) => Ok(Act::Updated),
            (Verb::Step, Some(held)) if version != held + 1 => Err(DISORDER),
            (Verb::Step, Some(_)) => Ok(Act::Stepped),
            (Verb::Append, _) => {
                let next = last().map_or(1, |last| last.version + 1);
                let refused = traits.refuses_disorder && version != next;
                if refused { Err(DISORDER) } else { Ok(Act::Appended) }
            }
        }
    }

    /// Everything after this time is gone; how many commits that are.
    pub(crate) fn restore(&mut self, to_ms: u64) -> u64 {
        let mut undone = 0;
        for effect in self.effects.iter_mut().filter(|effect| effect.at_ms > to_ms) {
            undone += u64::from(!effect.undone);
            effect.undone = true;
        }
        self.rows.clear();
        self.entries.clear();
        let effects = std::mem::take(&mut self.effects);
        for effect in effects.iter().filter(|effect| !effect.undone) {
            self.enter(effect);
        }
        self.effects = effects;
        undone
    }

    fn enter(&mut self, effect: &Effect) {
        match effect.act {
            Act::Created => self.rows.push(Row::new(effect)),
            Act::Appended => self.entries.push(Row::new(effect)),
            Act::Updated | Act::Stepped | Act::ByHand => {
                let mut none = true;
                for row in self.rows.iter_mut().filter(|row| row.key == effect.key) {
                    row.take(effect);
                    none = false;
                }
                if none {
                    self.rows.push(Row::new(effect));
                }
            }
        }
    }
}

/// A text field of a record; empty if there is none.
pub(crate) fn text_of<'a>(record: &'a Value, field: &str) -> &'a str {
    record[field].as_str().unwrap_or_default()
}

/// The number behind the first `#`; 0 if there is none.
pub(crate) fn number_in(text: &str) -> i64 {
    let behind = text.split_once('#').map_or("", |(_, behind)| behind);
    let digits: String = behind.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

/// What a lossy system keeps of a record.
pub(crate) fn lossy(record: &Value) -> Value {
    let mut kept = record.clone();
    for (field, value) in kept.as_object_mut().into_iter().flatten() {
        if field != "id"
            && let Some(text) = value.as_str()
        {
            *value = text
                .to_uppercase()
                .chars()
                .take(LOSSY_LENGTH)
                .collect::<String>()
                .into();
        }
    }
    kept
}

/// A time as the system writes it.
fn time(ms: u64) -> String {
    let time = i64::try_from(ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok());
    time.unwrap_or(Timestamp::MAX).to_string()
}
