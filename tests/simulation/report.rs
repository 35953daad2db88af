//! One run from its plan to the judge's word.

use std::collections::BTreeMap;
use std::fmt;

use jiff::SignedDuration;
use serde_json::json;

use crate::gates::Gap;
use crate::kit::{Kit, runtime};
use crate::oracle::asked::Class;
use crate::oracle::books::Act;
use crate::oracle::judge::{Accepted, Claim, Expects, Stand, Violation, judge};
use crate::oracle::ledger::claims;
use crate::oracle::mishap::{Mishap, Mode};
use crate::oracle::model::Oracle;
use crate::oracle::source::{TEXT, key};
use crate::plan::Plan;
use crate::target::{locked, millis};
use crate::world::{Turn, World};

/// How long nothing may happen by itself after a rest.
const LATER: SignedDuration = SignedDuration::from_hours(1);

/// What came of a run.
pub(crate) struct Report {
    pub(crate) plan: Plan,
    pub(crate) trace: Vec<String>,
    /// What must not be, each with the number of its invariant; empty in good order.
    pub(crate) violations: Vec<String>,
    /// What the ledger says at the end, by system.
    pub(crate) claims: BTreeMap<String, Vec<Claim>>,
    pub(crate) bites: Bites,
}

/// How often each fault bit, over as many runs as are added up.
#[derive(Debug, Default)]
pub(crate) struct Bites {
    pub(crate) runs: u64,
    pub(crate) turns: u64,
    pub(crate) redelivered: u64,
    pub(crate) unconfirmed: u64,
    pub(crate) unanswered: u64,
    /// Rows whose doubt had to be settled.
    pub(crate) doubts: u64,
    pub(crate) repeated: u64,
    /// Entries that a target has after ones that follow them, because the broker brought them in this order.
    pub(crate) overtaken: u64,
    /// Words of officers at target systems.
    pub(crate) officers: u64,
    /// Runs of several nodes.
    pub(crate) shared: u64,
    pub(crate) turned: u64,
    pub(crate) reboots: u64,
    pub(crate) outages: u64,
    pub(crate) unacceptable: u64,
    pub(crate) parked: BTreeMap<String, u64>,
    pub(crate) mishaps: BTreeMap<Mishap, u64>,
    /// By kind of stage and gap.
    pub(crate) deaths: BTreeMap<(String, Gap), u64>,
}

impl Bites {
    pub(crate) fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.turns += other.turns;
        self.redelivered += other.redelivered;
        self.unconfirmed += other.unconfirmed;
        self.unanswered += other.unanswered;
        self.doubts += other.doubts;
        self.repeated += other.repeated;
        self.overtaken += other.overtaken;
        self.officers += other.officers;
        self.shared += other.shared;
        self.turned += other.turned;
        self.reboots += other.reboots;
        self.outages += other.outages;
        self.unacceptable += other.unacceptable;
        for (cause, count) in &other.parked {
            *self.parked.entry(cause.clone()).or_default() += count;
        }
        for (mishap, count) in &other.mishaps {
            *self.mishaps.entry(*mishap).or_default() += count;
        }
        for (place, count) in &other.deaths {
            *self.deaths.entry(place.clone()).or_default() += count;
        }
    }
}

impl fmt::Display for Bites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} runs ({} of them with two nodes) of {} turns: {} redeliveries, {} lost confirms, {} answers that never came, {} doubts, {} records told \
             again, {} entries brought late, {} clocks turned, {} machines started anew, {} outages, {} bad versions",
            self.runs,
            self.shared,
            self.turns,
            self.redelivered,
            self.unconfirmed,
            self.unanswered,
            self.doubts,
            self.repeated,
            self.overtaken,
            self.turned,
            self.reboots,
            self.outages,
            self.unacceptable
        )?;
        writeln!(f, "parked: {:?}", self.parked)?;
        let mishaps: Vec<String> = self
            .mishaps
            .iter()
            .map(|(mishap, times)| format!("{mishap} {times}"))
            .collect();
        writeln!(f, "mishaps: {}", mishaps.join(", "))?;
        let deaths: Vec<String> = self
            .deaths
            .iter()
            .map(|((stage, gap), times)| format!("{stage} {gap:?} {times}"))
            .collect();
        write!(f, "deaths: {}", deaths.join(", "))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {:?}", self.plan.seed, self.plan)?;
        for line in &self.trace {
            writeln!(f, "  {line}")?;
        }
        for violation in &self.violations {
            writeln!(f, "{violation}")?;
        }
        Ok(())
    }
}

/// Runs a plan. To be called on a big stack.
pub(crate) fn run(plan: Plan) -> Report {
    let kit = Kit::get();
    runtime().block_on(async {
        let mut world = World::new(kit, plan);
        world.storm().await;
        finish(world).await
    })
}

/// Brings a world to rest and judges it.
pub(crate) async fn finish(mut world: World) -> Report {
    let mut violations = Vec::new();
    if !world.quiet().await {
        violations.push("I11 liveness: the province never came to rest".to_owned());
    }
    let fresh = key(world.begin(1));
    if !world.quiet().await {
        violations.push("I11 liveness: the province never came to rest after a fresh dossier".to_owned());
    }
    let before = world.activity();
    world.take(Turn::Pass(LATER)).await;
    if !world.quiet().await || world.activity() != before {
        violations.push(format!(
            "I9 echo: {before:?} said before a silent hour, {:?} after it",
            world.activity()
        ));
    }
    violations.append(&mut world.seen);
    violations.append(&mut locked(&world.ground.honesty).broken);
    let overtaken = locked(&world.ground.honesty).overtaken.clone();
    let mut bites = Bites {
        runs: 1,
        turns: world.turns,
        doubts: world.ground.gates.doubts(),
        shared: u64::from(world.nodes.len() > 1),
        turned: world.turned,
        reboots: world.reboots,
        outages: world.outages,
        unacceptable: world.unacceptable,
        ..Bites::default()
    };
    let (accepted, bad) = {
        let source = locked(&world.ground.source);
        (source.accepted.clone(), source.bad())
    };
    violations.extend(differing(&world, accepted.records.keys()).await);
    let mut said = BTreeMap::new();
    for (name, (class, target)) in &world.targets {
        let host = world.host(name);
        let store = &host.shared().expect("a province at rest is up").store;
        let mut claims = claims(store.as_ref(), name, accepted.records.keys())
            .await
            .unwrap();
        behind(&accepted, &mut claims);
        let target = locked(target);
        let mode = mode_of(&world.plan, *class);
        let accepted = match class {
            Class::Steps | Class::StepsBlind => stepped(&accepted),
            _ => accepted.clone(),
        };
        let found = judge(&accepted, expects(*class), &target.oracle, &claims);
        // Entries came in the order in which the node had them: it had the one before too late for the one that follows.
        let adapter = Kit::get().adapter(name);
        let under_way = adapter.connection.timeout + adapter.connection.settle;
        let (excused, found): (Vec<_>, Vec<_>) = found.iter().partition(|violation| match violation {
            Violation::Disorder { what, place, after }
                if *class != Class::Steps && *class != Class::StepsBlind =>
            {
                let came = overtaken.get(&(host.number, what.clone(), *place));
                came.is_some_and(|came| had(&target.oracle, what, *after) <= millis(*came + under_way))
            }
            _ => false,
        });
        bites.overtaken += excused.len() as u64;
        violations.extend(found.iter().map(|violation| format!("{name}: {violation}")));
        violations.extend(alive(&fresh, &claims).map(|problem| format!("{name}: {problem}")));
        for claim in &claims {
            if let Stand::Parked(cause) = &claim.stand {
                *bites.parked.entry(format!("{name} {cause}")).or_default() += 1;
                let is_overtaken = overtaken
                    .keys()
                    .any(|(node, key, _)| (*node, key) == (host.number, &claim.key));
                let is_needed = match (claim.item, cause.as_str()) {
                    (None, "refused-by-target") => bad.contains(&claim.key),
                    // Whether the dossier may be parked is judged there.
                    (Some(_), BEHIND) => true,
                    // An entry whose event came before those of the entries before it is refused by a system that is strict.
                    (Some(_), "refused-by-target") => is_overtaken,
                    _ => false,
                };
                if !is_needed && !may_park(*class, mode, claim.item).contains(&cause.as_str()) {
                    violations.push(without_need(name, claim));
                }
            }
        }
        // A person has no more to look at than calls can have ended unclear.
        let in_doubt = claims
            .iter()
            .filter(|claim| claim.stand == Stand::Parked(IN_DOUBT.to_owned()));
        let in_doubt = in_doubt.count() as u64;
        let at_deaths = world.deaths.values().sum::<u64>() * adapter.connection.concurrency as u64;
        let bitten = |mishap| target.oracle.bitten().get(&mishap).copied().unwrap_or(0);
        let unclear =
            target.unanswered + bitten(Mishap::CommitThen500) + bitten(Mishap::Error500) + at_deaths;
        let entries = if *class == Class::Batch { BATCH } else { 1 };
        if in_doubt > unclear * entries {
            violations.push(format!(
                "{name}: I1 parked without need: {in_doubt} in doubt, and {unclear} calls ended unclear"
            ));
        }
        for (mishap, count) in target.oracle.bitten() {
            *bites.mishaps.entry(*mishap).or_default() += count;
        }
        bites.unanswered += target.unanswered;
        violations.extend(target.seen.iter().map(|seen| format!("{name}: {seen}")));
        drop(target);
        said.insert(name.clone(), claims);
    }
    let mut done = Vec::new();
    for (name, (_, target)) in &world.targets {
        let target = locked(target);
        done.extend(target.oracle.effects().iter().map(|effect| {
            let (act, request) = (effect.act, effect.request);
            format!(
                "{name}: {} {act:?} by request {request} at {}: {}",
                effect.number, effect.at_ms, effect.record
            )
        }));
    }
    world.trace.append(&mut done);
    let mut exchange = locked(&world.ground.exchange);
    bites.redelivered = exchange.redelivered();
    bites.unconfirmed = exchange.unconfirmed();
    let source = locked(&world.ground.source);
    bites.repeated = source.tellings - source.answers;
    drop(source);
    if !exchange.is_empty() {
        violations.push("I11 liveness: the broker still has events".to_owned());
    }
    drop(exchange);
    for ((stage, gap), count) in &world.deaths {
        let kind = stage.split(' ').next().unwrap_or(stage).to_owned();
        *bites.deaths.entry((kind, *gap)).or_default() += count;
    }
    Report {
        plan: world.plan.clone(),
        trace: std::mem::take(&mut world.trace),
        violations,
        claims: said,
        bites,
    }
}

/// Dossiers that the nodes do not have alike, and dossiers that one of them does not have at all.
async fn differing<'a>(world: &World, keys: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut differing = Vec::new();
    for key in keys {
        let mut dossiers = Vec::new();
        for node in &world.nodes {
            let store = node.plain().expect("a province at rest is up");
            let replica = store.find_replica(key).await.unwrap();
            dossiers.push(replica.map(|replica| replica.dossier));
        }
        if dossiers
            .iter()
            .any(|dossier| dossier.is_none() || *dossier != dossiers[0])
        {
            differing.push(format!("I5 replicas: the nodes have {key} as {dossiers:#?}"));
        }
    }
    differing
}

/// What is said of a claim to have been parked where nobody could know why.
pub(crate) fn without_need(name: &str, claim: &Claim) -> String {
    format!("{name}: I1 parked without need: {claim:?}")
}

/// What a class is to end with.
pub(crate) fn expects(class: Class) -> Expects {
    Expects {
        records: true,
        entries: matches!(class, Class::Append | Class::AppendShown | Class::Batch),
    }
}

/// Cause of what nobody can ask for.
const IN_DOUBT: &str = "in-doubt-no-find";

/// Most entries of one call, as the manifest has it.
const BATCH: u64 = 5;

/// Cause of a claim about an item that has no row yet.
const BEHIND: &str = "behind-its-dossier";

/// Items have no rows of their own before their dossier is there: where that is parked, so are they.
fn behind(accepted: &Accepted, claims: &mut Vec<Claim>) {
    for (key, places) in &accepted.items {
        let stand = |item: Option<i64>| {
            let mut of_key = claims.iter().filter(|claim| claim.key == *key);
            of_key
                .find(|claim| claim.item == item)
                .map(|claim| claim.stand.clone())
        };
        if !matches!(stand(None), Some(Stand::Parked(_))) {
            continue;
        }
        let missing: Vec<i64> = places
            .keys()
            .copied()
            .filter(|place| stand(Some(*place)).is_none())
            .collect();
        claims.extend(missing.into_iter().map(|place| Claim {
            key: key.clone(),
            item: Some(place),
            stand: Stand::Parked(BEHIND.to_owned()),
        }));
    }
}

/// What a system that takes steps ends with: its texts are those of the steps, whatever the dossier is about.
fn stepped(accepted: &Accepted) -> Accepted {
    let mut accepted = accepted.clone();
    for versions in accepted.records.values_mut() {
        for (version, record) in versions {
            record["text"] = json!(format!("#{version} {TEXT}"));
        }
    }
    accepted
}

/// When the target first had this entry, in milliseconds.
fn had(oracle: &Oracle, key: &str, place: i64) -> u64 {
    let mut effects = oracle.effects().iter();
    let first =
        effects.find(|effect| effect.act == Act::Appended && effect.key == key && effect.version == place);
    first.map_or(u64::MAX, |effect| effect.at_ms)
}

/// The weather at a target of this class.
fn mode_of(plan: &Plan, class: Class) -> Mode {
    let mut targets = plan.targets.iter();
    let target = targets.find(|(other, _)| *other == class);
    target.map_or(Mode::Sound, |(_, mode)| *mode)
}

/// The causes for which a class may park in this weather, because nobody could do better.
fn may_park(class: Class, mode: Mode, item: Option<i64>) -> &'static [&'static str] {
    match (class, mode, item) {
        // Entries without identity that nobody can ask for; and what a strict target refuses because the one before is
        // parked. The records of these classes are put, which can be done again.
        (Class::Append | Class::Batch, Mode::Strict { .. } | Mode::Mixed { .. }, Some(_)) => {
            &["in-doubt-no-find", "refused-by-target"]
        }
        // The same, and steps that nobody can ask about.
        (Class::Append | Class::Batch, _, Some(_)) | (Class::StepsBlind, ..) => &["in-doubt-no-find"],
        _ => &[],
    }
}

/// What of a fresh dossier did not arrive.
fn alive<'a>(key: &'a str, claims: &'a [Claim]) -> impl Iterator<Item = String> + 'a {
    let fresh = claims.iter().filter(move |claim| claim.key == key);
    let stuck = fresh.clone().filter(|claim| claim.stand != Stand::Applied);
    let none =
        (fresh.count() == 0).then(|| "I11 liveness: the ledger knows nothing of a fresh dossier".to_owned());
    none.into_iter()
        .chain(stuck.map(|claim| format!("I11 liveness: of a fresh dossier {claim:?}")))
}
