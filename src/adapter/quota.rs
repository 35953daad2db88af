//! `quota`: how many questions a system allows in a time.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value as Json;

use super::push::hash;
use super::settings::Settings;
use super::workshop::{Sight, Workshop};
use crate::fault::Fault;
use crate::jq::{Filter, Scope};
use crate::read::{Keys, Value};

/// So many in each window of time, perhaps for each of those whom the question names. Windows follow each other on the
/// clock and do not slide.
#[derive(Debug, Clone)]
pub(super) struct Quota {
    limit: u32,
    /// Length of the window in seconds.
    window: i64,
    per: Option<Filter>,
}

/// One use of a quota.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spend {
    /// Under which it is counted. Whom the quota is for stands there as a hash: it may be the number of a person.
    pub name: String,
    /// Most uses in the window.
    pub limit: u32,
    /// The window's end.
    pub until: Timestamp,
    /// It is the same for all questions: who finds it used up need not try another one before the window's end.
    pub for_all: bool,
}

pub(super) const KEYS: Keys = &["limit", "per"];

/// How a limit names the setting that has it.
const SETTING: &str = "$settings.";

/// The windows, with their seconds.
const WINDOWS: [(&str, i64); 4] = [("s", 1), ("min", 60), ("h", 3600), ("day", 24 * 3600)];

/// A day begins at midnight in Viet Nam, which is seven hours ahead of UTC all year.
const AHEAD: SignedDuration = SignedDuration::from_hours(7);

impl Quota {
    /// Reads the list. A limit that every site has its own of stands among the settings. `variables`: what `per` sees,
    /// beside the question as its input.
    pub(super) fn read_all(
        value: &Value<'_>,
        settings: &Settings,
        workshop: &Workshop<'_>,
        variables: &[&str],
    ) -> Vec<Self> {
        let members = value.list().unwrap_or_default();
        let quotas = members.iter().filter_map(|member| {
            let table = member.table(KEYS)?;
            table.demand(&[("limit", "how many in which time, as in \"300/day\"")]);
            let per = table
                .get("per")
                .and_then(|per| workshop.filter(&per, Sight::Mapping, variables));
            let limit = table.get("limit")?;
            let written = limit.text()?;
            let stated = match written.strip_prefix(SETTING) {
                Some(name) => settings.text(name),
                None => Some(written),
            };
            let parsed = stated.and_then(parse);
            if parsed.is_none() {
                let name = written.strip_prefix(SETTING).unwrap_or_default();
                let fault = settings
                    .fault_of_site(name, "bad-quota")
                    .unwrap_or_else(|| limit.fault("bad-quota"));
                let fault = fault.found(format!("{:?}", stated.unwrap_or(written)));
                limit.report(
                    fault
                        .expected(
                            "a number above 0 and a time (s, min, h, day), as in \"5/s\" or \"300/day\", or a setting that has one",
                        )
                        .remedy("write how many questions the system allows in which time"),
                );
            }
            let (limit, window) = parsed?;
            Some(Self { limit, window, per })
        });
        quotas.collect()
    }

    /// One use of it at `now` by this question.
    pub(super) fn spend(
        &self,
        name: &str,
        asked: &Json,
        scope: &Scope,
        now: Timestamp,
    ) -> Result<Spend, Fault> {
        // A limit whose time a site has changed begins to count anew.
        let name = format!("{name}/{}", self.window);
        let name = match &self.per {
            None => name,
            Some(per) => format!("{name}.{}", hash(&per.one(asked, scope).map_err(super::fault)?)),
        };
        let local = now.as_second().saturating_add(AHEAD.as_secs());
        let end = local.saturating_add(self.window - local.rem_euclid(self.window)) - AHEAD.as_secs();
        Ok(Spend {
            name,
            limit: self.limit,
            until: Timestamp::from_second(end).unwrap_or(Timestamp::MAX),
            for_all: self.per.is_none(),
        })
    }
}

fn parse(text: &str) -> Option<(u32, i64)> {
    let (number, time) = text.split_once('/')?;
    let (_, window) = WINDOWS.into_iter().find(|(name, _)| *name == time.trim())?;
    let number = number.trim().parse().ok().filter(|number| *number > 0)?;
    Some((number, window))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_a_number_and_a_time() {
        let rows = [
            ("5/s", Some((5, 1))),
            ("60/min", Some((60, 60))),
            ("1 / h", Some((1, 3600))),
            ("300/day", Some((300, 86400))),
            ("0/s", None),
            ("-1/s", None),
            ("5", None),
            ("5/d", None),
            ("/s", None),
            ("5/s/s", None),
        ];
        for (text, expected) in rows {
            assert_eq!(parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn days_end_at_midnight_in_viet_nam() {
        let until = |window: i64, now: &str| {
            let quota = Quota {
                limit: 1,
                window,
                per: None,
            };
            let spend = quota.spend("q", &Json::Null, &Scope::new(), now.parse().unwrap());
            spend.unwrap().until.to_string()
        };
        assert_eq!(until(86400, "2026-03-04T16:59:59Z"), "2026-03-04T17:00:00Z");
        assert_eq!(until(86400, "2026-03-04T17:00:00Z"), "2026-03-05T17:00:00Z");
        assert_eq!(until(1, "2026-03-04T16:59:59.4Z"), "2026-03-04T17:00:00Z");
        assert_eq!(until(60, "1969-12-31T23:59:30Z"), "1970-01-01T00:00:00Z");
    }
}
