//! The laws of the doorplate, tried on many random histories.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use super::histories::{
    Habit, arrivals, deltas, entries, gappy_walks, habits, merged, orders, said, shuffled, split, walks,
};
use super::status::fold;
use super::testing::{Desk, patch};
use super::{Dossier, Entry, Hlc, Origin, Stamp, Status};

proptest! {
    #[test]
    fn merging_is_commutative_associative_and_idempotent(a in deltas(), b in deltas(), c in deltas()) {
        let join = |one: &Dossier, two: &Dossier| merged(&[one.clone(), two.clone()]);
        prop_assert_eq!(join(&a, &b), join(&b, &a));
        prop_assert_eq!(join(&join(&a, &b), &c), join(&a, &join(&b, &c)));
        let mut twice = join(&a, &b);
        prop_assert!(!twice.merge(&b));
        prop_assert_eq!(twice, join(&a, &b));
    }

    #[test]
    fn any_order_duplication_and_split_gives_the_same_dossier(
        deltas in proptest::collection::vec(deltas(), 1..5),
        order in orders(24),
        doubles in orders(4),
    ) {
        let mut parts: Vec<_> = deltas.iter().flat_map(split).collect();
        for double in doubles {
            parts.push(parts[double.index(parts.len())].clone());
        }
        let (one, other) = (merged(&deltas), merged(&shuffled(&parts, &order)));
        prop_assert_eq!(one.view(), other.view());
        prop_assert_eq!(&one, &other);
        let stored: Dossier = serde_json::from_str(&serde_json::to_string(&one).unwrap()).unwrap();
        prop_assert_eq!(stored, one);
    }

    #[test]
    fn two_systems_that_write_different_registers_lose_nothing(
        one in habits(), two in habits(), changes in 1..6_usize, order in orders(12),
    ) {
        let mut deltas = Vec::new();
        for (system, register, habit) in [("one-stop", "summary", one), ("portal", "note", two)] {
            let mut desk = Desk::new(system);
            for change in 0..changes {
                let record = json!({ "at": habit.stated(change), register: change.to_string() });
                deltas.push(desk.tries(habit.real(change), &patch(record)).unwrap());
            }
        }
        let whole = merged(&shuffled(&deltas, &order));
        for register in ["summary", "note"] {
            prop_assert_eq!(&whole.registers[register].value, &json!((changes - 1).to_string()));
        }
    }

    #[test]
    fn one_systems_records_in_any_order_end_at_the_natively_newest(
        habit in habits(),
        values in proptest::collection::vec(0..3_u8, 1..8),
        order in orders(8),
        pushes in proptest::collection::vec(any::<bool>(), 8),
    ) {
        let mut desk = Desk::new("one-stop");
        for ((change, now), pushed) in arrivals(habit, values.len(), &order).into_iter().zip(pushes) {
            let value = values[change].to_string();
            let record = json!({ "at": habit.stated(change), "note": value, "fees": [{ "code": "LP", "name": value }] });
            desk.tries(now, &patch(record)).unwrap();
            if pushed {
                // it is given its own values back: that must not disturb their order
                desk.shadow.give(&desk.known.stamps());
            }
        }
        let newest = json!(values.last().unwrap().to_string());
        prop_assert_eq!(&desk.known.registers["note"].value, &newest);
        prop_assert_eq!(&desk.known.items["fees"]["LP#1"].value["name"], &newest);
    }

    /// The walk is legal and told whole: see the next law for walks that are not.
    #[test]
    fn one_systems_states_in_any_order_end_at_the_natively_newest(
        habit in habits(),
        walk in walks(),
        order in orders(24),
        as_history in any::<bool>(),
        pushes in proptest::collection::vec(any::<bool>(), 24),
    ) {
        let mut desk = Desk::new("one-stop");
        for ((change, now), pushed) in arrivals(habit, walk.len(), &order).into_iter().zip(pushes) {
            let entry = said(habit, &walk, change);
            let status = if as_history { json!([entry]) } else { entry };
            desk.tries(now, &patch(json!({ "status": status }))).unwrap();
            if pushed {
                desk.shadow.give(&desk.known.stamps());
            }
        }
        let newest = walk.last().unwrap().0;
        prop_assert_eq!(desk.known.status().unwrap().value.as_str(), newest.code());
    }

    /// Steps may be missing, so that others are not legal, and records may be read twice.
    #[test]
    fn one_systems_states_come_to_the_same_in_any_order(
        habit in habits(),
        walk in gappy_walks(),
        order in orders(24),
        doubles in orders(4),
    ) {
        let mut sorted = Desk::new("one-stop");
        for change in 0..walk.len() {
            let record = json!({ "status": said(habit, &walk, change) });
            sorted.tries(habit.real(change), &patch(record)).unwrap();
        }
        let mut desk = Desk::new("one-stop");
        let mut arrivals = arrivals(habit, walk.len(), &order);
        for (place, double) in doubles.into_iter().enumerate() {
            let (change, _) = arrivals[double.index(arrivals.len())];
            let now = habit.real(walk.len() + place) + SignedDuration::from_hours(24);
            arrivals.push((change, now));
        }
        for (change, now) in arrivals {
            desk.tries(now, &patch(json!({ "status": said(habit, &walk, change) }))).unwrap();
        }
        let moves = |desk: &Desk| {
            let log = &desk.known.logs["status"];
            fold(log).moved.into_iter().map(|id| log[id].value.clone()).collect::<Vec<_>>()
        };
        prop_assert_eq!(moves(&desk), moves(&sorted));
    }

    #[test]
    fn a_write_beats_what_its_author_had_been_given(
        habit in habits(), before in 0..3_usize, given in 0..600_i64, timed in any::<bool>(),
    ) {
        let mut desk = Desk::new("one-stop");
        for change in 0..before {
            let record = json!({ "at": habit.stated(change), "note": change.to_string() });
            desk.tries(habit.real(change), &patch(record)).unwrap();
        }
        let now = habit.real(before);
        let stamp = Stamp {
            effective: now - SignedDuration::from_mins(given),
            hlc: Hlc { wall_ms: u64::MAX, counter: 0 },
            source: "portal".to_owned(),
            hash: "f".to_owned(),
        };
        desk.shadow.give(&BTreeMap::from([("note".to_owned(), stamp.clone())]));
        let stated = timed.then(|| habit.stated(before));
        let delta = desk.tries(now, &patch(json!({ "at": stated, "note": "answer" }))).unwrap();
        prop_assert!(delta.registers["note"].stamp > stamp);
        prop_assert_eq!(&desk.known.registers["note"].value, &json!("answer"));
        prop_assert_eq!(delta.registers["note"].seen.clone(), Some(stamp.digest()));
    }

    #[test]
    fn a_final_dossier_is_not_reopened_by_a_stray_entry(
        walk in walks(), stray in select(&Status::ALL[..]), day_only in any::<bool>(),
    ) {
        let habit = Habit { skew: SignedDuration::ZERO, day_only };
        let mut walk = walk;
        match walk.last().unwrap().0 {
            Status::Completed => walk.push((Status::Returned, None)),
            last if !last.is_final() => walk.push((Status::Withdrawn, None)),
            _ => {}
        }
        let mut desk = Desk::new("one-stop");
        for change in 0..walk.len() {
            let record = json!({ "status": [said(habit, &walk, change)] });
            desk.tries(habit.real(change), &patch(record)).unwrap();
        }
        let last = walk.last().unwrap().0;
        let late = habit.real(walk.len());
        let mut other = Desk::new("sectoral");
        let entry = json!({ "value": stray.code(), "at": habit.stated(walk.len()) });
        desk.known.merge(&other.tries(late, &patch(json!({ "status": [entry] }))).unwrap());
        prop_assert_eq!(desk.known.status().unwrap().value.as_str(), last.code());
        let kept = desk.known.logs["status"].values().any(|entry| entry.system == "sectoral");
        prop_assert!(kept);
    }

    #[test]
    fn the_fold_does_not_depend_on_the_order_of_arrival(
        entries in proptest::collection::vec(entries(), 1..10), order in orders(10),
    ) {
        let log = |entries: &[Entry]| {
            let mut whole = Dossier::new(Origin::new("one-stop", "HS-1"));
            for entry in entries {
                let mut delta = Dossier::new(Origin::new("one-stop", "HS-1"));
                delta.logs.entry("status".to_owned()).or_default().insert(entry.identity(), entry.clone());
                whole.merge(&delta);
            }
            whole.logs.remove("status").unwrap()
        };
        let (one, other) = (log(&entries), log(&shuffled(&entries, &order)));
        let (one, other) = (fold(&one), fold(&other));
        prop_assert_eq!(&one.moved, &other.moved);
        prop_assert_eq!(one.current, other.current);
        prop_assert_eq!(one.moved.len() + one.repeated.len() + one.illegal.len(),
            other.moved.len() + other.repeated.len() + other.illegal.len());
    }

    #[test]
    fn a_walk_is_legal_whole_however_its_history_arrives(
        habit in habits(), walk in walks(), order in orders(24), chunk in 1..5_usize,
    ) {
        // the last change has happened before the first entry is seen: nothing is cut off
        let mut desk = Desk::new("one-stop");
        let now = habit.real(walk.len() + 1) + SignedDuration::from_hours(48);
        let order = shuffled(&(0..walk.len()).collect::<Vec<_>>(), &order);
        for changes in order.chunks(chunk) {
            let entries: Vec<_> = changes.iter().map(|&change| said(habit, &walk, change)).collect();
            desk.tries(now, &patch(json!({ "status": entries }))).unwrap();
        }
        let fold = fold(&desk.known.logs["status"]);
        prop_assert!(fold.illegal.is_empty());
        let mut steps = walk.iter().map(|(status, _)| status.code()).collect::<Vec<_>>();
        steps.dedup();
        prop_assert_eq!(fold.moved.len(), steps.len());
    }
}
