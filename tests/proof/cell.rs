//! One cell of the matrix: where the daemon is struck and how, what kind of target it speaks to, what goes wrong there and
//! on the way.

use std::fmt;
use std::str::FromStr;

use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::oracle::asked::Class;
use crate::oracle::mishap::{Mishap, Mode};
use crate::proxy::{Moment, Way};

/// Of a hundred requests, so many meet the target's trouble.
const PERCENT: u8 = 50;

/// Where the daemon is struck. The fail points are lines in `src/stage`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Point {
    /// A record came, nothing is kept yet.
    IngestBeforeCommit,
    /// It is kept, its sender does not know.
    IngestCommitted,
    /// The broker has the event, and it is still in the outbox.
    PublishConfirmed,
    /// The event is merged, but not for good.
    SubscribeBeforeCommit,
    /// For good, but not acknowledged.
    SubscribeCommitted,
    /// K0.
    DeliverBeforeIntent,
    /// K1: nothing was sent yet.
    DeliverIntentCommitted,
    /// K2: half of the request was sent.
    MidRequest,
    /// K3: the target has committed, the answer is on its way.
    Answered,
    /// K4: the answer was read, the outcome is not committed.
    DeliverAnswered,
    /// K5, and K6 where the outcome made an event: it is not published yet.
    DeliverOutcomeCommitted,
}

impl Point {
    /// All of them.
    pub(crate) const ALL: [Self; 11] = [
        Self::IngestBeforeCommit,
        Self::IngestCommitted,
        Self::PublishConfirmed,
        Self::SubscribeBeforeCommit,
        Self::SubscribeCommitted,
        Self::DeliverBeforeIntent,
        Self::DeliverIntentCommitted,
        Self::MidRequest,
        Self::Answered,
        Self::DeliverAnswered,
        Self::DeliverOutcomeCommitted,
    ];

    /// Where the proxy strikes; `None`: the daemon itself does, at a fail point of this name.
    pub(crate) fn moment(self) -> Option<Moment> {
        match self {
            Self::MidRequest => Some(Moment::MidRequest),
            Self::Answered => Some(Moment::Answered),
            _ => None,
        }
    }
}

/// How the daemon is struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Blow {
    /// SIGKILL, and started again.
    Kill,
    /// SIGSTOP for longer than any settle time, then SIGCONT.
    Stop,
}

impl Blow {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Kill, Self::Stop];

    /// Its signal.
    pub(crate) fn signal(self) -> Signal {
        match self {
            Self::Kill => Signal::KILL,
            Self::Stop => Signal::STOP,
        }
    }
}

/// What goes wrong at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Trouble {
    Sound,
    CommitThenDrop,
    CommitThen500,
    LateCommit,
    ResetInBody,
    SearchLag,
    Lossy,
    Busy,
    Strict,
    Mixed,
}

impl Trouble {
    /// All of them.
    pub(crate) const ALL: [Self; 10] = [
        Self::Sound,
        Self::CommitThenDrop,
        Self::CommitThen500,
        Self::LateCommit,
        Self::ResetInBody,
        Self::SearchLag,
        Self::Lossy,
        Self::Busy,
        Self::Strict,
        Self::Mixed,
    ];

    /// The oracle's mode.
    pub(crate) fn mode(self) -> Mode {
        let only = |mishap| Mode::Only {
            mishap,
            percent: PERCENT,
        };
        match self {
            Self::Sound => Mode::Sound,
            Self::CommitThenDrop => only(Mishap::CommitThenDrop),
            Self::CommitThen500 => only(Mishap::CommitThen500),
            Self::LateCommit => only(Mishap::LateCommit),
            Self::ResetInBody => only(Mishap::ResetInBody),
            Self::SearchLag => only(Mishap::SearchLag),
            Self::Lossy => only(Mishap::Lossy),
            Self::Busy => Mode::Busy { percent: PERCENT },
            Self::Strict => Mode::Strict { percent: PERCENT },
            Self::Mixed => Mode::Mixed { percent: PERCENT },
        }
    }
}

/// One cell. Written and read as `POINT/CLASS/TROUBLE/BLOW/WAY/SEED`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) point: Point,
    pub(crate) class: Class,
    pub(crate) trouble: Trouble,
    pub(crate) blow: Blow,
    pub(crate) way: Way,
    pub(crate) seed: u64,
}

/// The word for a value of a closed list.
pub(crate) fn word(of: impl Serialize) -> String {
    match serde_json::to_value(of) {
        Ok(Value::String(word)) => word,
        other => panic!("a word, not {other:?}"),
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (point, class, trouble) = (word(self.point), word(self.class), word(self.trouble));
        let (blow, way) = (word(self.blow), word(self.way));
        write!(f, "{point}/{class}/{trouble}/{blow}/{way}/{}", self.seed)
    }
}

impl FromStr for Cell {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |what: String| format!("{text:?} is no POINT/CLASS/TROUBLE/BLOW/WAY/SEED: {what}");
        let parts: Vec<&str> = text.split('/').collect();
        let &[point, class, trouble, blow, way, seed] = parts.as_slice() else {
            return Err(wrong(format!("it has {} parts", parts.len())));
        };
        let read = |word: &str| Value::String(word.to_owned());
        let unknown = |error: serde_json::Error| wrong(error.to_string());
        Ok(Self {
            point: serde_json::from_value(read(point)).map_err(unknown)?,
            class: serde_json::from_value(read(class)).map_err(unknown)?,
            trouble: serde_json::from_value(read(trouble)).map_err(unknown)?,
            blow: serde_json::from_value(read(blow)).map_err(unknown)?,
            way: serde_json::from_value(read(way)).map_err(unknown)?,
            seed: seed
                .parse()
                .map_err(|_| wrong("the seed is no number".to_owned()))?,
        })
    }
}
