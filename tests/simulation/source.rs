//! The source: the system in which the dossiers come into being. It tells of each version until it hears that the bus
//! has it.

use std::sync::{Arc, Mutex};

use lienthong::adapter::Adapter;
use lienthong::stage::ingest::{Door, Record, admit};
use lienthong::stage::{Progress, Shared, StageError};

use serde_json::{Value, json};

use crate::gates::Gates;
use crate::oracle::books::UNACCEPTABLE;
use crate::oracle::judge::Accepted;
use crate::oracle::mishap::Roll;
use crate::oracle::source;
use crate::target::locked;

/// A version of a dossier that the bus has not answered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) number: u32,
    pub(crate) version: i64,
    pub(crate) items: i64,
    /// No target will ever take it.
    pub(crate) bad: bool,
}

impl Notice {
    /// What is told.
    fn record(&self) -> Value {
        let mut record = source::record(self.number, self.version, self.items);
        if self.bad {
            record["text"] = json!(UNACCEPTABLE);
        }
        record
    }
}

/// The system.
pub(crate) struct Source {
    /// What was told last of each dossier, from number 1.
    told: Vec<Notice>,
    /// What is still to be told.
    open: Vec<Notice>,
    /// What the bus has answered for.
    pub(crate) accepted: Accepted,
    /// How often it has told something, and how often it was answered.
    pub(crate) tellings: u64,
    pub(crate) answers: u64,
    roll: Roll,
}

/// A source that several hold.
pub(crate) type SharedSource = Arc<Mutex<Source>>;

impl Source {
    pub(crate) fn new(roll: Roll) -> SharedSource {
        Arc::new(Mutex::new(Self {
            told: Vec::new(),
            open: Vec::new(),
            accepted: Accepted::default(),
            tellings: 0,
            answers: 0,
            roll,
        }))
    }

    /// A dossier begins; its number.
    pub(crate) fn begin(&mut self, items: i64) -> u32 {
        let number = u32::try_from(self.told.len()).unwrap_or(u32::MAX) + 1;
        let notice = Notice {
            number,
            version: 1,
            items,
            bad: false,
        };
        self.told.push(notice);
        self.open.push(notice);
        number
    }

    /// A dossier goes on, with so many new items; `bad`: in a version that no target will ever take.
    pub(crate) fn go_on(&mut self, number: u32, items: i64, bad: bool) -> Notice {
        let told = &mut self.told[number as usize - 1];
        told.version += 1;
        told.items += items;
        told.bad = bad;
        let notice = *told;
        self.open.push(notice);
        notice
    }

    pub(crate) fn has_news(&self) -> bool {
        !self.open.is_empty()
    }

    /// Some of what is to be told, in any order: connections overtake each other.
    fn some(&mut self) -> Vec<Notice> {
        let mut some = Vec::new();
        let count = self.roll.between(1, self.open.len().max(1) as u64);
        for _ in 0..count.min(self.open.len() as u64) {
            let last = self.open.len() as u64 - 1;
            let place = usize::try_from(self.roll.between(0, last)).unwrap_or(0);
            some.push(self.open[place]);
            // Kept until the answer is there: a notice that dies with the node is told again.
            self.open.swap_remove(place);
        }
        self.open.extend(&some);
        self.tellings += some.len() as u64;
        some
    }

    /// What the targets are to have of this version instead of what it said.
    pub(crate) fn expect(&mut self, number: u32, version: i64, text: &str) {
        let versions = self.accepted.records.get_mut(&source::key(number));
        if let Some(record) = versions.and_then(|versions| versions.get_mut(&version)) {
            record["text"] = json!(text);
        }
    }

    /// Keys of the dossiers whose newest version no target will ever take.
    pub(crate) fn bad(&self) -> Vec<String> {
        let bad = self.told.iter().filter(|notice| notice.bad);
        bad.map(|notice| source::key(notice.number)).collect()
    }

    fn heard(&mut self, notices: &[Notice]) {
        self.answers += notices.len() as u64;
        self.open.retain(|open| !notices.contains(open));
        for notice in notices {
            self.accepted.note(notice.number, notice.version, notice.items);
            if notice.bad {
                self.expect(
                    notice.number,
                    notice.version,
                    &format!("#{} {UNACCEPTABLE}", notice.version),
                );
            }
        }
    }
}

/// The source's line to a node: tells it of what is open, as the webhook does. The answer comes after the commit.
#[derive(Clone)]
pub(crate) struct Teller {
    pub(crate) source: SharedSource,
    pub(crate) shared: Arc<Shared>,
    pub(crate) adapter: Arc<Adapter>,
    pub(crate) gates: Arc<Gates>,
}

impl Teller {
    /// Whether there is something to tell and somebody who hears it: a node whose clock was set back takes nothing in.
    pub(crate) fn is_ready(&self) -> bool {
        locked(&self.source).has_news() && !self.shared.is_behind()
    }

    /// Tells of some of it.
    pub(crate) async fn step(&self) -> Result<Progress, StageError> {
        let notices = locked(&self.source).some();
        let records = notices.iter().map(|notice| {
            let value = notice.record();
            Record {
                adapter: Arc::clone(&self.adapter),
                door: Door::Webhook(0),
                raw: value.to_string(),
                value,
                observed: self.shared.hybrid.now(),
                asked: None,
                kept: None,
            }
        });
        admit(&self.shared, records.collect(), None).await?;
        locked(&self.source).heard(&notices);
        self.gates.note_change();
        Ok(Progress::Worked)
    }
}
