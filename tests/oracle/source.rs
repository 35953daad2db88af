//! What the source says, and what the targets of `adapters/` are to have of it.

use serde_json::{Value, json};

use super::judge::Accepted;

/// Header and value with which the source shows who it is.
pub(crate) const TOKEN: (&str, &str) = ("x-token", "proof");

/// What every dossier is about, unless a test says otherwise.
pub(crate) const TEXT: &str = "giải quyết hồ sơ của phép thử";

/// The official code of dossier number `n`, up to 9999: its key everywhere.
pub(crate) fn key(n: u32) -> String {
    format!("000.00.14.H56-260305-{n:04}")
}

/// Dossier `n` in this version, with so many items: what is posted to `/hooks/source`. A newer version has no fewer items
/// than an older one. `version` and `items` are less than 3600.
pub(crate) fn record(n: u32, version: i64, items: i64) -> Value {
    let at = |hour: u8, second: i64| format!("2026-03-05T{hour:02}:{:02}:{:02}Z", second / 60, second % 60);
    json!({
        "id": key(n),
        "version": version,
        "at": at(2, version),
        "name": name(n),
        "text": TEXT,
        "items": (1..=items)
            .map(|place| json!({"place": place, "at": at(1, place), "by": officer(place)}))
            .collect::<Vec<_>>(),
    })
}

fn name(n: u32) -> String {
    format!("Vũ Thị Thử {n}")
}

/// Who did an item: another one each time, so that a target shows whether it was given the right one whole.
fn officer(place: i64) -> String {
    format!("Cán bộ Thử {place}")
}

impl Accepted {
    /// The bus has answered for this record.
    pub(crate) fn note(&mut self, n: u32, version: i64, items: i64) {
        let expected = json!({
            "id": key(n), "name": name(n), "text": format!("#{version} {TEXT}"), "unit": format!("Phòng {version}"),
        });
        self.records.entry(key(n)).or_default().insert(version, expected);
        let items = (1..=items).map(|place| {
            let text = format!("#{place} bước xử lý");
            (place, json!({"id": key(n), "by": officer(place), "text": text}))
        });
        self.items.entry(key(n)).or_default().extend(items);
    }
}
