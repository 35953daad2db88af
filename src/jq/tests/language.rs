//! jq as others know it, and where ours differs.

use serde_json::{Value, json};

use super::*;

#[test]
fn jq_gives_what_jq_gives() {
    let record = json!({"a": [3, 1, 2], "n": null, "t": "x y", "deep": {"b": {"c": 1}}});
    let table = [
        ("identity", ".", json!([record])),
        ("missing field is null", ".none.at.all", json!([null])),
        ("stream", ".a[]", json!([3, 1, 2])),
        (
            "order of keys as written",
            "{z: 1, a: 2, m: .t} | keys_unsorted",
            json!([["z", "a", "m"]]),
        ),
        (
            "deleting keeps the order of keys",
            "del(.a) | keys_unsorted",
            json!([["n", "t", "deep"]]),
        ),
        ("update in the deep", ".deep.b.c |= . + 1 | .deep.b.c", json!([2])),
        (
            "assignment to null makes objects",
            "null | .a.b = 1",
            json!([{"a": {"b": 1}}]),
        ),
        (
            "assignment beyond the end fills with null",
            "[1] | .[3] = 4",
            json!([[1, null, null, 4]]),
        ),
        (
            "integers stay integers",
            "200000 / 2, 100000 * 1, 7 / 2, 1.0, 1e3",
            json!([100_000, 100_000, 3.5, 1, 1000]),
        ),
        (
            "beyond the integers come floats",
            "9223372036854775807 + 1",
            json!([9.223_372_036_854_776e18]),
        ),
        ("alternative", ".n // \"none\"", json!(["none"])),
        (
            "sorting",
            ".a | sort, min, max, add, length",
            json!([[1, 2, 3], 1, 3, 6, 3]),
        ),
        (
            "order of kinds",
            "[{}, [], \"\", 0, true, false, null] | sort",
            json!([[null, false, true, 0, "", [], {}]]),
        ),
        (
            "objects are equal whatever their order",
            "{a: 1, b: 2} == {b: 2, a: 1}",
            json!([true]),
        ),
        (
            "merge",
            "{a: {b: 1, c: 2}} * {a: {c: 3}}",
            json!([{"a": {"b": 1, "c": 3}}]),
        ),
        (
            "negative index and slices",
            ".a[-1], .a[1:], (.t | .[:1])",
            json!([2, [1, 2], "x"]),
        ),
        (
            "entries",
            ".deep | to_entries | from_entries",
            json!([{"b": {"c": 1}}]),
        ),
        ("reduce", "reduce .a[] as $x (0; . + $x)", json!([6])),
        (
            "destructuring",
            ". as {a: [$x, $y], $t} | [$x, $y, $t]",
            json!([[3, 1, "x y"]]),
        ),
        ("IN", "\"0\" | IN(\"0\", \"00\")", json!([true])),
        (
            "INDEX",
            "[{id: 1}, {id: 2}] | INDEX(.id) | keys",
            json!([["1", "2"]]),
        ),
        ("strings", "\"a,b\" | split(\",\") | join(\"-\")", json!(["a-b"])),
        ("interpolation", "\"\\(.t) \\(.a)\"", json!(["x y [3,1,2]"])),
        (
            "regular expression",
            "\"079200000123\" | test(\"^[0-9]{12}$\"), sub(\"0\"; \"_\")",
            json!([true, "_79200000123"]),
        ),
        (
            "json",
            ".a | tojson, (tojson | fromjson)",
            json!(["[3,1,2]", [3, 1, 2]]),
        ),
        (
            "numbers from texts",
            "\"12\", \"1.5\", \"007\" | tonumber",
            json!([12, 1.5, 7]),
        ),
        (
            "base64",
            "\"Việt\" | @base64, (@base64 | @base64d)",
            json!(["Vmnhu4d0", "Việt"]),
        ),
        ("uri", "@uri \"/\\(\"a/ê\")\"", json!(["/a%2F%C3%AA"])),
        ("paths", "[paths] | length", json!([9])),
        ("try", "try error(\"x\") catch .", json!(["x"])),
        (
            "limit, first, until",
            "[limit(2; range(9))], first(range(9)), (1 | until(. > 50; . * 2))",
            json!([[0, 1], 0, 64]),
        ),
        (
            "group_by, unique_by",
            "[1, 2, 3] | group_by(. % 2), unique_by(. % 2)",
            json!([[[2], [1, 3]], [2, 1]]),
        ),
        (
            "walk",
            "[1, [2]] | walk(if type == \"number\" then . + 1 else . end)",
            json!([[2, [3]]]),
        ),
        (
            "indices",
            "\"a,b, cd\" | indices(\", \"), index(\",\")",
            json!([[3], 1]),
        ),
        ("variables", "$dossier.code", json!(["H56-1"])),
        ("what is not a number is null", "-1 | sqrt", json!([null])),
    ];
    for (name, code, expected) in table {
        assert_eq!(
            run(code, &record).map(Value::Array),
            Ok(expected),
            "{name}: {code}"
        );
    }
}

#[test]
fn outputs_are_one_none_or_many_on_purpose() {
    let library = library(&[]).unwrap();
    let filter = |code: &str| library.compile(code, &[], &at(7)).unwrap();
    let code = |outcome: Result<Value, Error>| match outcome {
        Err(Error::Fault(fault)) => fault.code,
        other => panic!("{other:?}"),
    };
    let (input, scope) = (json!([1, null]), Scope::new());
    assert_eq!(filter(".[0]").one(&input, &scope), Ok(json!(1)));
    assert_eq!(code(filter("empty").one(&input, &scope)), "mapping-empty");
    assert_eq!(
        code(filter("{a: empty, b: 1}").one(&input, &scope)),
        "mapping-empty"
    );
    assert_eq!(code(filter(".[]").one(&input, &scope)), "mapping-many");
    assert_eq!(filter(".[0]").holds(&input, &scope), Ok(true));
    assert_eq!(filter(".[1]").holds(&input, &scope), Ok(false));
    assert_eq!(filter("empty").holds(&input, &scope), Ok(false));
    assert!(filter(".[]").holds(&input, &scope).is_err());
    let ignored = Err(Error::Ignored("a test record".to_owned()));
    assert_eq!(
        filter("try ignore(\"a test record\") catch 1").one(&input, &scope),
        ignored
    );
    assert_eq!(
        code(filter("ignore(\" \")").one(&input, &scope)),
        "ignore-without-reason"
    );
}

#[tokio::test]
async fn filters_are_shared_between_workers() {
    let library = library(&[]).unwrap();
    let filter = library.compile(". + 1", &[], &at(7)).unwrap();
    let workers = Workers::new(2, std::time::Duration::from_secs(5));
    let once = |n: i64| {
        let filter = filter.clone();
        workers.run(move || filter.one(&json!(n), &Scope::new()))
    };
    let (a, b) = tokio::join!(once(1), once(2));
    assert_eq!((a, b), (Ok(Ok(json!(2))), Ok(Ok(json!(3)))));
}
