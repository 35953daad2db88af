//! Routing keys: `<adapter>.<sector>.<procedure>.<type>`. What an event does not state is `-`, and goes to everybody;
//! levels and patterns are judged after receipt.

use crate::adapter::{Adapter, Selection};
use crate::dossier::ProcedureCode;
use crate::event::Event;

/// What stands for an unknown code.
const UNKNOWN: &str = "-";

/// Longest code in a key: the whole key has 255 bytes.
const LONGEST: usize = 60;

/// The key of an event. An event tells of the procedure only where it writes it, so that most go to every store.
///
/// One that gives a dossier another procedure or sector has its new key alone, and only what it writes: a store that is bound
/// by the old one is not told that the dossier has left, one that is bound by the new one was not told what it was before. A
/// store's own adapters are bound whatever they write, and events of others' are held, so nobody misses it yet; what merges
/// those needs a snapshot under both keys. A listener that is bound by sectors or procedures does miss it; `schemas/asyncapi.yaml`
/// says so.
pub(super) fn of(event: &Event) -> String {
    let procedure = event.data.register("procedure");
    let text = |pointer| procedure.and_then(|value| value.pointer(pointer)?.as_str());
    let root = text("/code")
        .map(|code| ProcedureCode::parse(code).map_or_else(|| code.to_owned(), |code| code.root));
    format!(
        "{}.{}.{}.{}",
        word(event.adapter()),
        text("/sector/code").map_or_else(|| UNKNOWN.to_owned(), word),
        root.map_or_else(|| UNKNOWN.to_owned(), |code| word(&code)),
        event.kind
    )
}

/// The keys by which a store that hosts these adapters is told: of what they subscribe to, of what nobody knows the
/// sector of, and of what they say themselves.
#[must_use]
pub fn bindings(adapters: &[Adapter]) -> Vec<String> {
    let mut keys = vec!["*.-.#".to_owned()];
    for adapter in adapters {
        keys.push(format!("{}.#", word(&adapter.name)));
        let Some(subscription) = &adapter.subscribe else {
            continue;
        };
        let words = |selection: Option<&Selection>| match selection {
            None => vec!["*".to_owned()],
            Some(selection) => selection.patterns().iter().map(|code| pattern(code)).collect(),
        };
        for sector in words(subscription.sectors()) {
            for procedure in words(subscription.procedures()) {
                keys.push(format!("*.{sector}.{procedure}.#"));
            }
        }
    }
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// A code as one word of a key.
fn word(code: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || c == '_' {
            c
        } else {
            '-'
        }
    };
    match code.len() {
        1..=LONGEST => code.chars().map(plain).collect(),
        _ => UNKNOWN.to_owned(),
    }
}

/// A pattern as a word of a binding: the broker knows no pattern within a word, the subscriber does.
fn pattern(code: &str) -> String {
    if code.contains('*') {
        return "*".to_owned();
    }
    word(&ProcedureCode::parse(code).map_or_else(|| code.to_owned(), |code| code.root))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_words_and_patterns_become_stars() {
        assert_eq!(word("2.000488"), "2-000488");
        assert_eq!(word(""), "-");
        assert_eq!(word("Tư pháp.*#"), "T--ph-p---");
        assert_eq!(word(&"x".repeat(61)), "-");
        assert_eq!(pattern("2.000488.000.00.00.H56"), "2-000488");
        assert_eq!(pattern("2.*"), "*");
        assert_eq!(pattern("G15-LLTP"), "G15-LLTP");
    }
}
