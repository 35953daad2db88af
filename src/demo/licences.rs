//! The licence desk of the demo: its dossiers, received within the last weeks, and what its officials do.

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan, tz};
use serde_json::{Value, json};

use super::world::DemoError;
use crate::fault::Fault;
use crate::sandbox::Sandbox;

/// Invented dossiers in the licence system's own form, with the days of another year.
const LICENCES: &str = include_str!("licences.jsonl");

/// A desk enters a dossier on one of so many days before the demo.
const DAYS: i64 = 20;

/// Most steps of a dossier.
pub(super) const STEPS: usize = 3;

/// How the officials lead the dossiers on, in turn: being worked on, done, handed over.
const WAYS: [&[&str]; 4] = [&["4", "9", "10"], &["4", "9"], &["4"], &[]];

/// The dossiers as they lie at the desk, if it is `now`.
fn dossiers(now: Timestamp) -> Vec<Value> {
    let today = now.to_zoned(tz::TimeZone::fixed(tz::offset(7))).date();
    let lines = LICENCES.lines().map(serde_json::from_str);
    let mut rows = lines
        .collect::<Result<Vec<Value>, _>>()
        .expect("the shipped dossiers are JSON lines");
    for (row, days) in rows.iter_mut().zip((1..=DAYS).cycle()) {
        let day = |date: Date, days: i64| {
            date.checked_add(days.days())
                .map_or(Value::Null, |date| json!(date))
        };
        row["ngayNhanHoSo"] = day(today, -days);
        row["ngayHenTraGplx"] = day(today, 5 - days);
    }
    rows
}

/// Puts the first `count` dossiers into the desk's stand-in.
pub(super) async fn enter(desk: &Sandbox, count: usize, now: Timestamp) -> Result<(), DemoError> {
    put(desk, "HoSo", dossiers(now).into_iter().take(count)).await
}

/// Has the desk's officials take this step with each dossier that they lead so far.
pub(super) async fn work(desk: &Sandbox, step: usize) -> Result<(), DemoError> {
    let rows = desk.rows("HoSo");
    let lines = rows.iter().zip(WAYS.iter().cycle()).filter_map(|(row, way)| {
        let state = way.get(step)?;
        Some(json!({"maHoSo": row["maHoSo"], "MaTrangThai": state}))
    });
    put(desk, "KichBan", lines).await
}

async fn put(desk: &Sandbox, table: &str, rows: impl IntoIterator<Item = Value>) -> Result<(), DemoError> {
    for row in rows {
        let put = desk.insert(table, row).await;
        put.map_err(|fault: Fault| DemoError::Faults(vec![fault]))?;
    }
    Ok(())
}

/// Whether the officials are through with what they were given, and the one-stop's rows show it.
pub(super) fn is_done(desk: &Sandbox, one_stop: &[Value]) -> bool {
    let (script, done) = (desk.rows("KichBan"), desk.rows("DaLam"));
    let played: u64 = done.iter().filter_map(|row| row["soBuoc"].as_u64()).sum();
    let states = desk.rows("TinhTrang");
    let shown = |row: &Value| {
        let code = &row["maHoSo"];
        let stands = states.iter().find(|state| state["maHoSo"] == *code);
        let stands = stands
            .and_then(|state| state["MaTrangThai"].as_str())
            .unwrap_or("2");
        let at = one_stop.iter().find(|row| row["MaHoSoNguon"] == *code);
        at.is_some_and(|row| row["TrangThaiHoSoId"].as_u64() == stands.parse().ok())
    };
    usize::try_from(played) == Ok(script.len()) && desk.rows("HoSo").iter().all(shown)
}
