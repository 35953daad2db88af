//! Which of jq's own functions a mapping may call. What is not named here does not exist for it.

use std::collections::BTreeSet;
use std::sync::OnceLock;

/// `NAME/ARITY` of the engine's functions that are pure: the result depends on input and arguments only.
const ALLOWED: &[(&str, &str)] = &[
    (
        "control",
        "empty/0 not/0 select/1 isempty/1 true/0 false/0 null/0 error/0 error/1",
    ),
    (
        "streams",
        "first/1 last/1 limit/2 skip/2 nth/2 range/1 range/2 range/3 repeat/1 while/2 until/2",
    ),
    ("recursion", "recurse/0 recurse/1 recurse/2 walk/1"),
    (
        "kinds",
        "type/0 isboolean/0 isnumber/0 isstring/0 isarray/0 isobject/0",
    ),
    (
        "selection",
        "values/0 nulls/0 booleans/0 numbers/0 strings/0 arrays/0 objects/0 iterables/0 scalars/0",
    ),
    (
        "numbers",
        "abs/0 fabs/0 floor/0 ceil/0 round/0 trunc/0 sqrt/0 pow/2 exp/0 log/0 log2/0 log10/0",
    ),
    (
        "texts",
        "tostring/0 split/1 startswith/1 endswith/1 ltrimstr/1 rtrimstr/1 trim/0 ltrim/0 rtrim/0",
    ),
    (
        "letters",
        "ascii_downcase/0 ascii_upcase/0 explode/0 implode/0 utf8bytelength/0",
    ),
    (
        "patterns",
        "test/1 test/2 match/1 match/2 capture/1 capture/2 scan/1 scan/2 split/2 splits/1 splits/2",
    ),
    ("replacement", "sub/2 sub/3 gsub/2 gsub/3"),
    (
        "formats",
        "@text/0 @html/0 @htmld/0 @uri/0 @urid/0 @base64/0 @base64d/0 @sh/0",
    ),
    (
        "lists",
        "add/0 add/1 all/0 all/1 all/2 any/0 any/1 any/2 map/1 flatten/0 flatten/1 reverse/0 first/0 last/0 nth/1",
    ),
    (
        "order",
        "sort/0 sort_by/1 group_by/1 unique/0 unique_by/1 min/0 max/0 min_by/1 max_by/1",
    ),
    ("combination", "combinations/0 combinations/1"),
    (
        "objects",
        "keys/0 keys_unsorted/0 map_values/1 del/1 pick/1 to_entries/0 from_entries/0 with_entries/1",
    ),
    ("paths", "path/1 paths/0 paths/1 getpath/1 setpath/2 delpaths/1"),
    // Seconds since 1970; for the times of native systems there is parse_time.
    (
        "times",
        "todate/0 fromdate/0 todateiso8601/0 fromdateiso8601/0 mktime/0 gmtime/0 strftime/1 strptime/1",
    ),
    // What the definitions of those above are made of.
    (
        "parts",
        "!empty/0 error_empty/0 path_value/1 key_values/0 min_by_or_empty/1 max_by_or_empty/1",
    ),
    (
        "parts of patterns",
        "matches/2 split_matches/2 split_/2 scan_/2 capture_of_match/0",
    ),
    (
        "parts of formats",
        "escape_sh/0 escape_html/0 unescape_html/0 encode_base64/0 decode_base64/0 decode_uri/0",
    ),
];

/// Functions that other jq's have and mappings may not call, with what to do instead. Only for the message.
pub(super) const REFUSED: &[(&str, &str)] = &[
    ("env", "use a setting: $settings.NAME"),
    ("$ENV", "use a setting: $settings.NAME"),
    (
        "now",
        "use $now where it means something; a record must not depend on the time of mapping",
    ),
    ("localtime", "use parse_time and format_time"),
    ("strflocaltime", "use format_time"),
    ("input", "a filter sees one record, as its input"),
    ("inputs", "a filter sees one record, as its input"),
    ("input_filename", "a filter sees one record, as its input"),
    ("input_line_number", "a filter sees one record, as its input"),
    ("debug", "look at the output with adapter test"),
    ("stderr", "look at the output with adapter test"),
    (
        "halt",
        "use ignore(\"why\") or error({code, field, expected, remedy})",
    ),
    (
        "halt_error",
        "use ignore(\"why\") or error({code, field, expected, remedy})",
    ),
    ("import", "put shared definitions into lib.jq"),
    ("include", "put shared definitions into lib.jq"),
    ("get_search_list", "put shared definitions into lib.jq"),
    ("$__prog_args", "declare a setting"),
    ("$__loc__", "leave it out"),
];

/// Whether a function of the engine may be called.
pub(super) fn is_allowed(name: &str, arity: usize) -> bool {
    static SET: OnceLock<BTreeSet<(&str, usize)>> = OnceLock::new();
    SET.get_or_init(|| signatures().collect())
        .contains(&(name, arity))
}

fn signatures() -> impl Iterator<Item = (&'static str, usize)> {
    let signatures = ALLOWED.iter().flat_map(|(_, signatures)| signatures.split(' '));
    signatures.map(|signature| {
        let (name, arity) = signature.rsplit_once('/').expect("each is written NAME/ARITY");
        (name, arity.parse().expect("each is written NAME/ARITY"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_function_is_both_allowed_and_refused() {
        for (name, _) in REFUSED {
            assert!(signatures().all(|(allowed, _)| allowed != *name), "{name}");
        }
    }

    #[test]
    fn every_allowed_function_is_there() {
        for (name, arity) in signatures().filter(|(name, _)| *name != "!empty") {
            assert!(super::super::compile::is_builtin(name, arity), "{name}/{arity}");
        }
    }
}
