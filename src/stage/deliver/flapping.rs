//! Two systems that undo each other's changes: the same few records go to a target again and again. The last resort
//! behind the shadows, so that a pair of mappings that disagree on a value ends as one dead letter and not as a storm.

use jiff::{SignedDuration, Timestamp};

use crate::fault::Fault;
use crate::store::Sent;

/// How many records are remembered.
const REMEMBERED: usize = 12;

/// How often within [`SPAN`] a record may go out again after others were sent.
const RETURNS: usize = 4;

/// The time that counts. Who corrects a record by hand does not do so every few minutes.
const SPAN: SignedDuration = SignedDuration::from_hours(1);

/// Notes that a record was sent.
pub(super) fn note(recent: &mut Vec<Sent>, hash: &str, at: Timestamp) {
    recent.push(Sent {
        hash: hash.to_owned(),
        at,
    });
    let excess = recent.len().saturating_sub(REMEMBERED);
    recent.drain(..excess);
}

/// The cause to park for, if sending this record now would be one return too many.
pub(super) fn cause(recent: &[Sent], hash: &str, now: Timestamp) -> Option<Fault> {
    let returns = recent
        .iter()
        .filter(|sent| sent.hash == hash && now.duration_since(sent.at) < SPAN)
        .count();
    (returns >= RETURNS).then(|| {
        Fault::new("flapping")
            .found(format!("the same record for the {}th time within an hour", returns + 1))
            .expected("that a change stays until somebody changes it again")
            .remedy(
                "see `dossier history` for the systems that write the same register; give it to one of them in `owns`, or \
                 correct the mapping of the one that alters it; then retry the delivery",
            )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_that_return_again_and_again_are_flapping_and_slow_corrections_are_not() {
        let start: Timestamp = "2026-03-05T02:00:00Z".parse().unwrap();
        for (minutes, flapping) in [(1, true), (40, false)] {
            let (mut recent, mut now, mut parked) = (Vec::new(), start, false);
            for turn in 0..20 {
                let hash = if turn % 2 == 0 { "a" } else { "b" };
                parked |= cause(&recent, hash, now).is_some();
                note(&mut recent, hash, now);
                now += SignedDuration::from_mins(minutes);
            }
            assert_eq!(parked, flapping, "every {minutes} minutes");
        }
    }

    #[test]
    fn ever_new_records_are_no_flapping() {
        let now: Timestamp = "2026-03-05T02:00:00Z".parse().unwrap();
        let mut recent = Vec::new();
        for version in 0..50 {
            assert_eq!(cause(&recent, &version.to_string(), now), None);
            note(&mut recent, &version.to_string(), now);
        }
    }
}
