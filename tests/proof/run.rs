//! Runs a cell: faults while the source speaks, then a phase without faults, one fresh record, then the judge.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::cell::{Blow, Cell, Trouble, word};
use crate::checks::{eroded, leaked, repeated};
use crate::node::Node;
use crate::oracle::asked::Class;
use crate::oracle::judge::{Claim, Stand, void_of};
use crate::oracle::mishap::{Mishap, Roll};
use crate::proxy::{Proxy, Way};
use crate::stores;
use crate::support::{services, tail};
use crate::target::Target;
use crate::world::{Design, Left, TIMES, World};

/// Dossiers that the source speaks of at once.
const DOSSIERS: u32 = 4;

/// Versions of each.
const VERSIONS: i64 = 3;

/// How often it begins with others, while it waits for every fault to bite.
const PATIENCE: u32 = 16;

/// How often a cell is run in which a fault never bit, each time with other chances. It proves nothing until all have.
const TRIES: u64 = 3;

/// How far the seeds of these runs lie apart: farther than those of the cells.
const APART: u64 = 1_000_000;

/// What a cell has shown.
pub(crate) struct Shown {
    services: String,
    kills: u64,
    stops: u64,
    /// Connections that met the proxy's fault.
    ways: u64,
    /// Requests that met the target's.
    troubles: u64,
    /// Records accepted, and requests that reached the target for them.
    records: usize,
    requests: u64,
    /// Deliveries that were left to a person, by cause.
    pub(crate) parked: BTreeMap<String, usize>,
    took: Duration,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            services,
            kills,
            stops,
            ways,
            troubles,
            records,
            requests,
            parked,
            took,
        } = self;
        write!(
            f,
            "{services} · {records} records, {requests} requests; {kills} kills, {stops} stops, {ways} troubles on the way, \
             {troubles} at the target; parked {parked:?}; {:.1} s",
            took.as_secs_f64()
        )
    }
}

/// Why a delivery of this class may be left to a person: only where nothing else can be promised.
fn may_park(class: Class, trouble: Trouble, claim: &Claim, cause: &str) -> bool {
    let strict = matches!(trouble, Trouble::Strict | Trouble::Mixed);
    match class {
        // Nobody can ask whether an entry is there; and one that follows it may be refused for its order. Records are put,
        // which can be done again.
        Class::Append | Class::Batch => {
            claim.item.is_some() && (cause == "in-doubt-no-find" || (strict && cause == "refused-by-target"))
        }
        // Nobody can ask how far the target has come.
        Class::StepsBlind => cause == "in-doubt-no-find",
        Class::Keyed
        | Class::Put
        | Class::Refusing
        | Class::AppendShown
        | Class::Steps
        | Class::Reporting => false,
    }
}

/// Runs it; once more where a fault never bit and nothing else was wrong.
///
/// # Errors
/// Everything that was not as it should be, with all that is needed to run the cell alone.
pub(crate) async fn run(cell: Cell) -> Result<Shown, String> {
    let begun = Instant::now();
    let (mut cell, mut tries) = (cell, 0);
    loop {
        tries += 1;
        let left = attempt(cell)
            .await
            .map_err(|failure| format!("\n  {failure}{}", alone(cell)))?;
        let (wrong, void) = (wrong(cell, &left).await?, void(cell, &left));
        if wrong.is_empty() && void.is_empty() {
            return Ok(shown(cell, &left, begun.elapsed()));
        }
        if !wrong.is_empty() || tries == TRIES {
            let log = tail(&left.log);
            let kept = left.folder.keep();
            let wrong = [wrong, void].concat().join("\n  ");
            return Err(format!(
                "\n  {wrong}\n{log}{}\n  store and journal of the target: {}",
                alone(cell),
                kept.display()
            ));
        }
        stores::tell(&format!(
            "{cell}: {}, once more with other chances",
            void.join(", ")
        ));
        cell.seed += APART;
    }
}

/// How to run a cell alone.
fn alone(cell: Cell) -> String {
    let ground = if stores::is_on_rabbitmq() {
        "grown"
    } else {
        "embedded"
    };
    format!("\n  alone: PROOF_CELL={cell} cargo test --features failpoints --test proof matrix::{ground}")
}

async fn attempt(cell: Cell) -> Result<Left, String> {
    let nth = Roll::new(cell.seed, "cell").between(1, 8);
    let mut world = World::start(Design {
        seed: cell.seed,
        class: cell.class,
        edit: None,
        mode: cell.trouble.mode(),
        times: TIMES,
        way: Some(cell.way),
        strike: Some((cell.point, cell.blow, nth)),
    })
    .await?;
    let enough = AtomicBool::new(false);
    let World {
        node,
        target,
        proxy,
        source,
        ..
    } = &mut world;
    tokio::select! {
        spoken = source.speak(DOSSIERS, VERSIONS, PATIENCE, &enough) => spoken?,
        failure = watch(node, target, proxy.as_ref(), cell, &enough) => return Err(failure),
    }
    world.recover().await?;
    world.end().await
}

/// Looks after the daemon, and says when every fault has bitten. Ends only where the daemon ends by itself.
async fn watch(
    node: &mut Node,
    target: &Target,
    proxy: Option<&Proxy>,
    cell: Cell,
    enough: &AtomicBool,
) -> String {
    loop {
        if let Err(failure) = node.look_after().await {
            return format!("{failure}\n{}", tail(&node.log()));
        }
        let struck = node.kills + node.stops > 0;
        let on_the_way = cell.way == Way::Clear || proxy.is_some_and(|proxy| proxy.bitten() > 0);
        if struck && on_the_way && !enough.load(Ordering::SeqCst) {
            let books = target.books().await.unwrap_or_default();
            let bitten: BTreeMap<Mishap, u64> =
                serde_json::from_value(books["bitten"].clone()).unwrap_or_default();
            let troubled = cell.trouble.mode().bites(&bitten) > 0;
            enough.store(troubled || cell.trouble == Trouble::Sound, Ordering::SeqCst);
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// The faults of the cell that never bit.
fn void(cell: Cell, left: &Left) -> Vec<String> {
    let struck = match cell.blow {
        Blow::Kill => left.kills,
        Blow::Stop => left.stops,
    };
    let mut faults = vec![(format!("{} at {}", word(cell.blow), word(cell.point)), struck)];
    faults.extend((cell.way != Way::Clear).then(|| (word(cell.way), left.ways)));
    faults.extend((cell.trouble != Trouble::Sound).then(|| (word(cell.trouble), troubles(cell, left))));
    void_of(faults).iter().map(ToString::to_string).collect()
}

/// Everything that is not as it should be.
async fn wrong(cell: Cell, left: &Left) -> Result<Vec<String>, String> {
    let mut wrong: Vec<String> = left.violations().iter().map(ToString::to_string).collect();
    for claim in &left.claims {
        if let Stand::Parked(cause) = &claim.stand
            && !may_park(cell.class, cell.trouble, claim, cause)
        {
            let what = subject(claim);
            wrong.push(format!(
                "{what} is left to a person ({cause}), which this class need not"
            ));
        }
    }
    wrong.extend(repeated(left).await?);
    wrong.extend(eroded(left).await?);
    wrong.extend(leaked(&left.log));
    Ok(wrong)
}

fn troubles(cell: Cell, left: &Left) -> u64 {
    cell.trouble.mode().bites(left.oracle.bitten())
}

fn shown(cell: Cell, left: &Left, took: Duration) -> Shown {
    let mut parked = BTreeMap::new();
    for claim in &left.claims {
        if let Stand::Parked(cause) = &claim.stand {
            *parked.entry(cause.clone()).or_default() += 1;
        }
    }
    Shown {
        services: services(&*left.store),
        kills: left.kills,
        stops: left.stops,
        ways: left.ways,
        troubles: troubles(cell, left),
        records: left.accepted.records.values().map(BTreeMap::len).sum(),
        requests: left.oracle.requests(),
        parked,
        took,
    }
}

fn subject(claim: &Claim) -> String {
    match claim.item {
        None => claim.key.clone(),
        Some(place) => format!("item {place} of {}", claim.key),
    }
}
