//! The text of `dossier history`.

use std::collections::BTreeMap;

use super::dossier::{state, status};
use super::output::table;
use crate::admin::history::{Happening, Merged, RecordFate, Standing, Story, What};
use crate::clock::local;
use crate::dossier::history::{Conflict, Fate, Side, Standing as EntryStanding, Told};
use crate::store::Verb;

pub(super) fn text(story: &Story) -> String {
    let mut parts = vec![format!(
        "dossier    {}\norigin     {} {}\nstatus     {}",
        story.code.as_deref().unwrap_or("no official code yet"),
        story.origin.system,
        story.origin.native,
        status(story.status.as_deref(), story.overtaken.as_ref())
    )];
    let happenings: Vec<String> = story.happenings.iter().map(happening).collect();
    parts.push(happenings.join("\n"));
    if !story.conflicts.is_empty() {
        let conflicts: Vec<String> = story.conflicts.iter().map(conflict).collect();
        parts.push(format!("conflicts\n{}", conflicts.join("\n")));
    }
    if !story.deliveries.is_empty() {
        parts.push(table(
            ["SYSTEM", "DELIVERY", "STATE", "CALLS", "SINCE", "LAST APPLIED"],
            story.deliveries.iter().map(delivery),
        ));
    }
    parts.join("\n\n")
}

fn happening(happening: &Happening) -> String {
    let what = match &happening.what {
        What::Record(record) => {
            let fate = match &record.fate {
                RecordFate::Refused { cause } => format!("refused: {cause}"),
                RecordFate::Waiting { reason } => format!("waits: {reason}"),
                RecordFate::Closed { reason } => format!("was refused; closed: {reason}"),
            };
            format!(
                "record {} from {} ({}) {fate}",
                record.id, record.system, record.operation
            )
        }
        What::Event(event) => merged(event),
        What::Joined { id } => format!("joined with the dossier {id}: they are one"),
        What::Applied { system, delivery } => format!("{system} brought up to date ({delivery})"),
        What::Decision {
            by,
            verb,
            letter,
            reason,
        } => {
            let verb = match verb {
                Verb::Retry => "retried",
                Verb::Discard => "discarded",
            };
            let reason = reason
                .as_ref()
                .map_or_else(String::new, |reason| format!(": {reason}"));
            format!("{by} {verb} {letter}{reason}")
        }
    };
    format!("{}  {what}", local(happening.at))
}

/// An event in one line, and one more for each thing that it wrote and that needs a word.
fn merged(event: &Merged) -> String {
    let kind = event
        .kind
        .strip_prefix("vn.lienthong.dossier.")
        .unwrap_or(&event.kind);
    let from = match (&event.operation, &event.mapping) {
        (Some(operation), Some(mapping)) => format!(", {operation}, mapping {mapping}"),
        _ => String::new(),
    };
    let under = event
        .under
        .map_or_else(String::new, |id| format!(", under the id {id}"));
    let mut lines = vec![format!(
        "event {} from {} ({kind}{from}{under})",
        event.seq, event.system
    )];
    let mut by_fate: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for write in &event.part.writes {
        by_fate.entry(fate(write.fate)).or_default().push(&write.path);
    }
    lines.extend(
        by_fate
            .iter()
            .map(|(fate, paths)| format!("wrote {}: {fate}", paths.join(", "))),
    );
    let (status, other): (Vec<&Told>, Vec<&Told>) =
        event.part.entries.iter().partition(|told| told.log == "status");
    lines.extend(status.into_iter().map(entry));
    let mut by_log: BTreeMap<&str, usize> = BTreeMap::new();
    for told in other {
        *by_log.entry(&told.log).or_default() += 1;
    }
    lines.extend(
        by_log
            .iter()
            .map(|(log, count)| format!("{log}: {count} entries")),
    );
    lines.extend(
        event
            .part
            .links
            .iter()
            .map(|link| format!("{} knows it as {}", link.system, link.code)),
    );
    lines.join("\n                       ")
}

fn fate(fate: Fate) -> String {
    match fate {
        Fate::Holds => "holds".to_owned(),
        Fate::Replaced { by } => format!("replaced by event {by}"),
        Fate::Lost { to } => format!("lost to the greater stamp of event {to}"),
        Fate::Known { from } => format!("known from event {from}"),
    }
}

fn entry(told: &Told) -> String {
    let at = told.at.map_or_else(String::new, |at| format!(" ({at})"));
    let standing = match &told.standing {
        EntryStanding::Moves | EntryStanding::Kept => String::new(),
        EntryStanding::Repeats => ", as before".to_owned(),
        EntryStanding::Overtaken { after } => format!(
            ", overtaken: not legal after {}, moves nothing",
            after.as_deref().unwrap_or("nothing")
        ),
    };
    format!("status {}{at}{standing}", told.value)
}

fn conflict(conflict: &Conflict) -> String {
    let side = |side: &Side| format!("{} (event {})", side.system, side.event);
    let (lesser, greater) = (&conflict.lesser, &conflict.greater);
    let holds = match [lesser, greater].into_iter().find(|side| side.holds) {
        Some(side) => format!("that of {} holds", side.system),
        None => "a later write holds".to_owned(),
    };
    format!(
        "{}: {} and {} did not know of each other; {holds}",
        conflict.path,
        side(lesser),
        side(greater)
    )
}

fn delivery(standing: &Standing) -> [String; 6] {
    let calls = if standing.failures == 0 {
        standing.attempts.to_string()
    } else {
        format!("{}, the last {} failed", standing.attempts, standing.failures)
    };
    let letter = standing
        .letter
        .as_ref()
        .map_or_else(String::new, |letter| format!(" ({letter})"));
    [
        standing.system.clone(),
        standing.delivery.clone(),
        format!("{}{letter}", state(&standing.state)),
        calls,
        local(standing.since),
        standing.applied.map_or_else(|| "-".to_owned(), local),
    ]
}
