//! `[lookup.NAME]`: we ask a system about one dossier, and what its answer means is a fact about that dossier.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::call::{Call, Kind};
use super::push::hash;
use super::quota::{Quota, Spend};
use super::settings::Settings;
use super::wire::Wire;
use super::workshop::{Sight, Workshop};
use crate::dossier::Origin;
use crate::fault::Fault;
use crate::jq::{Error, Filter, Scope};
use crate::read::{Keys, Table};
use jiff::Timestamp;

/// A question about a dossier. It is asked once for each distinct question that the dossier gives rise to, or again and
/// again.
#[derive(Debug, Clone)]
pub struct Lookup {
    /// Its name among the operations, and that of its row in the ledger: `lookup.identity`. No push is called so.
    pub name: String,
    /// How it is asked.
    pub call: Call,
    /// From one answer to the next question of the same words; `None`: they are asked once.
    pub every: Option<Duration>,
    /// How long an answer serves for another dossier with the same question. It lies in memory only.
    pub remember: Option<Duration>,
    each: Option<Filter>,
    when: Option<Filter>,
    otherwise: Option<Filter>,
    meanwhile: Option<Filter>,
    asks: Filter,
    map: Filter,
    quotas: Vec<Quota>,
    settings: Settings,
}

/// What a dossier gives rise to.
#[derive(Clone, PartialEq)]
pub enum Inquiry {
    /// A question to the system.
    Ask(Question),
    /// A fact that needs no question: what the bus says instead.
    Say(Json),
    /// Neither.
    Nothing,
}

/// A question, as the calls see it. It holds personal data and is never stored; its hash is.
#[derive(Clone, PartialEq)]
pub struct Question {
    /// What is asked.
    pub asked: Json,
    /// SHA-256 of it, in hex.
    pub hash: String,
}

impl std::fmt::Debug for Inquiry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ask(_) => "Ask(..)",
            Self::Say(_) => "Say(..)",
            Self::Nothing => "Nothing",
        })
    }
}

/// What the mappings see beside what is theirs alone.
const SEEN: [&str; 2] = ["settings", "system"];

impl Lookup {
    pub(super) const KEYS: Keys = &[
        "method",
        "path",
        "url",
        "query",
        "headers",
        "body",
        "send",
        "receive",
        "answer",
        "files",
        "each",
        "when",
        "otherwise",
        "meanwhile",
        "asks",
        "map",
        "every",
        "remember",
        "quota",
    ];

    pub(super) fn read(
        name: &str,
        table: &Table<'_>,
        wire: &Arc<Wire>,
        workshop: &Workshop<'_>,
    ) -> Option<Self> {
        table.demand(&[
            (
                "asks",
                "jq from a dossier to the question, or the name of a filter",
            ),
            (
                "map",
                "jq from the answer to what it says of the dossier, or the name of a filter",
            ),
        ]);
        if table.has("otherwise") && !table.has("when") {
            let fault = table
                .fault_at("missing-key", "when")
                .expected("`when`, which says where `otherwise` holds");
            table.report(fault.remedy("add `when`, or remove `otherwise`"));
        }
        let mapping = |key: &str, variables: &[&str]| {
            let variables: Vec<_> = SEEN.iter().chain(variables).copied().collect();
            table
                .get(key)
                .and_then(|value| workshop.filter(&value, Sight::Mapping, &variables))
        };
        let (when, otherwise, meanwhile) = (
            mapping("when", &[]),
            mapping("otherwise", &[]),
            mapping("meanwhile", &[]),
        );
        let each = mapping("each", &[]);
        // A question about an item sees the dossier, too.
        let beside: &[&str] = if table.has("each") { &["dossier"] } else { &[] };
        let (asks, map) = (mapping("asks", beside), mapping("map", &["asked", "id"]));
        let period = |key| table.get(key).and_then(|value| value.period());
        let (every, remember) = (period("every"), period("remember"));
        let quotas = table
            .get("quota")
            .map(|value| Quota::read_all(&value, &wire.settings, workshop, &SEEN));
        let mut variables = vec!["settings", "system", "now", "id"];
        variables.extend(wire.login.then_some("token"));
        let kind = Kind {
            writes: false,
            idempotent: true,
            records: false,
            variables,
        };
        let call = Call::read(table, &kind, wire, workshop);
        Some(Self {
            name: format!("lookup.{name}"),
            call: call?.bringing_files(table),
            every,
            remember,
            each,
            when,
            otherwise,
            meanwhile,
            asks: asks?,
            map: map?,
            quotas: quotas.unwrap_or_default(),
            settings: wire.settings.clone(),
        })
    }

    /// Does it ask about items, a row each?
    #[must_use]
    pub fn is_by_item(&self) -> bool {
        self.each.is_some()
    }

    /// The items that it asks about, each with a text `.id`. Empty without `each`, and where `when` does not hold.
    ///
    /// # Errors
    /// The fault of the jq; `item-without-id`, `item-twice`.
    pub fn items(&self, dossier: &Json) -> Result<Vec<Json>, Fault> {
        let Some(each) = &self.each else {
            return Ok(Vec::new());
        };
        let scope = self.settings.mapping();
        if let Some(when) = &self.when
            && !when.holds(dossier, &scope).map_err(super::fault)?
        {
            return Ok(Vec::new());
        }
        let items = each.all(dossier, &scope).map_err(super::fault)?;
        super::push::judge_items(&items, &format!("{}.each", self.name))?;
        Ok(items)
    }

    /// The question about one of these items.
    ///
    /// # Errors
    /// The fault of the jq.
    pub fn inquiry_about(&self, item: &Json, dossier: &Json) -> Result<Question, Fault> {
        self.question(item, &self.settings.mapping().with("dossier", dossier))
    }

    fn question(&self, about: &Json, scope: &Scope) -> Result<Question, Fault> {
        let asked = self.asks.one(about, scope).map_err(super::fault)?;
        Ok(Question {
            hash: hash(&asked),
            asked,
        })
    }

    /// What is to be asked or said about the dossier, as the mappings see it; of a look-up that asks about items, see there.
    ///
    /// # Errors
    /// The fault of the jq.
    pub fn inquiry(&self, dossier: &Json) -> Result<Inquiry, Fault> {
        let scope = self.settings.mapping();
        if let Some(when) = &self.when
            && !when.holds(dossier, &scope).map_err(super::fault)?
        {
            let said = said(self.otherwise.as_ref(), dossier, &scope)?;
            return Ok(said.map_or(Inquiry::Nothing, Inquiry::Say));
        }
        self.question(dossier, &scope).map(Inquiry::Ask)
    }

    /// What is said of the dossier as long as nobody answers.
    ///
    /// # Errors
    /// The fault of the jq.
    pub fn meanwhile(&self, dossier: &Json) -> Result<Option<Json>, Fault> {
        said(self.meanwhile.as_ref(), dossier, &self.settings.mapping())
    }

    /// What an answer says of the dossier that was asked about; `None` where the mapping leaves it out on purpose. `id`: the
    /// question's number.
    ///
    /// # Errors
    /// The fault of the jq.
    pub fn fact(&self, answer: &Json, asked: &Json, id: &str) -> Result<Option<Json>, Fault> {
        let scope = self.settings.mapping().with("asked", asked).with("id", json!(id));
        match self.map.one(answer, &scope) {
            Ok(fact) => Ok(Some(fact)),
            Err(Error::Ignored(_)) => Ok(None),
            Err(Error::Fault(fault)) => Err(*fault),
        }
    }

    /// What asking this now would use up.
    ///
    /// # Errors
    /// The fault of the jq.
    pub fn spends(&self, asked: &Json, now: Timestamp) -> Result<Vec<Spend>, Fault> {
        let scope = self.settings.mapping();
        let spends = self.quotas.iter().zip(1..);
        spends
            .map(|(quota, place)| quota.spend(&format!("{}.{place}", self.name), asked, &scope, now))
            .collect()
    }

    /// Variables of its call, but `now` and `token`.
    #[must_use]
    pub fn scope(&self, id: &str) -> Scope {
        Call::blank_scope().with("id", json!(id))
    }

    pub(super) fn has_otherwise(&self) -> bool {
        self.otherwise.is_some()
    }

    pub(super) fn has_meanwhile(&self) -> bool {
        self.meanwhile.is_some()
    }
}

/// What a filter says of a dossier, if it says something.
fn said(filter: Option<&Filter>, dossier: &Json, scope: &Scope) -> Result<Option<Json>, Fault> {
    let Some(filter) = filter else { return Ok(None) };
    let said = filter.all(dossier, scope).map_err(super::fault)?;
    Ok(said.into_iter().next())
}

/// A fact about a dossier as a patch of it: it names the dossier, and an identity check the applicant whom it was made for.
#[must_use]
pub fn about(mut fact: Json, origin: &Origin, person: Option<&str>) -> Json {
    if let Some(check) = fact.get_mut("identity").and_then(Json::as_object_mut) {
        check.insert("person".to_owned(), Json::from(person));
    }
    if let Some(fact) = fact.as_object_mut() {
        fact.insert("dossier".to_owned(), Json::from(origin.native.as_str()));
    }
    fact
}
