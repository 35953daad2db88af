//! What became of a ruling about a dead letter, as sentences for whoever asked.

use super::dead_letter::{Outcome, Ruled};
use crate::clock::local;
use crate::store::{Decision, Fate, InboxState, Now, State, Verb};

/// What was done, as a word.
pub(super) fn past(verb: Verb) -> &'static str {
    match verb {
        Verb::Retry => "retried",
        Verb::Discard => "discarded",
    }
}

/// A ruling that took effect.
pub(super) fn done(id: &str, verb: Verb) -> Ruled {
    let effect = match (verb, id.starts_with("inbox-")) {
        (Verb::Retry, true) => "the record is taken in anew",
        (Verb::Retry, false) => "the delivery is next in turn",
        (Verb::Discard, true) => "the same record is not listed again; a corrected one is taken",
        (Verb::Discard, false) => "it is not sent any more, newer versions neither",
    };
    Ruled {
        outcome: Outcome::Done,
        said: format!("{id}: {}; {effect}", past(verb)),
        id: id.to_owned(),
    }
}

/// A ruling that found nothing to decide.
pub(super) fn idle(id: &str, verb: Verb, fate: Option<&Fate>) -> Ruled {
    let (outcome, said) = match fate {
        None => (Outcome::Unknown, gone(id, None)),
        Some(fate) => match &fate.decision {
            Some(last) if last.verb == verb => (
                Outcome::Already,
                format!(
                    "{id}: already {}; nothing was done: {}",
                    decided(last),
                    stands(fate)
                ),
            ),
            _ => (Outcome::Gone, gone(id, Some(fate))),
        },
    };
    Ruled {
        id: id.to_owned(),
        outcome,
        said,
    }
}

/// Why there is no dead letter of this id.
pub(super) fn gone(id: &str, fate: Option<&Fate>) -> String {
    let Some(fate) = fate else {
        return format!("there is no dead letter {id:?}; `lienthong dead-letter list` shows those there are");
    };
    match &fate.decision {
        Some(last) => format!(
            "there is no dead letter {id} any more: it was {}; {}",
            decided(last),
            stands(fate)
        ),
        None => format!("{id} is no dead letter: {}", stands(fate)),
    }
}

/// `retried by lin, 2026-03-06 09:00:00`.
fn decided(decision: &Decision) -> String {
    let reason = decision
        .reason
        .as_ref()
        .map_or_else(String::new, |reason| format!(" ({reason})"));
    format!(
        "{} by {}, {}{reason}",
        past(decision.verb),
        decision.by,
        local(decision.at)
    )
}

/// Where it stands now.
fn stands(fate: &Fate) -> String {
    match &fate.now {
        Now::Record { again: true, .. } => "the record is about to be taken in anew".to_owned(),
        Now::Record { state, .. } => match state {
            InboxState::Mapped => "the record was taken".to_owned(),
            InboxState::Waiting(reason) => format!("the record waits ({reason})"),
            // the decision has said why
            InboxState::Ignored(_) if fate.decision.is_some() => "the record is closed".to_owned(),
            InboxState::Ignored(reason) => format!("the record is closed ({reason})"),
            InboxState::Refused(_) => "the record is refused".to_owned(),
        },
        Now::Delivery(row) => match &row.state {
            State::Applied => "the system has it".to_owned(),
            State::Due => "it is next in turn".to_owned(),
            State::Waiting { requirement, .. } => format!("it waits ({requirement})"),
            State::InDoubt { .. } => "a call may have taken effect, which is waited for".to_owned(),
            State::BackingOff { .. } => "the system did not take it yet, and is tried again".to_owned(),
            State::Parked { .. } => "it is parked".to_owned(),
            State::Skipped { reason } => format!("it is not sent ({reason})"),
            State::Discarded { .. } => "it is given up".to_owned(),
        },
    }
}
