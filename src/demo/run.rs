//! The story of the demo: a third of the dossiers is in the one-stop before the bus comes and is fetched by the pull;
//! the others are recorded while it runs and are told by webhook, as is everything that the officials do. At the end
//! the judge looks at what both systems hold.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use super::input::Input;
use super::report::{self, Report};
use super::world::{DemoError, World};

/// How long the world may take to come to rest, plus [`PER_DOSSIER`].
const PATIENCE: Duration = Duration::from_mins(2);

/// What each dossier adds to the patience.
const PER_DOSSIER: Duration = Duration::from_millis(500);

/// After how many more acts people hear how far the officials have come.
const TOLD_EVERY: usize = 25;

/// What the demo is to do.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Dossiers in the one-stop's format, one a line; the shipped ones otherwise.
    pub input: Option<PathBuf>,
    /// How many of them; more than there are: copies under other codes.
    pub dossiers: Option<usize>,
    /// Adapter folders in place of the shipped ones.
    pub adapters: Option<PathBuf>,
}

/// Runs the demo. `tell` hears how far it has come.
///
/// # Errors
/// A fault in the input, the adapters or the stand-ins, a node that cannot start. What the judge finds is no error; it
/// stands in the report.
pub async fn run(options: &Options, tell: impl Fn(&str)) -> Result<(World, Report), DemoError> {
    let input = Input::load(options.input.as_deref(), options.dossiers)?;
    let count = input.dossiers.len();
    let deadline = Instant::now() + PATIENCE + PER_DOSSIER * u32::try_from(count).unwrap_or(u32::MAX);

    let changed = |row: &serde_json::Value| row["NgayCapNhat"].as_str().is_some_and(|time| !time.is_empty());
    let rows = input.dossiers.iter().cloned().enumerate();
    // What bears no time of its last change is never listed to whoever asks what has changed.
    let (earlier, later): (Vec<_>, Vec<_>) =
        rows.partition(|(index, row)| *index < count / 3 && changed(row));
    tell(&format!(
        "{} dossiers are in the one-stop before the bus comes; it fetches them (pull)",
        earlier.len()
    ));
    let (world, mut unrecorded) = World::open(options.adapters.as_deref(), earlier).await?;
    world
        .rest(deadline, |world| {
            world.one_stop().calls().contains_key("GET /HoSo/DanhSachThayDoi")
        })
        .await?;

    let world = world.connect_webhook().await?;
    tell(&format!(
        "{} more are recorded at the counters (webhook); the officials go to work",
        later.len()
    ));
    unrecorded.extend(world.record(later).await);
    let recorded = world.one_stop().rows("HoSo");
    let mut acts = 0;
    for act in &input.script {
        // The script speaks of dossiers that the one-stop may not have been able to take.
        if recorded.iter().any(|row| row["MaHoSo"] == act["MaHoSo"]) {
            world
                .one_stop()
                .insert("KichBan", act.clone())
                .await
                .map_err(|fault| vec![fault])?;
            acts += 1;
        }
    }
    let mut told = 0;
    world
        .rest(deadline, |world| {
            let done = played(world);
            if done >= told + TOLD_EVERY || (done == acts && told < acts) {
                told = done;
                tell(&format!("{done} of {acts} acts of the officials are done"));
            }
            done >= acts
        })
        .await?;

    let report = report::make(&world, &input, &unrecorded).await?;
    Ok((world, report))
}

/// How many acts of the script are done.
fn played(world: &World) -> usize {
    let done = world.one_stop().rows("DaLam");
    done.iter()
        .filter_map(|row| usize::try_from(row["SoBuoc"].as_u64()?).ok())
        .sum()
}
