//! Files, expressions and texts: what they see, and where a fault in them is said to be.

use serde_json::{Value, json};

use super::*;

#[test]
fn files_are_filters_that_see_the_library_and_the_variables_of_their_user() {
    let library = library(&[
        ("lib.jq", LIB),
        (
            "progress.jq",
            "\u{feff}# an entry\ndef who: $dossier.by;\n{n: (.n | four), by: who}",
        ),
        ("sandbox_note.txt", "not jq"),
    ])
    .unwrap();
    assert_eq!(library.names().collect::<Vec<_>>(), ["progress"]);
    let scope = Scope::new()
        .with("dossier", json!({"by": "cb1"}))
        .with("token", json!("T"));
    let filter = library
        .compile(".items[] | progress", &["dossier"], &at(1))
        .unwrap();
    let input = json!({"items": [{"n": 1}, {"n": 2}]});
    assert_eq!(
        filter.all(&input, &scope),
        Ok(vec![json!({"n": 4, "by": "cb1"}), json!({"n": 8, "by": "cb1"})])
    );
    // `call` needs $token, which the mapping above does not have and does not miss.
    let call = library
        .compile("call(\"x\") + {data: [.]}", &["token"], &at(1))
        .unwrap();
    assert_eq!(
        call.one(&json!(1), &scope),
        Ok(json!({"session": "T", "service": "x", "data": [1]}))
    );
}

#[test]
fn every_fault_of_a_folder_is_told_at_once() {
    let faults = library(&[
        ("lib.jq", "def a: 1;\ndef b: nothing;\n"),
        ("split.jq", "."),
        ("two-words.jq", "."),
        ("now.jq", "."),
    ]);
    let function = "expected a function of jq or the bus, a NAME.jq (in a NAME.jq: not another), a def";
    let rename = "next rename the file";
    assert_eq!(
        faults.unwrap_err(),
        [
            format!(
                "now.jq: [filter-hides-builtin] found a filter of the name now; expected a name that jq and the bus do not have; {rename}"
            ),
            format!(
                "split.jq: [filter-hides-builtin] found a filter of the name split; expected a name that jq and the bus do not have; {rename}"
            ),
            format!(
                "two-words.jq: [filter-name] found a filter of the name two-words; expected a word of letters, digits and _ that is no keyword of jq; {rename}"
            ),
            format!(
                "lib.jq:2: [unknown-function] found nothing/0; {function}; next correct the name, or define it in lib.jq"
            ),
        ]
    );
    let faults = library(&[
        (
            "one.jq",
            "{\n  a: lowr,\n  b: $x,\n  c: to_native(\"chanel\"),\n  d: two\n}",
        ),
        ("two.jq", "{a: }"),
        CHANNEL,
    ]);
    assert_eq!(
        faults.unwrap_err(),
        [
            "one.jq:4: [table-missing] found the name of a table, chanel; expected channel; next correct the name or add \
             the table"
                .to_owned(),
            format!("one.jq:2: [unknown-function] found lowr/0; {function}; next did you mean lower/0?"),
            format!("one.jq:5: [unknown-function] found two/0; {function}; next correct the name, or define it in lib.jq"),
            "two.jq:1: [jq-syntax] found }; expected term; next correct the jq at this place".to_owned(),
        ]
    );
    let faults = library(&[
        ("lib.jq", "def a: 1;\ndef map(f): .;\ndef one: 1;"),
        ("one.jq", "."),
    ])
    .unwrap_err();
    assert_eq!(
        faults,
        [
            "lib.jq:2: [filter-hides-builtin] found the definition map; expected a name that jq and the bus do not have",
            "lib.jq:3: [filter-hides-builtin] found the definition one; expected a name that no file has",
        ]
    );
}

#[test]
fn faults_of_an_expression_name_file_line_and_key() {
    let library = library(&[
        ("lib.jq", LIB),
        ("progress.jq", "{a: 1,\n by: $dossier.by}"),
        CHANNEL,
    ])
    .unwrap();
    let function = "expected a function of jq or the bus, a NAME.jq (in a NAME.jq: not another), a def; next correct the name, or define it in lib.jq";
    let refused = "expected a function that depends on its input only";
    let table = [
        (".a |\n .b | nowhere", vec![format!("adapter.toml:8: [unknown-function] push.dossier.record: found nowhere/0; {function}")]),
        (
            "$item + $dossir",
            vec![
                "adapter.toml:7: [unknown-variable] push.dossier.record: found $dossir; expected one of those that mean \
                 something here: $item; next correct the name, or bind it with `as`"
                    .to_owned(),
            ],
        ),
        (
            "progress",
            vec!["progress.jq:2: [unknown-variable] found $dossier; expected one of those that mean something here: $item; next correct the name, or bind it with `as`".to_owned()],
        ),
        (
            "call(1)",
            vec!["lib.jq:2: [unknown-variable] found $token; expected one of those that mean something here: $item; next correct the name, or bind it with `as`".to_owned()],
        ),
        (
            "now, env,\ninput",
            vec![
                format!("adapter.toml:7: [function-refused] push.dossier.record: found now; {refused}; next use $now where it means something; a record must not depend on the time of mapping"),
                format!("adapter.toml:7: [function-refused] push.dossier.record: found env; {refused}; next use a setting: $settings.NAME"),
                format!("adapter.toml:8: [function-refused] push.dossier.record: found input; {refused}; next a filter sees one record, as its input"),
            ],
        ),
        (
            "$ENV",
            vec![format!("adapter.toml:7: [function-refused] push.dossier.record: found $ENV; {refused}; next use a setting: $settings.NAME")],
        ),
        (
            "include \"x\"; .",
            vec!["adapter.toml:7: [jq-syntax] push.dossier.record: found \"x\"; expected nothing; next correct the jq at this place".to_owned()],
        ),
        (
            "\n\n{a: [1}",
            vec!["adapter.toml:9: [jq-syntax] push.dossier.record: found }; expected closing bracket; next correct the jq at this place".to_owned()],
        ),
        (
            "to_native(\"status\")",
            vec!["adapter.toml:7: [table-missing] push.dossier.record: found the name of a table, status; expected channel; next correct the name or add the table".to_owned()],
        ),
    ];
    for (code, expected) in table {
        let faults = library.compile(code, &["item"], &at(7)).unwrap_err();
        assert_eq!(
            faults.iter().map(Fault::to_string).collect::<Vec<_>>(),
            expected,
            "{code}"
        );
    }
    for refused in [
        "now",
        "env",
        "localtime",
        "input",
        "inputs",
        "debug",
        "debug(1)",
        "stderr",
        "halt",
        "halt(1)",
        "halt_error",
        "input_filename",
        "get_search_list",
        "$__prog_args",
        "$__loc__",
        "\"\" | strflocaltime(\"\")",
    ] {
        let faults = library.compile(refused, &[], &at(1)).unwrap_err();
        assert_eq!(faults[0].code, "function-refused", "{refused}");
    }
    for engine in [
        "stderr_empty",
        "debug_empty",
        "input_line_number",
        "import \"a\" as a; .",
        "halt_error(1)",
        "ltrimstr",
    ] {
        assert!(library.compile(engine, &[], &at(1)).is_err(), "{engine}");
    }
}

#[test]
fn text_takes_values_in_and_escapes_them() {
    let library = library(&[]).unwrap();
    let scope = Scope::new().with(
        "dossier",
        json!({"code": "H56/1 ê", "none": null, "up": "..", "n": 3}),
    );
    let render = |template: &str, escape: Escape| {
        let text = library.text(template, &["dossier"], &at(7), escape);
        let text = text.map_err(|faults| faults[0].to_string())?;
        text.render(&json!({"a": "b"}), &scope)
            .map_err(|error| error.to_string())
    };
    let place = "adapter.toml:7: [text-without-value] push.dossier.record: found";
    let table = [
        (r"/a/\($dossier.code)/\(.a)", Escape::Percent, Ok("/a/H56%2F1%20%C3%AA/b".to_owned())),
        (r"/a/\($dossier.code)", Escape::None, Ok("/a/H56/1 ê".to_owned())),
        (r#"Basic \("\(.a):\($dossier.n))" | @base64)"#, Escape::None, Ok("Basic YjozKQ==".to_owned())),
        (r"a \( (1 + 2) # three :)
           ) \\(b) \d", Escape::None, Ok(r"a 3 \(b) \d".to_owned())),
        ("no value", Escape::Percent, Ok("no value".to_owned())),
        (r"/\($dossier.none)", Escape::Percent, Err(format!("{place} null; expected a text, a number or a boolean"))),
        (r"/\($dossier)", Escape::None, Err(format!("{place} an object; expected a text, a number or a boolean"))),
        (r"/\($dossier.up)", Escape::Percent, Err(format!("{place} a step in a path; expected a text, a number or a boolean"))),
        (
            "/\n/\\(.a)\n\\(.b | nowhere)",
            Escape::None,
            Err("adapter.toml:9: [unknown-function] push.dossier.record: found nowhere/0; expected a function of jq or the \
                 bus, a NAME.jq (in a NAME.jq: not another), a def; next correct the name, or define it in lib.jq".to_owned()),
        ),
        (r"/\(.a", Escape::None, Err(r"adapter.toml:7: [jq-syntax] push.dossier.record: found \( without its ); next close the bracket".to_owned())),
    ];
    for (template, escape, expected) in table {
        assert_eq!(render(template, escape), expected, "{template}");
    }
}

#[test]
fn expressions_of_real_manifests_give_what_they_should() {
    const NEXT_STEP: &str = r#"
        # 1 arrived, 3 accepted, 7 sent on, 4 ready, 5 returned; exits 2 supplement (then 3 again) and 6 rejected
        def place: . as $s | if $s == 2 then 0 else [1, 3, 7, 4, 5] | index($s) // -1 end;
        ($dossier.status.value | to_native("status") | tonumber) as $want
        | if IN($want, 5, 6) then empty elif $want | IN(2, 6) then $want
          elif place < ($want | place) then [1, 3, 7, 4, 5][place + 1] else empty end
        | {step: "status", record: {maHoSo: $dossier.code, trangThai: .}}"#;
    let library = library(&[
        ("lib.jq", "def call($service): {session: $token, madonvi: $settings.agency, service: $service};"),
        ("next_step.jq", NEXT_STEP),
        (
            "progress.jq",
            r#"{MaHoSo: ($dossier.links[$system][0] // $dossier.code), NguoiXuLy: (.by // "" | cut(50)),
                ThoiDiemXuLy: (.at | format_time("%Y%m%d%H%M%S")), TrangThai: (.value | to_native("status"))}"#,
        ),
        ("tables/status.csv", "native,canonical\n1,registered\n3,accepted\n4,completed\n"),
    ])
    .unwrap();
    let scope = Scope::new()
        .with("token", json!("T"))
        .with("settings", json!({"agency": "H56", "secret": "s"}))
        .with("system", json!("portal"))
        .with("key", json!("K"))
        .with("raw", json!("body"))
        .with(
            "dossier",
            json!({"code": "C", "links": {}, "status": {"value": "completed"}}),
        )
        .with(
            "headers",
            json!({"x-signature": "01cd4d6dba87b4a7b8d5f9b1b1b7b4c5"}),
        );
    let variables = ["token", "settings", "system", "key", "raw", "dossier", "headers"];
    let entry = json!({"by": "Cán bộ", "at": "2026-03-05T02:30:00Z", "value": "accepted"});
    let table = [
        (
            ".error_code | tostring | IN(\"0\", \"00\")",
            json!({"error_code": 0}),
            json!([true]),
        ),
        (
            "call(\"Tra\") + {mahoso: $key}",
            json!(1),
            json!([{"session": "T", "madonvi": "H56", "service": "Tra", "mahoso": "K"}]),
        ),
        (
            ".result[]?.TienDo[]? | select(.a == $key)",
            json!({"result": [{"TienDo": [{"a": "K"}, {"a": 1}]}, {}]}),
            json!([{"a": "K"}]),
        ),
        (".result[]?", json!({"error": 1}), json!([])),
        (
            ".rows | if length == 2 then last.ID else empty end",
            json!({"rows": [{"ID": 1}, {"ID": 2}]}),
            json!([2]),
        ),
        (
            ".[0].record | {ID}",
            json!([{"record": {"ID": 7, "x": 1}}]),
            json!([{"ID": 7}]),
        ),
        ("{page: ($dossier.page // 0)}", json!(null), json!([{"page": 0}])),
        (
            "{schedule: ({due: (.NgayHenTra | parse_time(\"%Y%m%d\")), received: .none} | given)}",
            json!({"NgayHenTra": "20260305"}),
            json!([{"schedule": {"due": "2026-03-05"}}]),
        ),
        (
            "$headers[\"x-signature\"] | same($raw | hmac_sha256($settings.secret))",
            json!(null),
            json!([false]),
        ),
        (
            "(.SO | alike(\"079200000123\")) or (.TEN | alike(\"nguyen van a\"))",
            json!({"SO": "1", "TEN": "Nguyễn Văn A"}),
            json!([true]),
        ),
        (
            "progress",
            entry,
            json!([{"MaHoSo": "C", "NguoiXuLy": "Cán bộ", "ThoiDiemXuLy": "20260305093000", "TrangThai": "3"}]),
        ),
        (
            "next_step",
            json!(3),
            json!([{"step": "status", "record": {"maHoSo": "C", "trangThai": 7}}]),
        ),
        ("next_step", json!(4), json!([])),
    ];
    for (code, input, expected) in table {
        let filter = library.compile(code, &variables, &at(1)).unwrap();
        assert_eq!(
            filter.all(&input, &scope).map(Value::Array),
            Ok(expected),
            "{code}"
        );
    }
}
