//! Nothing that a mapping does uses up steps, memory or stack of the daemon.

use serde_json::{Value, json};

use super::*;

/// The code of the fault that stops an expression, or `None`.
fn stopped(code: &str, bounds: Bounds) -> Option<String> {
    let library = library(&[]).unwrap().with_bounds(bounds);
    let filter = library.compile(code, &[], &at(7)).unwrap();
    match filter.all(&json!(0), &Scope::new()) {
        Ok(_) => None,
        Err(Error::Fault(fault)) => Some(fault.code),
        Err(other) => panic!("{code}: {other:?}"),
    }
}

const SMALL: Bounds = Bounds {
    steps: 300_000,
    memory: 32 << 20,
    size: 4 << 20,
};

#[test]
fn what_grows_without_end_is_stopped() {
    let table = [
        ("recursion", "def f: 1 + f; f", "mapping-too-long"),
        ("tail recursion", "def f: f; f", "mapping-too-long"),
        (
            "recursion through an argument",
            "def f(g): f(g | . + 1); f(.)",
            "mapping-too-long",
        ),
        (
            "recursion of streams",
            "def f: ., (f | . + 1); last(f)",
            "mapping-too-long",
        ),
        ("recurse", "last(recurse(. + 1))", "mapping-too-long"),
        ("repeat", "last(repeat(1))", "mapping-too-long"),
        ("while", "last(0 | while(true; . + 1))", "mapping-too-long"),
        ("until", "0 | until(false; . + 1)", "mapping-too-long"),
        ("range", "last(range(1e12))", "mapping-too-long"),
        ("limit", "last(limit(1e12; repeat(1)))", "mapping-too-long"),
        ("skip", "first(skip(1e12; range(1e13)))", "mapping-too-long"),
        (
            "reduce",
            "reduce range(1e12) as $i (0; . + $i)",
            "mapping-too-long",
        ),
        (
            "long comparison",
            "[range(1e5)] as $l | [range(1e5)] as $m | reduce range(1e5) as $i (0; if $l == $m then . else 1 end)",
            "mapping-too-long",
        ),
        ("list minus list", "[range(1e5)] | . - .", "mapping-too-long"),
        ("text times number", "\"x\" * 1e9", "mapping-too-big"),
        (
            "text doubled",
            "reduce range(40) as $i (\"x\"; . + .)",
            "mapping-too-big",
        ),
        ("list of a range", "[range(1e9)]", "mapping-too-big"),
        (
            "list doubled",
            "reduce range(60) as $i ([1]; . + .)",
            "mapping-too-big",
        ),
        (
            "list of itself",
            "reduce range(60) as $i (1; [., .])",
            "mapping-too-big",
        ),
        (
            "object of itself",
            "reduce range(60) as $i (1; {a: ., b: .})",
            "mapping-too-big",
        ),
        ("nesting", "reduce range(1e6) as $i (0; [.])", "mapping-too-big"),
        (
            "nesting by path",
            "reduce range(1e6) as $i (0; {a: .})",
            "mapping-too-big",
        ),
        ("far place in a list", "[] | .[1000000000] = 1", "mapping-too-big"),
        ("many texts", "[range(1e6) | \"x\" * 100000]", "mapping-too-big"),
        ("many outputs", "range(1e6) | \"x\" * 1000", "mapping-too-big"),
        (
            "paths",
            "{} | setpath([range(1e4) | tostring]; 1)",
            "mapping-too-big",
        ),
        (
            "combinations",
            "[[range(300)], [range(300)], [range(300)]] | [combinations]",
            "mapping-too-big",
        ),
        (
            "many matches",
            "\"a\" * 1000000 | [match(\"a\"; \"g\")]",
            "mapping-too-long",
        ),
        (
            "long pattern",
            "\"x\" * 100000 | test(\"((x{50}){50}){50}\")",
            "mapping-too-long",
        ),
        ("nested parsing", "(\"[\" * 100000) | fromjson", "mapping-error"),
    ];
    for (name, code, expected) in table {
        assert_eq!(stopped(code, SMALL).as_deref(), Some(expected), "{name}: {code}");
    }
}

#[test]
fn natives_and_builtins_are_no_way_round_the_bounds() {
    let (text, list) = ("\"x\" * 3000000", "[range(1e5)]");
    let table = [
        ("hashing", format!("{text} as $x | last(repeat($x | sha256))")),
        (
            "signing",
            format!("{text} as $x | last(repeat($x | hmac_sha256(\"k\")))"),
        ),
        ("normalising", format!("{text} as $x | last(repeat($x | nfc))")),
        ("cleaning", "\"x \" * 1000000 | last(repeat(clean))".to_owned()),
        ("folding", "\"x \" * 1000000 | last(repeat(fold))".to_owned()),
        (
            "comparing",
            format!("{text} as $x | last(repeat($x | alike($x)))"),
        ),
        (
            "names",
            "\"x \" * 1000000 | last(repeat(split_name | join_name))".to_owned(),
        ),
        (
            "times",
            "\"20260305\" | last(repeat(parse_time(\"%Y%m%d\") | format_time(\"%Y%m%d\")))".to_owned(),
        ),
        (
            "codes",
            "last(repeat(1 | tostring | ascii_downcase | explode | implode))".to_owned(),
        ),
        ("quoting", "reduce range(40) as $i (\"'\"; @sh)".to_owned()),
        (
            "encoding",
            "reduce range(99) as $i (\"x\" * 1000; @base64)".to_owned(),
        ),
        (
            "writing",
            "reduce range(99) as $i (\"x\" * 1000; [., .] | tostring)".to_owned(),
        ),
        ("splitting", format!("{text} | split(\"\")")),
        (
            "joining",
            "[limit(1000; repeat(\"x\" * 100000))] | add".to_owned(),
        ),
        (
            "sorting",
            format!("{list} as $l | last(repeat($l | sort_by(-.)))"),
        ),
        (
            "grouping",
            format!("{list} as $l | last(repeat($l | group_by(. % 7)))"),
        ),
        (
            "entries",
            format!("{list} | map({{key: tostring, value: .}}) as $l | last(repeat($l | from_entries))"),
        ),
        ("walking", format!("{list} as $l | last(repeat($l | walk(.)))")),
        ("replacing", "\"a\" * 1000000 | gsub(\"a\"; \"bbbb\")".to_owned()),
    ];
    for (name, code) in table {
        let stopped = stopped(&code, SMALL).unwrap_or_default();
        assert!(stopped.starts_with("mapping-too-"), "{name}: {code}: {stopped:?}");
    }
}

#[test]
fn deepest_recursion_fits_the_stack_under_the_default_bounds() {
    let table = [
        "def f: 1 + f; f",
        "def f: [limit(1; f)]; f",
        "def f: reduce . as $x (0; f); f",
        "def f: try f catch .; f",
        "def f: label $x | f; f",
        "def f: . as [$x] | f; null | f",
        "def f: .[0] = f; null | f",
        "def f: ., (f | . + 1); last(f)",
        "def f($n; g): if $n == 0 then g else f($n - 1; g | . + 1) end; f(1e6; .)",
        // Chains of closures, which are freed recursively.
        "def f(g): f(g | . + 1); f(.)",
        "def f(g): def h(k): f(k | g); h(g); f(.)",
        "def f(g): g | f(g); f(. + 1)",
    ];
    for code in table {
        assert_eq!(
            stopped(code, Bounds::default()).as_deref(),
            Some("mapping-too-long"),
            "{code}"
        );
    }
}

#[test]
fn large_but_honest_work_is_within_the_default_bounds() {
    let table = [
        "reduce range(20000) as $i ([]; . + [$i])",
        "reduce range(20000) as $i ({}; .[$i | tostring] = $i)",
        "reduce range(20000) as $i (\"\"; . + \"x\")",
        "[range(20000)] | map({a: ., b: [.], c: {d: .}, e: (. | tostring)})",
        "[range(20000) | {id: tostring}] | INDEX(.id)",
        "[range(20000)] | group_by(. % 7) | map(add)",
        "[limit(20000; repeat([1]))] | add | length",
        "[recurse(if . < 20000 then . + 1 else empty end)]",
        "[range(2000) | \"079200000123\" | test(\"^[0-9]{12}$\")] | all",
    ];
    for code in table {
        assert_eq!(stopped(code, Bounds::default()), None, "{code}");
    }
}

#[test]
fn hostile_code_is_compiled_or_refused() {
    let library = library(&[]).unwrap();
    let table = [
        ("(".repeat(60_000), false),
        ("(".repeat(190) + "1" + &")".repeat(190), true),
        ("\"\\(".repeat(30_000), false),
        ("-".repeat(65_000) + "1", false),
        ("-".repeat(19_000) + "1", true),
        ("1".to_owned() + &"+1".repeat(9_900), true),
        (".".to_owned() + &"|.".repeat(9_900), true),
        ("1".to_owned() + &" as $x|1".repeat(3_900), true),
        ("if . then ".repeat(4_500) + "1" + &" end".repeat(4_500), true),
        ("def f: ".repeat(3_000) + "1" + &"; f".repeat(3_000), true),
        ("try ".repeat(16_000) + "1", true),
        (".a".repeat(9_900), true),
        (" ".repeat(300_000), false),
    ];
    for (code, compiles) in table {
        let begin: String = code.chars().take(10).collect();
        let outcome = library.compile(&code, &[], &at(1));
        assert_eq!(outcome.is_ok(), compiles, "{begin}");
        if let Ok(filter) = outcome {
            // Whatever it gives: it comes to an end.
            drop(filter.all(&json!(null), &Scope::new()));
        }
    }
}

#[test]
fn input_and_variables_have_a_bound_too() {
    let library = library(&[]).unwrap().with_bounds(Bounds {
        size: 10_000,
        ..Bounds::default()
    });
    let filter = library.compile("1", &["x"], &at(7)).unwrap();
    let (big, small) = (json!("x".repeat(20_000)), json!(1));
    let code = |input: &Value, x: &Value| {
        filter
            .one(input, &Scope::new().with("x", x))
            .map_err(|error| error.to_string())
    };
    assert_eq!(code(&small, &small), Ok(json!(1)));
    assert!(code(&big, &small).unwrap_err().contains("[mapping-too-big]"));
    assert!(code(&small, &big).unwrap_err().contains("[mapping-too-big]"));
}
