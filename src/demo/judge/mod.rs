//! The judge: what must stand at the national portal, worked out from the one-stop's own rows and compared field by field.
//!
//! In go the rows of the one-stop as they stand in the end and whatever the portal holds; out comes a [`Verdict`]. The
//! rules are written down a second time here, in plain Rust, from the wire formats of the two systems: nothing is taken
//! from the adapters, their mappings or code tables, so that one misreading cannot be graded by itself. The judge reads
//! and never writes; it may be asked as often as one likes.
//!
//! A verdict names dossier codes and field names, never a value of a record.

mod avoided;
mod compare;
mod declarations;
mod expected;
mod identity;
mod licences;
mod lists;
mod reading;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::Serialize;
use serde_json::{Value, json};

pub use avoided::{Avoided, DECLARATION, Form, ONE_STOP_DOSSIER, PORTAL_DOSSIER, PORTAL_PROGRESS, avoided};
pub(super) use declarations::DEPARTMENT;
pub use declarations::{Parked, judge_declarations};
pub use expected::{Expected, expected};
pub use identity::{outcome as identity, told_of_check};
pub use licences::judge_licences;

/// What the judge found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Dossiers that must be there.
    pub expected: usize,
    /// Of those, dossiers that are there at least once.
    pub present: usize,
    /// Codes of dossiers that must be there and are not.
    pub missing: Vec<String>,
    /// One entry for every record beyond the first of its kind, progress entries included.
    pub duplicates: Vec<Duplicate>,
    /// Dossiers that are there and say something else than they must.
    pub different: Vec<Difference>,
    /// Progress entries that must be there and are not; each is among `different` too.
    pub missing_progress: Vec<Step>,
    /// Dossiers that deserve to be refused, and steps of dossiers that are due, counted by cause: `"ChuHoSo: empty"`.
    pub refused: BTreeMap<String, usize>,
    /// Dossiers that the portal does not count yet, because nobody has received them.
    pub not_due: usize,
    /// Codes under which something is there that must not be there; one entry per record.
    pub unexpected: Vec<String>,
}

impl Verdict {
    /// True if everything that must be there is there, once, as it must be, and nothing else is.
    ///
    /// What is refused does not spoil it: it is what the input deserves.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.missing.is_empty()
            && self.duplicates.is_empty()
            && self.different.is_empty()
            && self.unexpected.is_empty()
    }

    /// Lets one missing progress entry pass: this one, if it is missing. Whether it was.
    ///
    /// For an entry of which the bus itself says that nobody knows whether it is there.
    pub fn pass(&mut self, step: &Step) -> bool {
        let Some(at) = self.missing_progress.iter().position(|missing| missing == step) else {
            return false;
        };
        self.missing_progress.remove(at);
        if self
            .missing_progress
            .iter()
            .all(|missing| missing.code != step.code)
        {
            self.different
                .retain(|other| other.code != step.code || other.field != "progress");
        }
        true
    }
}

/// A progress entry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Step {
    /// Code of the dossier.
    pub code: String,
    /// Its time as the portal writes it: `ThoiDiemXuLy`.
    pub at: String,
}

/// A record that is there more than once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Duplicate {
    /// Code of the dossier.
    pub code: String,
    /// `"dossier"` or `"progress"`.
    pub record: &'static str,
}

/// A field that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Difference {
    /// Code of the dossier.
    pub code: String,
    /// Name of the field, `TaiLieuNop.DuocSoHoa` in a list; `progress` if a whole progress entry is not there, and
    /// `progress.NguoiXuLy` for a field of one.
    pub field: String,
}

/// What other systems know of the dossiers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Beside<'a> {
    /// The citizens against whom applicants were checked.
    pub register: &'a [Value],
    /// The licence desk's dossiers, which came into being there.
    pub licences: &'a [Value],
}

/// Fields of a dossier from elsewhere in which its origin and not the one-stop's row is the source: their times may be less
/// exact, their papers lie elsewhere.
const BY_ORIGIN: [&str; 7] = [
    "DinhDanhCHS",
    "NgayNopHoSo",
    "NgayTiepNhan",
    "NgayHenTra",
    "HinhThuc",
    "TaiLieuNop",
    "HoSoCoThanhPhanSoHoa",
];

/// Judges what the national portal holds (`portal_dossiers` as sent by `DongBoHoSoMC`, `portal_progress` as sent by
/// `CapNhatTienDoHoSoMC`) against the rows of the one-stop, whose files stand under `files`, and what other systems know of
/// their dossiers.
#[must_use]
pub fn judge(
    one_stop: &[Value],
    files: &str,
    beside: &Beside<'_>,
    portal_dossiers: &[Value],
    portal_progress: &[Value],
) -> Verdict {
    let mut verdict = Verdict::default();
    let mut due = BTreeMap::new();
    for row in one_stop {
        // How the result of a dossier from elsewhere goes out may have been stated after it was recorded here.
        let mut row = row.clone();
        if row["MaHoSoNguon"].is_string() && row["HinhThucTra"] == "" {
            row["HinhThucTra"] = 1.into();
        }
        match expected(&row, files) {
            Expected::Due {
                mut item,
                progress,
                refused,
            } => {
                if identity(&row, beside.register).0 == "match" {
                    item["TaiKhoanDuocXacThucVoiVNeID"] = "1".into();
                    item["DSKetNoiCSDL"] = json!([{"MaCSDL": "7"}]);
                }
                for cause in refused {
                    *verdict.refused.entry(cause).or_default() += 1;
                }
                if let Entry::Vacant(place) = due.entry(code_of(&item)) {
                    place.insert((item, progress));
                } else {
                    // Two dossiers cannot live under one code of the portal; a person decides which is which.
                    let cause = "MaHoSo: taken by another dossier".to_owned();
                    *verdict.refused.entry(cause).or_default() += 1;
                }
            }
            Expected::NotDue(_) => verdict.not_due += 1,
            Expected::Refused(cause) => *verdict.refused.entry(cause).or_default() += 1,
        }
    }
    verdict.expected = due.len();
    let mut held = by_code(portal_dossiers);
    let mut told = by_code(portal_progress);
    for (code, (item, progress)) in &due {
        let copies = held.remove(code).unwrap_or_default();
        let entries = told.remove(code).unwrap_or_default();
        if copies.is_empty() {
            verdict.missing.push(code.clone());
        } else {
            verdict.present += 1;
        }
        for _ in copies.iter().skip(1) {
            verdict.duplicates.push(Duplicate {
                code: code.clone(),
                record: "dossier",
            });
        }
        let mut fields: Vec<String> = copies
            .iter()
            .flat_map(|copy| compare::fields(item, copy))
            .collect();
        if let Some(dossier) = elsewhere(one_stop, beside, code) {
            fields.retain(|field| !BY_ORIGIN.iter().any(|own| field.starts_with(own)));
            let wrong = copies
                .iter()
                .flat_map(|copy| licences::differences(dossier, copy));
            fields.extend(wrong.map(str::to_owned));
        }
        let log = compare::log(progress, &entries);
        fields.extend(log.different);
        verdict
            .missing_progress
            .extend(log.missing.into_iter().map(|at| Step {
                code: code.clone(),
                at,
            }));
        fields.sort();
        fields.dedup();
        verdict
            .different
            .extend(fields.into_iter().map(|field| Difference {
                code: code.clone(),
                field,
            }));
        for _ in 0..log.doubled {
            verdict.duplicates.push(Duplicate {
                code: code.clone(),
                record: "progress",
            });
        }
        verdict
            .unexpected
            .extend(std::iter::repeat_n(code.clone(), log.unexpected));
    }
    for (code, records) in held.into_iter().chain(told) {
        verdict
            .unexpected
            .extend(std::iter::repeat_n(code, records.len()));
    }
    verdict
}

/// The dossier elsewhere that the one-stop's row of this code was made from.
fn elsewhere<'a>(one_stop: &[Value], beside: &Beside<'a>, code: &str) -> Option<&'a Value> {
    let row = one_stop.iter().find(|row| row["MaHoSo"] == code)?;
    let source = row["MaHoSoNguon"].as_str().filter(|source| !source.is_empty())?;
    beside.licences.iter().find(|dossier| dossier["maHoSo"] == source)
}

/// Judges the one-stop itself: every dossier that was put in (`stated`) stands there once, and no other does but those that
/// came from elsewhere, which are judged apart.
#[must_use]
pub fn judge_one_stop(stated: &[Value], rows: &[Value]) -> Verdict {
    let mut verdict = Verdict::default();
    let own = rows
        .iter()
        .filter(|row| row["MaHoSoNguon"].as_str().is_none_or(str::is_empty));
    let mut held = by_code(own);
    let wanted = by_code(stated);
    verdict.expected = wanted.len();
    for code in wanted.into_keys() {
        match held.remove(&code) {
            None => verdict.missing.push(code),
            Some(copies) => {
                verdict.present += 1;
                for _ in copies.iter().skip(1) {
                    verdict.duplicates.push(Duplicate {
                        code: code.clone(),
                        record: "dossier",
                    });
                }
            }
        }
    }
    for (code, records) in held {
        verdict
            .unexpected
            .extend(std::iter::repeat_n(code, records.len()));
    }
    verdict
}

/// The code under which a record stands, empty if it has none.
fn code_of(record: &Value) -> String {
    record
        .get("MaHoSo")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn by_code<'a>(records: impl IntoIterator<Item = &'a Value>) -> BTreeMap<String, Vec<&'a Value>> {
    let mut groups: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for record in records {
        groups.entry(code_of(record)).or_default().push(record);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stop_row_that_vanished_or_was_doubled_is_named() {
        let stated = [json!({"MaHoSo": "A"}), json!({"MaHoSo": "B"})];
        let rows = [
            json!({"MaHoSo": "B"}),
            json!({"MaHoSo": "B"}),
            json!({"MaHoSo": "C"}),
        ];
        let verdict = judge_one_stop(&stated, &rows);
        assert_eq!((verdict.expected, verdict.present), (2, 1));
        assert_eq!(verdict.missing, ["A"]);
        assert_eq!(
            verdict.duplicates,
            [Duplicate {
                code: "B".to_owned(),
                record: "dossier"
            }]
        );
        assert_eq!(verdict.unexpected, ["C"]);
        assert!(!verdict.is_clean());
        assert!(judge_one_stop(&stated, &stated).is_clean());
    }

    #[test]
    fn dossier_differs_until_the_last_of_its_missing_entries_has_passed() {
        let step = |at: &str| Step {
            code: "A".to_owned(),
            at: at.to_owned(),
        };
        let field = |field: &str| Difference {
            code: "A".to_owned(),
            field: field.to_owned(),
        };
        let mut verdict = Verdict {
            different: vec![field("Email"), field("progress")],
            missing_progress: vec![step("1"), step("2"), step("2")],
            ..Verdict::default()
        };
        assert!(!verdict.pass(&step("3")), "it is there");
        assert!(verdict.pass(&step("1")) && verdict.pass(&step("2")));
        assert_eq!(verdict.different, [field("Email"), field("progress")]);
        assert!(
            verdict.pass(&step("2")),
            "two of one time are two, and one is not yet excused"
        );
        assert_eq!(verdict.different, [field("Email")]);
        assert!(!verdict.pass(&step("2")));
    }
}
