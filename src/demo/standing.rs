//! How far the demo has come, in one line.

use std::fmt;

use crate::store::Counts;

/// States of a delivery that is still on its way.
const ON_THE_WAY: [&str; 3] = ["due", "in_doubt", "backing_off"];

/// The states that are shown, and the words for them.
const SAID: [(&str, &str); 5] = [
    ("parked", "parked"),
    ("in_doubt", "in doubt"),
    ("backing_off", "backing off"),
    ("due", "due"),
    ("waiting", "waiting"),
];

/// Where everything stands at one moment.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Dossiers in the one-stop.
    pub recorded: usize,
    /// Dossiers at the portal.
    pub dossiers: usize,
    /// Progress entries at the portal.
    pub progress: usize,
    /// Acts of the officials: how many are done, of how many.
    pub acts: Option<(usize, usize)>,
    /// What the node has to do.
    pub counts: Counts,
}

impl Standing {
    /// Has the node nothing left that it could do now?
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.counts.outbox == 0 && self.on_the_way() == 0
    }

    /// Deliveries that are not done and not parked.
    #[must_use]
    pub fn on_the_way(&self) -> i64 {
        ON_THE_WAY.into_iter().map(|state| self.deliveries(state)).sum()
    }

    fn deliveries(&self, wanted: &str) -> i64 {
        let counts = self.counts.deliveries.iter();
        counts
            .filter(|(_, _, state, _)| state == wanted)
            .map(|(.., count)| count)
            .sum()
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "recorded {}", self.recorded)?;
        if let Some((done, all)) = self.acts {
            write!(f, " · acts {done}/{all}")?;
        }
        let (dossiers, progress) = (self.dossiers, self.progress);
        write!(f, " · at the portal {dossiers}, progress {progress}")?;
        let mut before = " · ";
        for (state, said) in SAID {
            let count = self.deliveries(state);
            if count > 0 {
                write!(f, "{before}{said} {count}")?;
                before = ", ";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(states: &[(&str, i64)]) -> Standing {
        let row = |(state, count): &(&str, i64)| {
            (
                "national-portal".to_owned(),
                "progress".to_owned(),
                (*state).to_owned(),
                *count,
            )
        };
        Standing {
            recorded: 60,
            dossiers: 58,
            progress: 120,
            acts: Some((100, 155)),
            counts: Counts {
                deliveries: states.iter().map(row).collect(),
                ..Counts::default()
            },
        }
    }

    #[test]
    fn what_is_not_there_is_not_said() {
        assert_eq!(
            standing(&[("applied", 9), ("in_doubt", 2), ("parked", 1), ("in_doubt", 1)]).to_string(),
            "recorded 60 · acts 100/155 · at the portal 58, progress 120 · parked 1, in doubt 3"
        );
        assert!(standing(&[]).to_string().ends_with("progress 120"));
    }

    #[test]
    fn node_is_idle_when_all_that_is_left_waits_for_others() {
        assert!(standing(&[("applied", 9), ("waiting", 2), ("parked", 1), ("skipped", 1)]).is_idle());
        for busy in ON_THE_WAY {
            assert!(!standing(&[(busy, 1)]).is_idle(), "{busy}");
        }
    }
}
