//! What the bus adds: results and refusals.

use serde_json::json;

use super::*;

#[test]
fn natives_do_as_their_tables_say() {
    let time = "%d/%m/%Y %H:%M:%S";
    let table = [
        // codes
        ("to_native", json!("online"), "to_native(\"channel\")", json!("2")),
        (
            "to_canonical of a number",
            json!(1),
            "to_canonical(\"channel\")",
            json!("direct"),
        ),
        ("no code", json!(null), "to_native(\"channel\")", json!(null)),
        ("empty code", json!(""), "to_canonical(\"channel\")", json!(null)),
        // XML inside a text
        (
            "an envelope",
            json!("<s:B xmlns:s=\"urn:a\"><s:Ten>Lê</s:Ten><s:Nam/></s:B>"),
            "from_xml",
            json!({"B": {"Ten": "Lê", "Nam": null}}),
        ),
        ("no text, no document", json!(null), "from_xml", json!(null)),
        (
            "a document",
            json!({"B": {"b": 1, "a": "<"}}),
            "to_xml",
            json!("<B><b>1</b><a>&lt;</a></B>"),
        ),
        // times
        (
            "local time to UTC",
            json!("05/03/2026 09:30:00"),
            &format!("parse_time(\"{time}\")"),
            json!("2026-03-05T02:30:00Z"),
        ),
        (
            "UTC to local time",
            json!("2026-03-04T20:30:00Z"),
            &format!("format_time(\"{time}\")"),
            json!("05/03/2026 03:30:00"),
        ),
        ("no time in", json!(""), "parse_time(\"%Y%m%d\")", json!(null)),
        ("no time out", json!(null), "format_time(\"%Y%m%d\")", json!("")),
        (
            "time known to the day stays a day",
            json!("20260305"),
            "parse_time(\"%Y%m%d\")",
            json!("2026-03-05"),
        ),
        (
            "day where hours are asked for",
            json!("2026-03-05"),
            "format_time(\"%Y%m%d%H%M%S\")",
            json!("20260305000000"),
        ),
        (
            "number of a time",
            json!(20_260_305),
            "parse_time(\"%Y%m%d\")",
            json!("2026-03-05"),
        ),
        (
            "first format that fits",
            json!("2026-03-05 09:30"),
            "parse_time([\"%Y%m%d\", \"%Y-%m-%d %H:%M\"])",
            json!("2026-03-05T02:30:00Z"),
        ),
        (
            "date",
            json!("17/04/1990"),
            "parse_date(\"%d/%m/%Y\")",
            json!("1990-04-17"),
        ),
        (
            "month alone",
            json!("04/1990"),
            "parse_date(\"%d/%m/%Y\")",
            json!("1990-04"),
        ),
        (
            "year alone",
            json!("1990"),
            "parse_date(\"%d/%m/%Y\")",
            json!("1990"),
        ),
        (
            "year alone, of a list",
            json!("1990"),
            "parse_date([\"%d/%m/%Y\", \"%m/%Y\", \"%Y\"])",
            json!("1990"),
        ),
        (
            "date of a time",
            json!("17/04/1990 23:00"),
            "parse_date(\"%d/%m/%Y %H:%M\")",
            json!("1990-04-17"),
        ),
        (
            "date out",
            json!("1990-04-17"),
            "format_date(\"%Y%m%d\")",
            json!("19900417"),
        ),
        (
            "month out",
            json!("1990-04"),
            "format_date(\"%Y%m%d\")",
            json!("199004"),
        ),
        (
            "month out, separated",
            json!("1990-04"),
            "format_date(\"%Y-%m-%d\")",
            json!("1990-04"),
        ),
        (
            "year out",
            json!("1990"),
            "format_date(\"%d/%m/%Y\")",
            json!("1990"),
        ),
        (
            "local day of an instant",
            json!("2026-03-04T20:30:00Z"),
            "format_date(\"%d/%m/%Y\")",
            json!("05/03/2026"),
        ),
        (
            "leap day",
            json!("29/02/2024"),
            "parse_date(\"%d/%m/%Y\")",
            json!("2024-02-29"),
        ),
        (
            "milliseconds",
            json!("1970-01-01T00:00:01.5Z"),
            "epoch_ms",
            json!(1500),
        ),
        (
            "milliseconds of a local day",
            json!("1970-01-02"),
            "epoch_ms",
            json!(61_200_000),
        ),
        // texts
        ("nfc", json!("Vie\u{302}\u{323}t"), "nfc", json!("Việt")),
        (
            "clean",
            json!("  Nguye\u{302}\u{303}n \t Văn  A\n"),
            "clean",
            json!("Nguyễn Văn A"),
        ),
        ("lower", json!("ĐƯỜNG ẤP"), "lower", json!("đường ấp")),
        ("fold", json!(" ĐẶNG   Thị Ơn"), "fold", json!("dang thi on")),
        (
            "says",
            json!("Hồ sơ đã TỒN TẠI."),
            "says(\"đã tồn tại\")",
            json!(true),
        ),
        ("null says nothing", json!(null), "says(\"a\")", json!(false)),
        ("nothing is not said", json!("abc"), "says(\"\")", json!(false)),
        (
            "alike",
            json!("Nguyễn  Văn A"),
            "alike(\"NGUYEN VAN A\")",
            json!(true),
        ),
        ("empty is not alike", json!(""), "alike(\"\")", json!(false)),
        ("null is not alike", json!(null), "alike(null)", json!(false)),
        ("cut", json!("Nguyễn"), "cut(5)", json!("Nguyễ")),
        (
            "cut leaves no letter without its accent",
            json!("Nguye\u{302}\u{303}n"),
            "cut(5)",
            json!("Nguy"),
        ),
        (
            "cut behind the accents",
            json!("Nguye\u{302}\u{303}n"),
            "cut(7)",
            json!("Nguye\u{302}\u{303}"),
        ),
        ("cut of what is short", json!("abc"), "cut(50)", json!("abc")),
        ("cut of null", json!(null), "cut(5)", json!(null)),
        (
            "split_name",
            json!("Nguyễn Thị Minh Khai"),
            "split_name",
            json!({"family": "Nguyễn", "middle": "Thị Minh", "given": "Khai"}),
        ),
        (
            "split_name of one word",
            json!("Khai"),
            "split_name",
            json!({"family": "", "middle": "", "given": "Khai"}),
        ),
        (
            "join_name",
            json!({"family": "Lê", "middle": null, "given": "Na"}),
            "join_name",
            json!("Lê Na"),
        ),
        ("join", json!(["a", null, 1]), "join(\"-\")", json!("a--1")),
        ("upper", json!("Lê Thị Đạm"), "upper", json!("LÊ THỊ ĐẠM")),
        // presence
        (
            "given",
            json!({"a": 1, "b": null, "c": "", "d": false}),
            "given",
            json!({"a": 1, "d": false}),
        ),
        ("need", json!("x"), "need(\"MaHoSo\")", json!("x")),
        ("many of null", json!(null), "[many]", json!([])),
        ("many of one", json!({"a": 1}), "[many]", json!([{"a": 1}])),
        ("many of a list", json!([1, 2]), "[many]", json!([1, 2])),
    ];
    for (name, input, code, expected) in table {
        assert_eq!(run(code, &input), Ok(vec![expected]), "{name}: {code}");
    }
}

#[test]
fn refusals_name_code_place_and_remedy_and_never_the_value() {
    let time = "[bad-time] push.dossier.record: found something else; expected";
    let again = "next have the sending system correct the time; then send the record again";
    let table = [
        (
            json!("9"),
            "to_canonical(\"channel\")",
            "tables/channel.csv: [table-missing-entry] push.dossier.record: found 9; expected a native code of the \
             table; next add the code to tables/channel.csv; then have the record sent again"
                .to_owned(),
        ),
        (json!("31/02/2026"), "parse_date(\"%d/%m/%Y\")", format!("adapter.toml:7: {time} a time that exists, written as %d/%m/%Y; {again}")),
        (json!("01/13/2026"), "parse_date(\"%d/%m/%Y\")", format!("adapter.toml:7: {time} a time that exists, written as %d/%m/%Y; {again}")),
        (json!("01/12/2026x"), "parse_date(\"%d/%m/%Y\")", format!("adapter.toml:7: {time} a time that exists, written as %d/%m/%Y; {again}")),
        (json!("+1/12/2026"), "parse_date(\"%d/%m/%Y\")", format!("adapter.toml:7: {time} a time that exists, written as %d/%m/%Y; {again}")),
        (json!("20260305250000"), "parse_time(\"%Y%m%d%H%M%S\")", format!("adapter.toml:7: {time} a time that exists, written as %Y%m%d%H%M%S; {again}")),
        (json!("1990"), "format_time(\"%d/%m/%Y\")", format!("adapter.toml:7: {time} a time precise enough for %d/%m/%Y; {again}")),
        (json!("hôm qua"), "format_date(\"%d/%m/%Y\")", format!("adapter.toml:7: {time} an instant such as 2026-03-05T02:30:00Z, a date, a month or a year; {again}")),
        (
            json!("x"),
            "parse_time(\"%d %B %Y\")",
            "adapter.toml:7: [bad-format] push.dossier.record: found %d %B %Y; expected %Y, and perhaps %m %d %H %M %S, \
             each at most once and none without the greater ones; next correct the format in the mapping"
                .to_owned(),
        ),
        (
            json!("  "),
            "need(\"MaHoSo\")",
            "adapter.toml:7: [field-missing] MaHoSo: found nothing; expected a value; next have the sending system fill \
             MaHoSo; then send the record again"
                .to_owned(),
        ),
        (
            json!("1"),
            "error({code: \"not-here\", field: \"MaTTHC\", expected: \"another\", remedy: \"ask\"})",
            "adapter.toml:7: [not-here] MaTTHC: expected another; next ask".to_owned(),
        ),
        (
            json!("Nguyễn Văn A"),
            ".ChuHoSo",
            "adapter.toml:7: [mapping-error] push.dossier.record: found \"cannot index a text with a text\"".to_owned(),
        ),
        (
            json!("Nguyễn Văn A"),
            ". + 1",
            "adapter.toml:7: [mapping-error] push.dossier.record: found \"cannot calculate a text + a number\"".to_owned(),
        ),
        (
            json!("Nguyễn Văn A"),
            "tonumber",
            "adapter.toml:7: [mapping-error] push.dossier.record: found \"cannot use a text as number\"".to_owned(),
        ),
        (
            json!("Nguyễn Văn A"),
            "error",
            "adapter.toml:7: [mapping-error] push.dossier.record: found error with a text, which is withheld; next raise \
             error({code, field, expected, remedy}), of which nothing is withheld"
                .to_owned(),
        ),
        (
            json!(null),
            ".[0:2]",
            "adapter.toml:7: [mapping-error] push.dossier.record: found \"cannot use null as list or text to be sliced \
             (see cut)\""
                .to_owned(),
        ),
        (
            json!(1),
            "{(tostring | tonumber): 2}",
            "adapter.toml:7: [mapping-error] push.dossier.record: found \"cannot use a number as key of an object, which \
             is a text\""
                .to_owned(),
        ),
        (
            json!(0),
            "1 / .",
            "adapter.toml:7: [mapping-error] push.dossier.record: found \"cannot calculate a number / a number\"".to_owned(),
        ),
    ];
    for (input, code, expected) in table {
        assert_eq!(refused(code, &input).to_string(), expected, "{code}");
        assert!(!expected.contains("Nguyễn"));
    }
}
