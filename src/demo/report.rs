//! What the demo says at the end, for people and as one JSON object.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::doubt::{self, Doubt};
use super::input::Input;
use super::judge::{self, Avoided, Beside, Difference, Verdict};
use super::province::{JUDICIAL_RECORDS, LICENCES};
use super::world::{FILES, World};
use crate::fault::Fault;
use crate::sandbox::FaultKind;
use crate::store::{DeadLetter, Store, StoreError};

/// Faults after which the caller cannot know whether what it sent was stored.
const UNCLEAR: [FaultKind; 4] = [
    FaultKind::LateAnswer,
    FaultKind::LateCommit,
    FaultKind::Cut,
    FaultKind::CutAfterCommit,
];

/// At most so many dead letters are looked at; a demo with more has failed anyway.
const LETTERS: u32 = 100_000;

/// The demo's result.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Dossiers that were fed.
    pub dossiers: usize,
    /// Each system.
    pub systems: Vec<System>,
    /// How the checks of applicants came out, and how often.
    pub identity: BTreeMap<String, usize>,
    /// What no clerk typed or picked from a list, by system: records and the filled fields of that system's form.
    pub avoided: BTreeMap<String, Avoided>,
    /// From the answer to the webhook to the target's commit of a new record.
    pub latency_ms: Latency,
    /// Name and version of the broker.
    pub broker: String,
    /// Name and version of the store.
    pub store: String,
    /// What was suffered, if the demo was on trial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub faults: Option<Suffered>,
    /// What the judge found, one line each: codes of dossiers and names of fields.
    pub findings: Vec<String>,
    /// Deliveries that cannot go on and should.
    #[serde(skip)]
    stuck: usize,
}

/// One system's count.
#[derive(Debug, Clone, Serialize)]
pub struct System {
    /// Its name.
    pub name: String,
    /// Dossiers that should be there.
    pub expected: usize,
    /// Of those, how many are.
    pub present: usize,
    /// Of those, how many are not.
    pub missing: usize,
    /// Records more than one of a kind.
    pub duplicates: usize,
    /// Dossiers that say something else than they should, or should not be there.
    pub different: usize,
    /// Dossiers, and single steps of dossiers that are due, whose input deserves a refusal.
    pub refused: usize,
    /// Deliveries that cannot go on, by cause.
    pub parked: BTreeMap<String, usize>,
}

/// Latencies in milliseconds; absent where nothing was measured.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Latency {
    /// Half of the records were faster.
    pub p50: Option<i64>,
    /// Ninety-nine in a hundred were faster.
    pub p99: Option<i64>,
}

/// What the trial by faults came to.
#[derive(Debug, Clone, Serialize)]
pub struct Suffered {
    /// Gives the same faults again, as far as requests come in the same order.
    pub seed: u64,
    /// How often each fault took effect, by system.
    pub bitten: BTreeMap<String, BTreeMap<FaultKind, u64>>,
    /// Progress entries of which a person has to say whether the portal has them.
    pub in_doubt: Vec<Doubt>,
    /// Codes of dossiers of which a person has to say whether the judicial records system has their declaration.
    pub lost_declarations: Vec<String>,
    /// Deliveries that were still on their way when the patience was at its end.
    pub on_the_way: i64,
}

impl Report {
    /// Looks at the world and judges it, as often as one likes. `unrecorded`: rows that the one-stop itself could not
    /// take.
    ///
    /// # Errors
    /// The node's store cannot be read.
    pub async fn of(world: &World, input: &Input, unrecorded: &[Fault]) -> Result<Self, StoreError> {
        let held = world.one_stop().rows("HoSo");
        let (dossiers, progress) = (world.portal().rows("HoSo"), world.portal().rows("TienDo"));
        let register = world.population().rows("CongDan");
        let desk = world.licences().rows("HoSo");
        let beside = Beside {
            register: &register,
            licences: &desk,
        };
        let mut portal = judge::judge(&held, FILES, &beside, &dossiers, &progress);
        let licences = judge::judge_licences(&desk, &world.licences().rows("TinhTrang"), &held);
        let one_stop = judge::judge_one_stop(&input.dossiers, &held);
        let store = &world.node().shared().store;
        let letters = store.dead_letters(LETTERS).await?;
        let mut suffered = match world.trial().seed() {
            None => None,
            Some(seed) => Some(Suffered {
                seed,
                bitten: world.trial().bitten(),
                in_doubt: doubt::collect(store.as_ref(), &letters, &mut portal).await?,
                lost_declarations: Vec::new(),
                on_the_way: world.standing().await?.on_the_way(),
            }),
        };

        let mut findings: Vec<String> = unrecorded
            .iter()
            .map(|fault| format!("one-stop: not recordable: {fault}"))
            .collect();
        let declarations = world.judicial_records().rows("ToKhai");
        let lost: Vec<&str> = letters
            .iter()
            .filter(|letter| suffered.is_some() && is_lost_declaration(letter))
            .filter_map(|letter| letter.dossier.as_deref())
            .collect();
        let (judicial, for_a_person) = judge::judge_declarations(&held, &declarations, &lost);
        let rightly = |letter: &DeadLetter| {
            letter.system == JUDICIAL_RECORDS
                && for_a_person
                    .iter()
                    .any(|(code, cause)| letter.dossier.as_ref() == Some(code) && letter.cause.code == *cause)
        };
        if let Some(suffered) = &mut suffered {
            // What waits for a person with or without faults is no declaration that a fault has lost.
            let lost = letters
                .iter()
                .filter(|letter| is_lost_declaration(letter) && !rightly(letter));
            suffered.lost_declarations = lost.filter_map(|letter| letter.dossier.clone()).collect();
        }
        let allowed = |letter: &DeadLetter| {
            (suffered.is_some() && (doubt::is_doubt(letter) || is_lost_declaration(letter)))
                || rightly(letter)
        };
        let stuck = |letter: &&DeadLetter| letter.id.starts_with("delivery-") && !allowed(letter);
        let stuck = letters.iter().filter(stuck).count();
        findings.extend(letters.iter().filter(|letter| !allowed(letter)).map(|letter| {
            let dossier = letter
                .dossier
                .as_deref()
                .unwrap_or("a record without a readable code");
            format!(
                "{} {}: {dossier}: {}",
                letter.system, letter.operation, letter.cause
            )
        }));
        let deserved: usize = portal.refused.values().sum();
        let told = world.one_stop().rows("XacThuc");
        let (checks, identity) = checks(store.as_ref(), &held, &register, &told).await?;
        let systems = vec![
            // A row that the one-stop cannot even hold is missing there by its own fault, not by ours.
            system("one-stop", &one_stop, unrecorded.len(), &letters, &mut findings),
            system("population", &checks, 0, &letters, &mut findings),
            system(LICENCES, &licences, 0, &letters, &mut findings),
            system(
                JUDICIAL_RECORDS,
                &judicial,
                for_a_person.len(),
                &letters,
                &mut findings,
            ),
            system("national-portal", &portal, deserved, &letters, &mut findings),
        ];
        findings.extend(suffered.iter().flat_map(Suffered::findings));
        Ok(Self {
            dossiers: input.dossiers.len(),
            systems,
            identity,
            avoided: [
                (
                    "national-portal",
                    judge::avoided(judge::PORTAL_DOSSIER, &dossiers)
                        + judge::avoided(judge::PORTAL_PROGRESS, &progress),
                ),
                (
                    JUDICIAL_RECORDS,
                    judge::avoided(judge::DECLARATION, &declarations),
                ),
                (
                    "one-stop",
                    judge::avoided(
                        judge::ONE_STOP_DOSSIER,
                        held.iter().filter(|row| row["MaHoSoNguon"].is_string()),
                    ),
                ),
            ]
            .map(|(system, avoided)| (system.to_owned(), avoided))
            .into(),
            latency_ms: latency(world, &held, &dossiers),
            broker: world.node().shared().broker.version().to_owned(),
            store: store.version().to_owned(),
            faults: suffered,
            findings,
            stuck,
        })
    }

    /// Is everything where it should be, once, and nothing stuck?
    ///
    /// What rightly waits for a person does not spoil it. On trial that may be progress entries and declarations in doubt,
    /// each of them named, and of declarations no more than calls ended unclear there; and every fault must have bitten.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let systems = &self.systems;
        let true_everywhere = systems
            .iter()
            .all(|system| system.missing == 0 && system.duplicates == 0 && system.different == 0);
        let suffered = self
            .faults
            .as_ref()
            .is_none_or(|faults| faults.findings().next().is_none());
        true_everywhere && self.stuck == 0 && suffered
    }
}

/// Is it about a declaration of which nobody knows whether it was taken? Its system can neither be asked nor told again.
fn is_lost_declaration(letter: &DeadLetter) -> bool {
    letter.system == JUDICIAL_RECORDS
        && letter.operation == "push.dossier"
        && matches!(letter.cause.code.as_str(), "in-doubt-no-find" | "key-taken")
}

/// The checks of the applicants: whether each came out as it must and was told (`told`) to the officers, and how often it came
/// out how.
async fn checks(
    store: &dyn Store,
    held: &[Value],
    register: &[Value],
    told: &[Value],
) -> Result<(Verdict, BTreeMap<String, usize>), StoreError> {
    let (mut verdict, mut outcomes) = (Verdict::default(), BTreeMap::new());
    for row in held {
        let code = row["MaHoSo"].as_str().unwrap_or_default();
        // What the bus could not take is told elsewhere.
        let Some(replica) = store.find_replica(code).await? else {
            continue;
        };
        verdict.expected += 1;
        let found = &replica.dossier.view()["identity"];
        let Some(outcome) = found["outcome"].as_str() else {
            verdict.missing.push(code.to_owned());
            continue;
        };
        verdict.present += 1;
        *outcomes.entry(outcome.to_owned()).or_default() += 1;
        let (expected, fields) = judge::identity(row, register);
        let named = found["fields"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        let mut differ = |field: &str| {
            verdict.different.push(Difference {
                code: code.to_owned(),
                field: field.to_owned(),
            });
        };
        if outcome != expected || !named.eq(fields.iter().copied()) {
            differ("identity");
        }
        let told = told.iter().find(|told| told["MaHoSo"] == code);
        if told != Some(&judge::told_of_check(code, expected, &fields, told)) {
            differ("KetQuaXacThuc");
        }
    }
    Ok((verdict, outcomes))
}

impl Suffered {
    /// How many calls at this system ended so that nobody knows what became of them.
    fn unclear_calls(&self, system: &str) -> u64 {
        let kinds = self.bitten.get(system).into_iter().flatten();
        kinds
            .filter(|(kind, _)| UNCLEAR.contains(kind))
            .map(|(_, times)| times)
            .sum()
    }

    /// Why the trial proves nothing, or has not come to its end.
    fn findings(&self) -> impl Iterator<Item = String> {
        let toothless = self.bitten.iter().flat_map(|(system, kinds)| {
            let never = kinds.iter().filter(|(_, times)| **times == 0);
            never.map(move |(kind, _)| {
                format!(
                    "{system}: void: it never {}; a longer run proves more",
                    kind.title()
                )
            })
        });
        let late = (self.on_the_way > 0).then(|| {
            let count = self.on_the_way;
            format!("national-portal: {count} deliveries were still on their way at the end")
        });
        let unclear = self.unclear_calls(JUDICIAL_RECORDS);
        let lost = self.lost_declarations.len();
        let unexplained = (u64::try_from(lost).unwrap_or(u64::MAX) > unclear).then(|| {
            format!(
                "{JUDICIAL_RECORDS}: {lost} declarations are in doubt, and {unclear} calls ended unclear there: {}",
                self.lost_declarations.join(", ")
            )
        });
        toothless.chain(late).chain(unexplained)
    }
}

fn system(
    name: &str,
    verdict: &Verdict,
    refused: usize,
    letters: &[DeadLetter],
    findings: &mut Vec<String>,
) -> System {
    findings.extend(
        verdict
            .missing
            .iter()
            .map(|code| format!("{name}: {code}: missing")),
    );
    findings.extend(
        verdict
            .duplicates
            .iter()
            .map(|double| format!("{name}: {}: {} doubled", double.code, double.record)),
    );
    findings.extend(
        verdict
            .different
            .iter()
            .map(|other| format!("{name}: {}: {} differs", other.code, other.field)),
    );
    findings.extend(
        verdict
            .unexpected
            .iter()
            .map(|code| format!("{name}: {code}: should not be there")),
    );
    findings.extend(
        verdict
            .refused
            .iter()
            .map(|(cause, count)| format!("{name}: {count} refused: {cause}")),
    );
    let mut different: Vec<&str> = verdict
        .different
        .iter()
        .map(|other| other.code.as_str())
        .collect();
    different.extend(verdict.unexpected.iter().map(String::as_str));
    different.sort_unstable();
    different.dedup();
    let mut parked: BTreeMap<String, usize> = BTreeMap::new();
    for letter in letters
        .iter()
        .filter(|letter| letter.system == name && letter.id.starts_with("delivery-"))
    {
        *parked.entry(letter.cause.code.clone()).or_default() += 1;
    }
    System {
        name: name.to_owned(),
        expected: verdict.expected,
        present: verdict.present,
        missing: verdict.missing.len(),
        duplicates: verdict.duplicates.len(),
        different: different.len(),
        refused,
        parked,
    }
}

/// For each dossier whose record the bus took by webhook: until the portal had it.
fn latency(world: &World, held: &[Value], dossiers: &[Value]) -> Latency {
    let mut millis: Vec<i64> = held
        .iter()
        .filter_map(|row| {
            let code = row["MaHoSo"].as_str()?;
            let key = row["MaHoSoKhac"]
                .as_str()
                .filter(|other| !other.is_empty())
                .unwrap_or(code);
            dossiers.iter().find(|dossier| dossier["MaHoSo"] == key)?;
            let accepted = world.one_stop().accepted_at(code)?;
            let committed = world.portal().committed_at("HoSo", key)?;
            let latency = committed.duration_since(accepted);
            // Fetched by the pull long before the webhook first spoke of it: not a latency of the webhook.
            (!latency.is_negative()).then(|| i64::try_from(latency.as_millis()).unwrap_or(i64::MAX))
        })
        .collect();
    millis.sort_unstable();
    let at = |percent: usize| {
        millis
            .get((millis.len().saturating_sub(1)) * percent / 100)
            .copied()
    };
    Latency {
        p50: at(50),
        p99: at(99),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_declarations_in_doubt_than_calls_that_ended_unclear_spoil_the_verdict() {
        let bitten = [
            (FaultKind::LateAnswer, 1),
            (FaultKind::CutAfterCommit, 1),
            (FaultKind::Busy, 7),
            (FaultKind::Failed, 7),
        ];
        let report = |lost: usize| {
            let suffered = Suffered {
                seed: 1,
                bitten: [
                    (JUDICIAL_RECORDS.to_owned(), bitten.into()),
                    ("national-portal".to_owned(), [(FaultKind::Cut, 9)].into()),
                ]
                .into(),
                in_doubt: Vec::new(),
                lost_declarations: (0..lost)
                    .map(|number| format!("H56.14-260603-000{number}"))
                    .collect(),
                on_the_way: 0,
            };
            Report {
                dossiers: 0,
                systems: Vec::new(),
                identity: BTreeMap::new(),
                avoided: BTreeMap::new(),
                latency_ms: Latency { p50: None, p99: None },
                broker: String::new(),
                store: String::new(),
                findings: suffered.findings().collect(),
                faults: Some(suffered),
                stuck: 0,
            }
        };
        for lost in 0..=2 {
            assert!(report(lost).is_clean(), "{lost} of 2 calls");
        }
        let report = report(3);
        assert!(!report.is_clean());
        let [finding] = report.findings.as_slice() else {
            panic!("{:?}", report.findings);
        };
        for said in [
            "judicial-records: 3 declarations",
            "and 2 calls",
            "H56.14-260603-0002",
        ] {
            assert!(finding.contains(said), "{finding}");
        }
    }
}
