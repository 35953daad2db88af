//! Runs a cell: faults while the source speaks, then a phase without faults, then the judge, then one fresh record.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lienthong::store::Store;
use tokio::time::{Instant, sleep};

use crate::cell::{Blow, Cell, Trouble, word};
use crate::node::Node;
use crate::oracle::asked::Class;
use crate::oracle::books::text_of;
use crate::oracle::journal::{Plan, Told};
use crate::oracle::judge::{Accepted, Claim, Expects, Stand, judge, void_of};
use crate::oracle::ledger;
use crate::oracle::mishap::{Roll, Times};
use crate::proxy::{Proxy, Strike, Way};
use crate::source::Source;
use crate::support::{tail, until};
use crate::target::Target;

/// What the adapters beside the oracle declare.
pub(crate) const TIMES: Times = Times {
    timeout_ms: 250,
    settle_ms: 600,
};

/// Longer than an intent that was cut off stays in doubt: four calls, and the settle time.
pub(crate) const PAUSE: Duration = Duration::from_millis(2000);

/// Dossiers that the source speaks of at once.
const DOSSIERS: u32 = 4;

/// Versions of each.
const VERSIONS: i64 = 3;

/// How often it begins with others, while it waits for every fault to bite.
const PATIENCE: u32 = 10;

/// A dossier that nobody has spoken of before.
const FRESH: u32 = DOSSIERS * PATIENCE + 1;

/// What a cell has shown.
pub(crate) struct Shown {
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
            "{records} records, {requests} requests; {kills} kills, {stops} stops, {ways} troubles on the way, \
             {troubles} at the target; parked {parked:?}; {:.1} s",
            took.as_secs_f64()
        )
    }
}

/// The pushes of a class's adapter.
pub(crate) fn expects(class: Class) -> Expects {
    Expects {
        records: true,
        entries: matches!(class, Class::Append | Class::AppendShown | Class::Batch),
    }
}

/// Why a delivery of this class may be left to a person: only where nothing else can be promised.
fn may_park(class: Class, trouble: Trouble, cause: &str) -> bool {
    let strict = matches!(trouble, Trouble::Strict | Trouble::Mixed);
    match class {
        // Nobody can ask whether an entry is there; and one that follows it may be refused for its order.
        Class::Append => cause == "in-doubt-no-find" || (strict && cause == "refused-by-target"),
        // The refusal of a create says that there is a record, not whose.
        Class::Refusing => cause == "key-taken",
        // Entries of a batch are entries like others, and so are steps that nobody can ask about.
        Class::Batch | Class::StepsBlind => cause == "in-doubt-no-find",
        _ => false,
    }
}

/// Runs it.
///
/// # Errors
/// Everything that was not as it should be, with all that is needed to run the cell alone.
pub(crate) async fn run(cell: Cell) -> Result<Shown, String> {
    let folder = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    match attempt(cell, folder.path(), begun).await {
        Ok(shown) => Ok(shown),
        Err(failure) => {
            let kept = folder.keep();
            Err(format!(
                "{failure}\n  alone: PROOF_CELL={cell} cargo test --features failpoints --test proof matrix\n  \
                 store and journal of the target: {}",
                kept.display()
            ))
        }
    }
}

async fn attempt(cell: Cell, folder: &std::path::Path, begun: Instant) -> Result<Shown, String> {
    let Cell {
        point,
        class,
        trouble,
        blow,
        way,
        seed,
    } = cell;
    let mut roll = Roll::new(seed, "cell");
    let nth = roll.between(1, 3);
    let plan = Plan {
        seed,
        class,
        mode: trouble.mode(),
        times: TIMES,
    };
    let target = Target::start(folder, plan).await?;
    let adapter = word(class);

    // The proxy must know whom to strike before there is anybody to strike.
    let daemon = crate::node::Address::default();
    let strike = point.moment().map(|moment| Strike {
        moment,
        nth,
        signal: blow.signal(),
        daemon: daemon.clone(),
    });
    let failpoint = point
        .moment()
        .is_none()
        .then(|| format!("{}:{nth}:{}", word(point), word(blow)));
    let proxy = Proxy::start(&target.url, seed, way, strike).await;
    let mut node = Node::start(
        folder,
        &adapter,
        &proxy.url,
        failpoint.as_deref(),
        PAUSE,
        daemon.clone(),
    )
    .await?;

    let source = Source::new(daemon, seed);
    let enough = AtomicBool::new(false);
    let speaking = source.speak(DOSSIERS, VERSIONS, PATIENCE, &enough);
    let watching = watch(&mut node, &target, &proxy, cell, &enough);
    tokio::select! {
        spoken = speaking => spoken?,
        ended = watching => return Err(ended.unwrap_or_else(|| "nobody watches any more".to_owned())),
    }

    // Nothing goes wrong from now on.
    target.tell(Told::Calm).await?;
    proxy.calm();
    node.rest().await?;
    source.tell(FRESH, 1, 1).await?;
    node.rest().await?;
    until("the last late commit", async || {
        let books = target.books().await.ok()?;
        (books["late"] == false).then_some(())
    })
    .await?;

    let (kills, stops) = (node.kills, node.stops);
    let (store, log) = node.stop().await?;
    let accepted = source.accepted();
    let claims = ledger::claims(store.as_ref(), &adapter, accepted.records.keys()).await;
    let claims = claims.map_err(|error| error.to_string())?;
    let (oracle, journal) = target.read();

    let mut wrong: Vec<String> = Vec::new();
    wrong.extend(
        judge(&accepted, expects(class), &oracle, &claims)
            .iter()
            .map(ToString::to_string),
    );
    let struck = match blow {
        Blow::Kill => kills,
        Blow::Stop => stops,
    };
    let troubles = oracle.bitten().values().sum();
    let mut faults = vec![(format!("{} at {}", word(blow), word(point)), struck)];
    faults.extend((way != Way::Clear).then(|| (word(way), proxy.bitten())));
    faults.extend((trouble != Trouble::Sound).then(|| (word(trouble), troubles)));
    wrong.extend(void_of(faults).iter().map(ToString::to_string));
    wrong.extend(repeated(store.as_ref(), &adapter, &journal, accepted.records.keys()).await?);
    wrong.extend(eroded(store.as_ref(), &accepted).await?);
    for claim in &claims {
        if let Stand::Parked(cause) = &claim.stand
            && !may_park(class, trouble, cause)
        {
            wrong.push(format!(
                "{} is left to a person ({cause}), which this class need not",
                subject(claim)
            ));
        }
    }
    wrong.extend(leaked(&log));
    if wrong.is_empty() {
        let mut parked = BTreeMap::new();
        for claim in &claims {
            if let Stand::Parked(cause) = &claim.stand {
                *parked.entry(cause.clone()).or_default() += 1;
            }
        }
        return Ok(Shown {
            kills,
            stops,
            ways: proxy.bitten(),
            troubles,
            records: accepted.records.values().map(BTreeMap::len).sum(),
            requests: oracle.requests(),
            parked,
            took: begun.elapsed(),
        });
    }
    let mut told = String::new();
    for line in wrong {
        write!(told, "\n  {line}").unwrap();
    }
    Err(format!("{told}\n{}", tail(&log)))
}

/// Looks after the daemon, and says when every fault has bitten. Ends only where the daemon ends by itself.
async fn watch(
    node: &mut Node,
    target: &Target,
    proxy: &Proxy,
    cell: Cell,
    enough: &AtomicBool,
) -> Option<String> {
    loop {
        if let Err(failure) = node.look_after().await {
            return Some(format!("{failure}\n{}", tail(&node.log())));
        }
        let struck = node.kills + node.stops > 0;
        let on_the_way = cell.way == Way::Clear || proxy.bitten() > 0;
        if struck && on_the_way && !enough.load(Ordering::SeqCst) {
            let books = target.books().await.unwrap_or_default();
            let bitten = books["bitten"]
                .as_object()
                .is_some_and(|bitten| !bitten.is_empty());
            enough.store(bitten || cell.trouble == Trouble::Sound, Ordering::SeqCst);
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// No request was made behind the ledger's back: for each dossier, no more writing requests reached the target than the
/// ledger has intents.
async fn repeated(
    store: &dyn Store,
    adapter: &str,
    journal: &[Told],
    keys: impl Iterator<Item = &String>,
) -> Result<Vec<String>, String> {
    let mut wrong = Vec::new();
    for key in keys {
        let made = journal.iter().filter(|told| match told {
            Told::Call { method, body, .. } => method != "GET" && text_of(body, "id") == *key,
            _ => false,
        });
        let made = i64::try_from(made.count()).unwrap();
        let replica = store.find_replica(key).await.map_err(|error| error.to_string())?;
        let Some(replica) = replica else { continue };
        let rows = store
            .deliveries_of(replica.dossier.id)
            .await
            .map_err(|error| error.to_string())?;
        let intents: i64 = rows
            .iter()
            .filter(|row| row.adapter == adapter)
            .map(|row| row.attempt)
            .sum();
        if made > intents {
            wrong.push(format!(
                "B6: {made} writing requests about {key}, and {intents} intents"
            ));
        }
    }
    Ok(wrong)
}

/// The dossiers themselves are as the source has stated them, whatever the target made of them and reports.
async fn eroded(store: &dyn Store, accepted: &Accepted) -> Result<Vec<String>, String> {
    let mut wrong = Vec::new();
    for (key, versions) in &accepted.records {
        let replica = store.find_replica(key).await.map_err(|error| error.to_string())?;
        let held = replica
            .as_ref()
            .and_then(|replica| replica.dossier.register("summary"));
        let stated = versions.last_key_value().map(|(_, record)| &record["text"]);
        if held != stated {
            wrong.push(format!(
                "I9 echo: the summary of {key} is {held:?}, and was stated as {stated:?}"
            ));
        }
    }
    Ok(wrong)
}

/// What a log must not hold.
fn leaked(log: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if log.contains("Vũ Thị Thử") {
        wrong.push("I10 leak: the log names an applicant".to_owned());
    }
    if log.contains("panicked") {
        wrong.push("a stage panicked".to_owned());
    }
    wrong
}

fn subject(claim: &Claim) -> String {
    match claim.item {
        None => claim.key.clone(),
        Some(place) => format!("item {place} of {}", claim.key),
    }
}
