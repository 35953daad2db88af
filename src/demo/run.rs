//! The story of the demo: a third of the dossiers is in the one-stop before the bus comes and is fetched by the pull;
//! the others are recorded while it runs and are told by webhook, as is everything that the officials do. At the end
//! the judge looks at what both systems hold.
//!
//! On trial, the systems suffer faults all the while, save at the very end: then one more dossier is recorded and the
//! one-stop is asked once more for what has changed, so that a bus which the faults have paralysed is found out.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::input::Input;
use super::licences;
use super::report::Report;
use super::standing::Standing;
use super::trial::Trial;
use super::world::{Circumstances, DemoError, World};
use crate::clock::{Clock, SystemClock, local};

/// How long the world may take to come to rest, plus [`PER_DOSSIER`].
const PATIENCE: Duration = Duration::from_mins(2);

/// What each dossier adds to the patience.
const PER_DOSSIER: Duration = Duration::from_millis(500);

/// How many dossiers the one-stop lists in one answer.
const PAGE: usize = 50;

/// The route of the one-stop that the pull asks.
const CHANGES: &str = "GET /HoSo/DanhSachThayDoi";

/// What the demo is to do.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Dossiers in the one-stop's format, one a line; the shipped ones otherwise.
    pub input: Option<PathBuf>,
    /// How many of them; more than there are: copies under other codes.
    pub dossiers: Option<usize>,
    /// Adapter folders in place of the shipped ones.
    pub adapters: Option<PathBuf>,
    /// Address of an empty store for the node; absent: a file in the demo's folder.
    pub store: Option<String>,
    /// Address of a broker for the node; absent: the one inside the process.
    pub broker: Option<String>,
    /// What the stand-ins suffer. Nothing by default.
    pub trial: Trial,
}

/// What those who wait for the demo hear.
#[derive(Debug)]
pub enum News<'a> {
    /// Something has begun.
    Story(&'a str),
    /// How far it has come; again and again.
    Standing(&'a Standing),
}

/// Runs the demo. `tell` hears how far it has come.
///
/// # Errors
/// A fault in the input, the adapters or the stand-ins, a node that cannot start. What the judge finds is no error; it
/// stands in the report.
pub async fn run(options: &Options, tell: impl Fn(News<'_>)) -> Result<(World, Report), DemoError> {
    let input = Input::load(options.input.as_deref(), options.dossiers)?;
    let count = input.dossiers.len();
    let deadline = Instant::now() + PATIENCE + PER_DOSSIER * u32::try_from(count).unwrap_or(u32::MAX);
    let story = |text: &str| tell(News::Story(text));
    let on_trial = options.trial.seed();

    let changed = |row: &Value| row["NgayCapNhat"].as_str().is_some_and(|time| !time.is_empty());
    let rows = input.dossiers.iter().cloned().enumerate();
    // What bears no time of its last change is never listed to whoever asks what has changed.
    let (earlier, mut later): (Vec<_>, Vec<_>) =
        rows.partition(|(index, row)| *index < count / 3 && changed(row));
    let last = if on_trial.is_some() { later.pop() } else { None };
    if let Some(seed) = on_trial {
        story(&format!(
            "the systems suffer faults (--seed {seed} for the same again)"
        ));
    }
    // At the end, one whole run of the pull: what it was cut off in, and what comes after that.
    let asked_after = u64::try_from(2 + earlier.len() / PAGE).unwrap_or(u64::MAX);
    story(&format!(
        "{} dossiers are in the one-stop before the bus comes; it fetches them (pull)",
        earlier.len()
    ));
    let circumstances = Circumstances {
        trial: options.trial.clone(),
        store: options.store.clone(),
        broker: options.broker.clone(),
        licences: (earlier.len() + later.len()).div_ceil(5),
        ..Circumstances::default()
    };
    let (world, mut unrecorded) = World::open(options.adapters.as_deref(), circumstances, earlier).await?;
    story("the licence desk has dossiers of its own; the bus has them recorded at the one-stop");
    world
        .rest(deadline, |world| world.one_stop().calls().contains_key(CHANGES))
        .await?;

    let world = world.connect_webhook().await?;
    story(&format!(
        "{} more are recorded at the counters (webhook); the officials go to work",
        later.len()
    ));
    unrecorded.extend(world.record(later).await);
    let mut officials = Officials {
        script: &input.script,
        given: 0,
    };
    officials.give(&world).await?;
    officials.watch(&world, deadline, |_| true, &tell).await?;
    story("the judicial records office issues its certificates, the licence desk its licences");
    let seen = |world: &World| {
        is_certified(world) && licences::is_done(world.licences(), &world.one_stop().rows("HoSo"))
    };
    // Both show the present state only: they go on once the one before has been seen, so that each run tells the same.
    for step in 0..licences::STEPS {
        certify(&world, step).await?;
        licences::work(world.licences(), step).await?;
        officials.watch(&world, deadline, seen, &tell).await?;
    }
    if let Some(last) = last {
        world.trial().end();
        story("the faults are over; one more dossier is recorded");
        unrecorded.extend(world.record([last]).await);
        officials.give(&world).await?;
    }
    let asked = |world: &World| world.one_stop().calls().get(CHANGES).copied().unwrap_or(0);
    let before = asked(&world);
    let again = |world: &World| asked(world) >= before + asked_after;
    if !officials.watch(&world, deadline, again, &tell).await? {
        story("NOT at rest when the time was up: what follows is how it stood then");
    }

    let report = Report::of(&world, &input, &unrecorded).await?;
    Ok((world, report))
}

/// The officials of the one-stop, and how much they have been given to do.
struct Officials<'a> {
    script: &'a [Value],
    given: usize,
}

impl Officials<'_> {
    /// Hands them the acts on every dossier that is recorded and that they have none of yet.
    async fn give(&mut self, world: &World) -> Result<(), DemoError> {
        let codes = |rows: Vec<Value>| -> HashSet<String> {
            let code = |row: &Value| row["MaHoSo"].as_str().map(str::to_owned);
            rows.iter().filter_map(code).collect()
        };
        let given = codes(world.one_stop().rows("KichBan"));
        // The script speaks of dossiers that the one-stop may not have been able to take.
        let recorded = codes(world.one_stop().rows("HoSo"));
        for act in self.script {
            let code = act["MaHoSo"].as_str().unwrap_or_default();
            if recorded.contains(code) && !given.contains(code) {
                let put = world.one_stop().insert("KichBan", act.clone()).await;
                put.map_err(|fault| vec![fault])?;
                self.given += 1;
            }
        }
        Ok(())
    }

    /// Waits until everything is done and at rest, and tells how far it has come; false when the time is up.
    async fn watch(
        &self,
        world: &World,
        deadline: Instant,
        besides: impl Fn(&World) -> bool,
        tell: &impl Fn(News<'_>),
    ) -> Result<bool, DemoError> {
        let done = |world: &World| played(world) >= self.given && besides(world);
        world
            .rest_watched(deadline, done, |mut standing| {
                standing.acts = Some((played(world), self.given));
                tell(News::Standing(&standing));
            })
            .await
    }
}

/// What the judicial records office does with a declaration, and the state that it then has.
const CERTIFYING: [(&str, u64); 2] = [("XuLy", 4), ("CapPhieu", 5)];

/// The judicial records office takes this step with every declaration whose dossier waits for it at the one-stop: first it
/// works on it, then it issues the certificate, today.
async fn certify(world: &World, step: usize) -> Result<(), DemoError> {
    let Some((act, _)) = CERTIFYING.get(step) else {
        return Ok(());
    };
    let today = local(SystemClock.now());
    let (day, _) = today.split_once(' ').unwrap_or((&today, ""));
    let day: Vec<&str> = day.split('-').rev().collect();
    let waits = |row: &Value| matches!(row["TrangThaiHoSoId"].as_u64(), Some(2 | 4));
    let waiting: HashSet<String> = world
        .one_stop()
        .rows("HoSo")
        .iter()
        .filter(|row| waits(row))
        .filter_map(|row| row["MaHoSo"].as_str().map(str::to_owned))
        .collect();
    let begun = world.judicial_records().rows("KichBan");
    for declaration in world.judicial_records().rows("ToKhai") {
        let code = declaration["declarationWSForm"]["receiveNo"]
            .as_str()
            .unwrap_or_default();
        let is_theirs = match step {
            0 => waiting.contains(code),
            _ => begun
                .iter()
                .any(|line| line["idReceivedDec"] == declaration["idReceivedDec"]),
        };
        if !is_theirs {
            continue;
        }
        let line =
            json!({"idReceivedDec": declaration["idReceivedDec"], "HanhDong": act, "Ngay": day.join("/")});
        let put = world.judicial_records().insert("KichBan", line).await;
        put.map_err(|fault| vec![fault])?;
    }
    Ok(())
}

/// Is the office through with its script, and has every state been taken note of?
fn is_certified(world: &World) -> bool {
    let office = world.judicial_records();
    let script = office.rows("KichBan");
    office.rows("ToKhai").iter().all(|declaration| {
        let mut lines = script.iter().rev();
        let last = lines.find(|line| line["idReceivedDec"] == declaration["idReceivedDec"]);
        let through = last.is_none_or(|last| {
            CERTIFYING
                .iter()
                .any(|(act, state)| last["HanhDong"] == *act && declaration["DEC_STATUS_ID"] == *state)
        });
        through && declaration["Lan"] == declaration["DaDoc"]
    })
}

/// How many acts of the script are done.
fn played(world: &World) -> usize {
    let done = world.one_stop().rows("DaLam");
    done.iter()
        .filter_map(|row| usize::try_from(row["SoBuoc"].as_u64()?).ok())
        .sum()
}
