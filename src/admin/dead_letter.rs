//! `dead-letter`: what cannot go on, why, and what a person decides about it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{AdminError, Limit, explain};
use crate::stage::Shared;
use crate::store::{
    Attempts, CREATE_OPEN, Come, DeadLetter, Decided, Decision, LettersOf, StoreError, Transaction, Verb,
    Walk,
};

/// Dead letters that are retried in one transaction, so that records that come in meanwhile do not wait for long.
const PAGE: u32 = 100;

/// Longest name of a person and longest reason, in bytes.
const LONGEST: usize = 500;

/// One dead letter with all that is kept of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Opened {
    /// The dead letter.
    #[serde(flatten)]
    pub letter: DeadLetter,
    /// The record as it came in, where it is a refused record. Holds personal data: for the one who mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
}

/// What a person decides about dead letters.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ruling {
    /// Their ids.
    pub ids: Vec<String>,
    /// Who decides.
    pub by: String,
    /// Why; mandatory for a discard.
    #[serde(default)]
    pub reason: Option<String>,
}

/// What became of a ruling for one of its letters.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ruled {
    /// Its id.
    pub id: String,
    /// What became of the ruling.
    pub outcome: Outcome,
    /// The same as a sentence.
    pub said: String,
}

/// What became of a ruling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It took effect.
    Done,
    /// Somebody had ruled so before; nothing was done.
    Already,
    /// It is no dead letter, or no longer; nothing was done.
    Gone,
    /// Nothing of this id was ever kept; nothing was done.
    Unknown,
}

/// Which dead letters are retried together.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sweep {
    /// The system that they came from or were to go to.
    pub system: String,
    /// Code of their cause; absent: whatever it is.
    #[serde(default)]
    pub cause: Option<String>,
    /// Who decides.
    pub by: String,
    /// Where the page before this one has ended.
    #[serde(default)]
    pub walk: Option<Walk>,
}

/// A page of a sweep.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Swept {
    /// How many dead letters are tried again now.
    pub retried: u64,
    /// Where the next page begins; absent: this was the last.
    pub walk: Option<Walk>,
}

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Query(limit): Query<Limit>,
) -> Result<Json<Vec<DeadLetter>>, AdminError> {
    let mut letters = shared.store.dead_letters(limit.limit).await?;
    for letter in &mut letters {
        letter.cause = letter.cause.for_log();
        letter.since = since(&shared, letter);
    }
    Ok(Json(letters))
}

pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<Opened>, AdminError> {
    if let Some((mut letter, raw)) = shared.store.dead_letter(&id).await? {
        letter.since = since(&shared, &letter);
        return Ok(Json(Opened { letter, raw }));
    }
    let fate = shared.store.fate(&id).await?;
    Err(AdminError::NotFound(explain::gone(&id, fate.as_ref())))
}

pub(super) async fn retry(
    State(shared): State<Arc<Shared>>,
    Json(ruling): Json<Ruling>,
) -> Result<Json<Vec<Ruled>>, AdminError> {
    rule(&shared, ruling, Verb::Retry).await
}

pub(super) async fn discard(
    State(shared): State<Arc<Shared>>,
    Json(ruling): Json<Ruling>,
) -> Result<Json<Vec<Ruled>>, AdminError> {
    if ruling.reason.is_none() {
        return Err(AdminError::Invalid(
            "to discard needs a reason: it is all that tells later why a record is not there".to_owned(),
        ));
    }
    rule(&shared, ruling, Verb::Discard).await
}

/// One page of the dead letters of a system; who asks goes on until there are no more.
pub(super) async fn sweep(
    State(shared): State<Arc<Shared>>,
    Json(sweep): Json<Sweep>,
) -> Result<Json<Swept>, AdminError> {
    one_line("the name of who decides", &sweep.by)?;
    let of = LettersOf {
        system: sweep.system,
        cause: sweep.cause,
    };
    let begun = sweep.walk.is_some();
    let walk = sweep.walk.unwrap_or_else(|| Walk::begin(shared.steady.now()));
    let (letters, next) = shared.store.letters(&of, &walk, PAGE).await?;
    if letters.is_empty() && !begun && shared.adapter(&of.system).is_none() {
        return Err(AdminError::NotFound(format!(
            "there is no dead letter of {:?}, and no adapter of this name is hosted here; `lienthong adapter list` shows \
             those that are",
            of.system
        )));
    }
    // Due later than anything that this sweep still meets: what fails anew meanwhile is left to the next one.
    let due = shared
        .steady
        .now()
        .max(walk.until + SignedDuration::from_millis(1));
    let decisions = decisions(&shared, &letters, &sweep.by, Verb::Retry, None);
    let decided = decide(&shared, &decisions, Verb::Retry, due).await?;
    if !decided.is_empty() {
        ring(&shared);
        tracing::info!(
            by = sweep.by,
            system = of.system,
            cause = of.cause,
            count = decided.len(),
            "dead letters retried"
        );
    }
    Ok(Json(Swept {
        retried: u64::try_from(decided.len()).unwrap_or(u64::MAX),
        walk: (letters.len() >= PAGE as usize).then_some(next),
    }))
}

async fn rule(shared: &Shared, ruling: Ruling, verb: Verb) -> Result<Json<Vec<Ruled>>, AdminError> {
    one_line("the name of who decides", &ruling.by)?;
    if let Some(reason) = &ruling.reason {
        one_line("the reason", reason)?;
    }
    let mut named = HashSet::new();
    let ids: Vec<String> = ruling
        .ids
        .into_iter()
        .filter(|id| named.insert(id.clone()))
        .collect();
    let decisions = decisions(shared, &ids, &ruling.by, verb, ruling.reason.as_deref());
    let decided = decide(shared, &decisions, verb, shared.steady.now()).await?;
    if !decided.is_empty() {
        ring(shared);
    }
    for decided in &decided {
        tracing::info!(
            by = ruling.by,
            letter = decided.letter,
            system = decided.system,
            dossier.id = decided.dossier.map(tracing::field::display),
            "dead letter {}",
            explain::past(verb)
        );
    }
    let decided: HashSet<&str> = decided.iter().map(|decided| decided.letter.as_str()).collect();
    let mut ruled = Vec::with_capacity(ids.len());
    for id in ids {
        ruled.push(if decided.contains(id.as_str()) {
            explain::done(&id, verb)
        } else {
            let fate = shared.store.fate(&id).await?;
            explain::idle(&id, verb, fate.as_ref())
        });
    }
    Ok(Json(ruled))
}

/// Writes decisions of one verb; those that took effect.
async fn decide(
    shared: &Shared,
    decisions: &[Decision],
    verb: Verb,
    now: Timestamp,
) -> Result<Vec<Decided>, StoreError> {
    let mut attempts = Attempts::default();
    loop {
        match try_to_decide(shared, decisions, verb, now).await {
            Err(error) if attempts.again(&error).await => {}
            done => return done,
        }
    }
}

async fn try_to_decide(
    shared: &Shared,
    decisions: &[Decision],
    verb: Verb,
    now: Timestamp,
) -> Result<Vec<Decided>, StoreError> {
    let mut transaction = shared.store.begin().await?;
    let decided = transaction.decide(decisions, &asked(shared), now).await?;
    if verb == Verb::Discard {
        forget_intents(shared, transaction.as_mut(), &decided).await?;
    }
    transaction.commit().await?;
    Ok(decided)
}

fn decisions(
    shared: &Shared,
    letters: &[String],
    by: &str,
    verb: Verb,
    reason: Option<&str>,
) -> Vec<Decision> {
    let at = shared.clock.now();
    letters
        .iter()
        .map(|letter| Decision {
            at,
            by: by.to_owned(),
            letter: letter.clone(),
            verb,
            reason: reason.map(str::to_owned),
        })
        .collect()
}

/// Pushes whose target can be asked what it has.
fn asked(shared: &Shared) -> Vec<(String, String)> {
    let pushes = shared.adapters.iter().flat_map(|adapter| {
        adapter
            .pushes
            .iter()
            .filter(|push| push.find.is_some())
            .map(|push| (adapter.name.clone(), push.name.clone()))
    });
    pushes.collect()
}

/// Whether the last call about a discarded delivery took effect nobody will ask any more: what the system reports of it
/// is no news, what it states later on is. Records of the system that wait for the end of a create wait no longer.
async fn forget_intents(
    shared: &Shared,
    transaction: &mut dyn Transaction,
    decided: &[Decided],
) -> Result<(), StoreError> {
    let intents: HashMap<_, Vec<&str>> = decided
        .iter()
        .filter_map(|decided| {
            let key = (decided.system.clone(), decided.dossier?);
            Some((key, decided.intent.as_deref()?))
        })
        .fold(HashMap::new(), |mut intents, (key, intent)| {
            intents.entry(key).or_default().push(intent);
            intents
        });
    let keys: Vec<_> = intents.keys().cloned().collect();
    let mut shadows = transaction.shadows(&keys).await?;
    for (key, shadow) in &mut shadows {
        for intent in intents.get(key).into_iter().flatten() {
            shadow.settle(intent, None, shared.hybrid.now());
        }
    }
    let shadows: Vec<_> = shadows
        .into_iter()
        .map(|((adapter, id), shadow)| (adapter, id, shadow))
        .collect();
    transaction.put_shadows(&shadows).await?;
    let systems: HashSet<&str> = decided.iter().map(|decided| decided.system.as_str()).collect();
    let come: Vec<Come> = systems
        .into_iter()
        .map(|system| Come {
            adapter: system.to_owned(),
            reason: CREATE_OPEN,
            code: None,
        })
        .collect();
    transaction.release_records(&come).await
}

fn ring(shared: &Shared) {
    shared.deliveries.ring();
    shared.records.ring();
}

/// What is stored, logged and shown to others is a line of printable text.
fn one_line(what: &str, text: &str) -> Result<(), AdminError> {
    if text.trim().is_empty() || text.len() > LONGEST || text.contains(char::is_control) {
        return Err(AdminError::Invalid(format!(
            "{what} must be one line of at most {LONGEST} bytes, and not empty"
        )));
    }
    Ok(())
}

/// Since when a letter is one, by the wall: the ledger's times are not.
fn since(shared: &Shared, letter: &DeadLetter) -> Timestamp {
    if letter.id.starts_with("delivery-") {
        shared.steady.on_the_wall(letter.since)
    } else {
        letter.since
    }
}
