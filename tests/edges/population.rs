//! The shipped adapter of the population database against its stand-in, in a node of its own: what the register has of a
//! person gets no further than the comparison, on every way to it.

use std::collections::BTreeMap;
use std::path::Path;

use lienthong::sandbox::{Options, Sandbox};
use lienthong::store::Store;
use serde_json::{Value, json};

use crate::support::rabbit::{Eavesdropper, Places};
use crate::support::{Province, code, contents_of, install_tls, post, row, until};

on_both_stores! {
    what_the_register_has_is_nowhere_when_it_is_asked_through_the_gateway
    what_the_register_has_is_nowhere_when_it_is_asked_through_the_exchange
    what_the_register_has_is_nowhere_when_it_is_asked_through_a_facade
    what_the_register_has_is_nowhere_when_it_may_only_verify
}

/// Whom the register is asked about, by what it has of them or how it answers.
const OTHERWISE: u32 = 1;
const ACCENTS: u32 = 2;
const NOT_ENTITLED: u32 = 3;
const ODD: u32 = 4;
/// Here the register is in trouble.
const TROUBLED: std::ops::RangeInclusive<u32> = 5..=9;
/// Here it turns us away, so that its adapter rests.
const TURNED_AWAY: u32 = 10;

/// What only the register has. None of it occurs in a dossier.
const NAME: &str = "Đoàn Huyền Trân Bí Ẩn";
const BORN: &str = "19470229";
const ADDRESS: &str = "Ngách 7741 phố Không Ai Biết";
const HOUSEHOLD: &str = "HK-556677-KIN";
const OLD_NUMBER: &str = "177665544";
const FATHER: &str = "Đoàn Thâm Trầm";

/// The same in every spelling in which it might be kept.
fn planted() -> Vec<String> {
    let mut all = vec![
        "1947-02-29".to_owned(),
        "29/02/1947".to_owned(),
        // without accents, as names are compared
        "DOAN HUYEN TRAN BI AN".to_owned(),
        "doan huyen tran bi an".to_owned(),
        "Đoàn Huyền".to_owned(),
        "Bí Ẩn".to_owned(),
    ];
    for text in [NAME, BORN, ADDRESS, HOUSEHOLD, OLD_NUMBER, FATHER] {
        all.push(text.to_owned());
        all.push(text.to_uppercase());
        all.push(text.to_lowercase());
        all.push(format!("{:?}", text.as_bytes()));
        all.push(hex::encode(text));
        all.push(hex::encode_upper(text));
        all.push(text.escape_default().to_string());
        // as JSON may escape it
        let units = text.encode_utf16().map(|unit| match u8::try_from(unit) {
            Ok(letter) if letter.is_ascii() => char::from(letter).to_string(),
            _ => format!("\\u{unit:04x}"),
        });
        all.push(units.collect());
    }
    all
}

/// Where any of these texts is.
fn found(texts: &[String], places: &BTreeMap<String, String>) -> Vec<String> {
    let mut found = Vec::new();
    for (place, content) in places {
        for text in texts.iter().filter(|text| content.contains(*text)) {
            found.push(format!("{text} in {place}"));
        }
    }
    found
}

/// A citizen as the register has one: under the number that a dossier states, and otherwise not as it states.
fn citizen(n: u32, name: &str, born: &str) -> Value {
    json!({
        "SoDinhDanh": row(n)["SoGiayToChuHoSo"], "SoCMND": OLD_NUMBER,
        "HoVaTen": {"Ho": null, "ChuDem": null, "Ten": name},
        "NgayThangNamSinh": {"Nam": born.get(..4), "NgayThangNam": born},
        "ThuongTru": {"QuocGia": "VN", "ChiTiet": ADDRESS}, "SoSoHoKhau": HOUSEHOLD, "Cha": {"HoVaTen": FATHER},
    })
}

/// How the register names what it has in an answer that is none.
fn words() -> String {
    format!("{NAME}, sinh {BORN}, {ADDRESS}, sổ {HOUSEHOLD}, CMND {OLD_NUMBER}, cha {FATHER}")
}

fn envelope(content: &str) -> String {
    format!(
        "<S:Envelope xmlns:S=\"http://schemas.xmlsoap.org/soap/envelope/\"><S:Body>{content}</S:Body></S:Envelope>"
    )
}

fn fault(code: &str) -> String {
    envelope(&format!(
        "<S:Fault><faultcode>{code}</faultcode><faultstring>{}</faultstring><detail>{NAME}</detail></S:Fault>",
        words()
    ))
}

/// An answer over SOAP, or through the façade as it hands that on.
fn relayed(way: &Way, status: u16, text: &str) -> Value {
    if way.is_facade {
        return json!({"body": {"error_code": "0", "message": text}});
    }
    json!({"status": status, "headers": {"content-type": "text/xml; charset=utf-8"}, "body": text})
}

/// What the register answers about these, in place of what it has.
fn troubles(way: &Way) -> Vec<(u32, Value)> {
    let odd = format!(
        "<CongdanCollection><CongDan><SoDinhDanh>{}</SoDinhDanh><HoVaTen>{NAME}</HoVaTen>\
         <NgayThangNamSinh>{BORN}</NgayThangNamSinh></CongDan></CongdanCollection>\
         <KetQuaXacThucResponse><TonTai>{NAME}</TonTai></KetQuaXacThucResponse>",
        row(ODD)["SoGiayToChuHoSo"].as_str().unwrap()
    );
    let mut troubles = vec![
        (NOT_ENTITLED, relayed(way, 500, &fault("005"))),
        (ODD, relayed(way, 200, &envelope(&odd))),
        (5, relayed(way, 500, &fault("S:Server"))),
        (6, relayed(way, 200, &fault(NAME))),
        (7, relayed(way, 200, &words())),
        (
            8,
            json!({"status": 500, "body": {"error_code": NAME, "message": words()}}),
        ),
        (
            9,
            json!({"status": 429, "headers": {"retry-after": "3600"}, "body": {"message": words()}}),
        ),
        (
            TURNED_AWAY,
            json!({"status": 403, "body": {"fault": {"message": words()}}}),
        ),
    ];
    if way.is_facade {
        troubles[5].1 = json!({"body": {"error_code": OLD_NUMBER, "message": words()}});
    }
    troubles
}

/// How a province reaches the register.
#[derive(Default)]
struct Way {
    /// What stands about it in the configuration of the node.
    config: &'static str,
    is_facade: bool,
    may_only_verify: bool,
}

/// The register, with everything planted.
async fn register(way: &Way) -> Sandbox {
    install_tls();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/population");
    let account = json!({"client_id": "h56", "client_secret": "demo-population-secret"});
    let options = Options {
        settings: account.as_object().unwrap().clone(),
        ..Options::default()
    };
    let register = Sandbox::start(&folder, options).await.unwrap();
    let stated = row(ACCENTS)["ChuHoSo"].as_str().unwrap().to_owned();
    let citizens = [
        citizen(OTHERWISE, NAME, BORN),
        citizen(ACCENTS, &stated.replace("Vũ Thị Thử", "Vụ Thí Thu"), "19600730"),
    ];
    for citizen in citizens {
        register.insert("CongDan", citizen).await.unwrap();
    }
    for (n, answer) in troubles(way) {
        let line = json!({"so": row(n)["SoGiayToChuHoSo"], "answer": answer});
        register.insert("SuCo", line).await.unwrap();
    }
    register
}

/// Waits until this is among what was said.
async fn hears(ear: &mut Eavesdropper, n: u32, outcome: &str) {
    until(&format!("{outcome} of {n}"), async || {
        let mut said = ear.heard().await.iter();
        said.any(|text| text.contains(&code(n)) && text.contains(&format!("\"outcome\":\"{outcome}\"")))
            .then_some(())
    })
    .await;
}

async fn identity(store: &dyn Store, n: u32) -> Value {
    let replica = store.find_replica(&code(n)).await.unwrap().unwrap();
    replica.dossier.view()["identity"].take()
}

/// Everything in this folder and below, file by file.
fn files(folder: &Path, places: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, places);
        } else if let Ok(bytes) = std::fs::read(&path) {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            places.insert(path.display().to_string(), text);
        }
    }
}

async fn nothing_is_kept(way: Way) {
    let register = register(&way).await;
    let places = Places::shared().await;
    let province = Province::new(&[]).logging("trace");
    let broker = format!("[broker]\nurl = \"{}\"\n[http]", places.url());
    province.reconfigure("[http]", &broker);
    let adapter = format!(
        "[adapter.population]\nurl = \"{}\"\n{}\n[adapter.one-stop]",
        register.url(),
        way.config
    );
    province.reconfigure("[adapter.one-stop]", &adapter);
    let mut daemon = province.start().await;
    let mut ear = places.overhear().await;
    for n in OTHERWISE..TURNED_AWAY {
        let mut row = row(n);
        row["NguoiDangXuLy"] = json!("cb01");
        let (status, said) = post(&daemon.hook, &row).await;
        assert_eq!((status, &said["maLoi"]), (200, &json!("0")), "{said}");
    }
    hears(&mut ear, OTHERWISE, "mismatch").await;
    let accents = if way.may_only_verify {
        "match"
    } else {
        "weak_match"
    };
    hears(&mut ear, ACCENTS, accents).await;
    hears(&mut ear, NOT_ENTITLED, "not_entitled").await;
    for n in TROUBLED {
        hears(&mut ear, n, "unavailable").await;
    }
    let asked = || -> u64 {
        let calls = register.calls().into_iter();
        calls
            .filter(|(route, _)| route.ends_with("ThongTinCongDan"))
            .map(|(_, times)| times)
            .sum()
    };
    until("everybody has been asked about", async || {
        (asked() >= u64::from(TURNED_AWAY - OTHERWISE)).then_some(())
    })
    .await;
    let mut last = row(TURNED_AWAY);
    last["NguoiDangXuLy"] = json!("cb01");
    post(&daemon.hook, &last).await;
    until("the register rests", async || {
        daemon.log().contains("the adapter is paused").then_some(())
    })
    .await;
    daemon.terminate();
    daemon.end().await;

    let store = province.store().await;
    let differs = identity(&*store, OTHERWISE).await;
    assert_eq!(differs["outcome"], "mismatch");
    let fields = if way.may_only_verify {
        Value::Null
    } else {
        json!(["name", "birth_date"])
    };
    assert_eq!(differs["fields"], fields);
    drop(store);

    let mut places = contents_of(province.store_url()).await;
    let inbox = places["inbox"].clone();
    places.insert("the log".to_owned(), daemon.log());
    let said = ear.heard().await.join("\n");
    places.insert("the broker".to_owned(), said);
    // The search finds what is there: what the one-stop has stated.
    let stated = vec!["Vũ Thị Thử 1".to_owned()];
    assert!(inbox.contains(&stated[0]));
    let stated = found(&stated, &places);
    for place in ["the broker", "inbox", "journal", "dossier"] {
        let there = format!("Vũ Thị Thử 1 in {place}");
        assert!(stated.contains(&there), "{there}: {stated:?}");
    }
    assert!(places["the log"].contains("TRACE"), "it did trace");
    files(province.path("").as_path(), &mut places);
    assert_eq!(found(&planted(), &places), [""; 0]);
}

async fn what_the_register_has_is_nowhere_when_it_is_asked_through_the_gateway() {
    nothing_is_kept(Way::default()).await;
}

async fn what_the_register_has_is_nowhere_when_it_is_asked_through_the_exchange() {
    nothing_is_kept(Way {
        config: "variant = \"xroad\"\n\
                 settings = { user = \"lienthong\", secret = \"khoa-mau\", api_key = \"khoa-api-mau\" }",
        ..Way::default()
    })
    .await;
}

async fn what_the_register_has_is_nowhere_when_it_is_asked_through_a_facade() {
    nothing_is_kept(Way {
        config: "variant = \"facade\"",
        is_facade: true,
        ..Way::default()
    })
    .await;
}

async fn what_the_register_has_is_nowhere_when_it_may_only_verify() {
    nothing_is_kept(Way {
        config: "variant = \"verification\"",
        may_only_verify: true,
        ..Way::default()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn register_sees_the_officer_who_handles_the_dossier_under_the_account_that_it_knows() {
    let register = register(&Way::default()).await;
    let province = Province::new(&[]);
    let adapter = format!(
        "[adapter.population]\nurl = \"{}\"\n\
         settings = {{ officer = \"truc\", officers = {{ cb07 = \"038190000777\" }} }}\n[adapter.one-stop]",
        register.url()
    );
    province.reconfigure("[adapter.one-stop]", &adapter);
    let daemon = province.start().await;
    let mut expected = Vec::new();
    // one whom the register calls otherwise, one whom it does not, and a dossier that nobody has yet
    for (n, procedure, officer, account) in [
        (11, "1.000656", "cb07", "038190000777"),
        (12, "1.000894", "cb08", "cb08"),
        (13, "1.001193", "", "truc"),
    ] {
        let mut row = row(n);
        row["NguoiDangXuLy"] = json!(officer);
        row["MaTTHC"] = json!(procedure);
        expected.push((procedure.to_owned(), account.to_owned()));
        let (status, said) = post(&daemon.hook, &row).await;
        assert_eq!((status, &said["maLoi"]), (200, &json!("0")), "{said}");
    }
    let asked = until("all are asked about", async || {
        let rows = register.rows("YeuCau");
        (rows.len() == expected.len()).then_some(rows)
    })
    .await;
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let mut seen: Vec<_> = asked
        .iter()
        .map(|row| (text(row, "MaDVC"), text(row, "MaCanBo")))
        .collect();
    seen.sort();
    assert_eq!(seen, expected);
}
