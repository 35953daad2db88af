//! More dossiers than there are: copies under sequence numbers of their own.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Input, code};
use crate::fault::Fault;

/// The greatest sequence number that a dossier code can hold (six digits).
const LAST: u32 = 999_999;

/// Clones the dossiers of `input` and their acts, round after round, until there are `count`.
///
/// A clone differs in its codes, here and at the portal, and in the applicant's number.
pub(super) fn fill(input: &mut Input, count: usize) -> Result<(), Vec<Fault>> {
    let originals = input.dossiers.clone();
    let mut acts: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for act in &input.script {
        acts.entry(code(act).unwrap_or_default().to_owned())
            .or_default()
            .push(act.clone());
    }
    let mut sequences = Sequences::used_by(&originals);
    let rounds = originals
        .iter()
        .cycle()
        .zip((0..count).map(|n| n / originals.len()));
    for (original, round) in rounds.skip(originals.len()) {
        let mut clone = original.clone();
        for field in ["MaHoSo", "MaHoSoKhac"] {
            sequences.renew(&mut clone, field)?;
        }
        if let Some(Value::String(number)) = clone.get_mut("SoGiayToChuHoSo") {
            *number = another_number(number, round);
        }
        let own = clone.get("MaHoSo").cloned().unwrap_or_default();
        if let Some(Value::Array(progress)) = clone.get_mut("TienTrinh") {
            for row in progress.iter_mut().filter(|row| row.is_object()) {
                row["MaHoSo"] = own.clone();
            }
        }
        let stated = code(original).and_then(|code| acts.get(code));
        for act in stated.into_iter().flatten() {
            let mut act = act.clone();
            act["MaHoSo"] = own.clone();
            input.script.push(act);
        }
        input.dossiers.push(clone);
    }
    Ok(())
}

/// The next free sequence number of each agency and day.
struct Sequences(BTreeMap<String, u32>);

impl Sequences {
    fn used_by(rows: &[Value]) -> Self {
        let mut next = BTreeMap::new();
        let codes = rows
            .iter()
            .flat_map(|row| [row.get("MaHoSo"), row.get("MaHoSoKhac")]);
        for (day, sequence, _) in codes.flatten().filter_map(Value::as_str).filter_map(split) {
            let free: &mut u32 = next.entry(day.to_owned()).or_default();
            *free = (*free).max(sequence + 1);
        }
        Self(next)
    }

    /// Gives the code in `field` a free sequence number, as long as the old one; leaves an empty field alone.
    fn renew(&mut self, row: &mut Value, field: &str) -> Result<(), Vec<Fault>> {
        let Some(stated) = row
            .get(field)
            .and_then(Value::as_str)
            .filter(|stated| !stated.is_empty())
        else {
            return Ok(());
        };
        let refusal = |found: &str| {
            vec![
                Fault::new("input-cannot-clone")
                    .field(field)
                    .found(found)
                    .expected("codes AGENCY-YYMMDD-NNNN with a free sequence number")
                    .remedy("ask for fewer with --dossiers or bring more dossiers with --input"),
            ]
        };
        let (day, _, width) = split(stated).ok_or_else(|| refusal("a code without a sequence number"))?;
        let free = self.0.entry(day.to_owned()).or_default();
        if *free > LAST {
            return Err(refusal("no free sequence number"));
        }
        let renewed = format!("{day}-{free:0width$}");
        *free += 1;
        row[field] = Value::String(renewed);
        Ok(())
    }
}

/// Agency and day, sequence number and how many digits it is written with.
fn split(code: &str) -> Option<(&str, u32, usize)> {
    let (day, sequence) = code.rsplit_once('-')?;
    let fits = (4..=6).contains(&sequence.len()) && sequence.bytes().all(|byte| byte.is_ascii_digit());
    if fits {
        Some((day, sequence.parse().ok()?, sequence.len()))
    } else {
        None
    }
}

/// Another number of the same kind: its last digits, six at most, moved on. The number that means "unknown" stays.
fn another_number(number: &str, round: usize) -> String {
    let digits = number
        .bytes()
        .rev()
        .take(6)
        .take_while(u8::is_ascii_digit)
        .count();
    let (head, tail) = number.split_at(number.len() - digits);
    match tail.parse::<usize>() {
        Ok(serial) if number != "000000001" => {
            let all = 10_usize.pow(u32::try_from(digits).unwrap_or_default());
            format!("{head}{:0digits$}", (serial + round) % all)
        }
        _ => number.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::super::text;
    use super::*;

    #[test]
    fn clones_have_codes_of_their_own_everywhere() {
        let input = Input::load(None, Some(200)).unwrap();
        assert_eq!(input.dossiers.len(), 200);
        let codes: BTreeSet<&str> = input.dossiers.iter().filter_map(code).collect();
        assert_eq!(codes.len(), 200);
        let at_portal = input
            .dossiers
            .iter()
            .filter_map(|row| text(row, "MaHoSoKhac"))
            .filter(|code| !code.is_empty());
        let at_portal: Vec<&str> = at_portal.collect();
        assert_eq!(at_portal.len(), at_portal.iter().collect::<BTreeSet<_>>().len());
        for row in &input.dossiers {
            for event in row["TienTrinh"].as_array().unwrap() {
                assert_eq!(event["MaHoSo"], row["MaHoSo"]);
            }
        }
    }

    #[test]
    fn clones_are_acted_on_as_their_originals_are() {
        let input = Input::load(None, Some(63)).unwrap();
        let acts = |n: usize| -> Vec<Value> {
            let own = input
                .script
                .iter()
                .filter(|act| act["MaHoSo"] == input.dossiers[n]["MaHoSo"]);
            own.map(|act| act["HanhDong"].clone()).collect()
        };
        assert!(!acts(0).is_empty());
        assert_eq!(acts(0), acts(62));
        assert_ne!(
            input.dossiers[0]["SoGiayToChuHoSo"],
            input.dossiers[62]["SoGiayToChuHoSo"]
        );
    }

    #[test]
    fn numbers_move_on_within_their_kind() {
        assert_eq!(another_number("038051999999", 1), "038051000000");
        assert_eq!(another_number("2827004615-001", 2), "2827004615-003");
        assert_eq!(another_number("X12345678", 1), "X12345679");
        assert_eq!(another_number("000000001", 1), "000000001");
        assert_eq!(another_number("", 1), "");
    }

    #[test]
    fn used_up_sequence_numbers_are_a_fault_and_no_double() {
        let row = json!({"MaHoSo": "H56.14-260429-999999"});
        let mut input = Input {
            dossiers: vec![row],
            script: Vec::new(),
        };
        assert_eq!(fill(&mut input, 2).unwrap_err()[0].code, "input-cannot-clone");
    }
}
