//! The shipped judicial records adapter against its stand-in: a dossier goes there once, and what becomes of it comes back to
//! it alone, also where two agencies have given one number.

use std::path::Path;
use std::time::Duration;

use lienthong::sandbox::{FaultKind, Faults, Options, Sandbox};
use lienthong::stage::Progress;
use lienthong::store::State;
use serde_json::{Value, json};

use crate::support::{Bench, install_tls, row};

on_both_stores! {
    second_dossier_of_one_number_is_left_to_a_person_and_hears_nothing_of_the_first
    declaration_whose_answer_was_lost_is_neither_doubled_nor_taken_for_somebody_elses
}

const CODES: [&str; 2] = ["000.00.14.H56-260305-0001", "000.17.22.H56-260305-0001"];
const NUMBER: &str = "2603050001";

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/adapters/judicial-records"))
}

/// A dossier with the form of its procedure.
fn dossier(code: &str) -> Value {
    let mut row = row(1);
    row["MaHoSo"] = json!(code);
    row["DonViId"] = json!(code.split('-').next());
    row["SoDienThoai"] = json!("0912000111");
    row["EForm"] = json!({
        "loaiPhieu": "So1", "soLuongCap": 1, "mucDich": "Du học", "yeuCauCDNCV": 0, "quocTich": "VN", "danToc": "01",
        "quaTrinhCuTru": [{"tuThangNam": "09/1990", "denThangNam": "", "diaChiCuTru": "Xã Quan Sơn"}],
    });
    row
}

/// The stand-in, and a node's parts with the shipped adapter.
async fn connected(faults: Faults, small_letters: bool) -> (Sandbox, Bench) {
    install_tls();
    let options = Options {
        settings: [("small_letters".to_owned(), json!(small_letters))]
            .into_iter()
            .collect(),
        officials: false,
        faults,
        ..Options::default()
    };
    let system = Sandbox::start(folder(), options).await.unwrap();
    let manifest = std::fs::read_to_string(folder().join("adapter.toml"))
        .unwrap()
        .replace("${JUDICIAL_RECORDS_CLIENT_ID}", "lienthong")
        .replace("${JUDICIAL_RECORDS_CLIENT_SECRET}", "mat-khau-mau");
    let systems = [("judicial-records", manifest.as_str(), &*system.url())];
    let bench = Bench::prepare(&systems, |adapters| {
        let place = adapters.join("judicial-records");
        std::fs::create_dir(place.join("tables")).unwrap();
        for from in [folder().to_owned(), folder().join("tables")] {
            for file in std::fs::read_dir(&from).unwrap().flatten() {
                let name = file.path().strip_prefix(folder()).unwrap().to_owned();
                if name.extension().is_some_and(|end| end == "jq" || end == "csv") {
                    std::fs::copy(file.path(), place.join(name)).unwrap();
                }
            }
        }
    })
    .await;
    (system, bench)
}

/// Asks what has become of the declarations, and says what was read.
async fn pull(bench: &Bench) {
    let puller = bench.puller("judicial-records");
    while puller.step().await.unwrap() == Progress::Worked {}
    bench.spread().await;
}

async fn parked(bench: &Bench, code: &str) -> Vec<String> {
    let parked = bench.parked(code, "judicial-records", "dossier").await;
    parked.into_iter().map(|(_, cause)| cause).collect()
}

async fn second_dossier_of_one_number_is_left_to_a_person_and_hears_nothing_of_the_first() {
    for small_letters in [false, true] {
        second_dossier_of_one_number(small_letters).await;
    }
}

async fn second_dossier_of_one_number(small_letters: bool) {
    let (system, bench) = connected(Faults::default(), small_letters).await;
    for code in CODES {
        bench.tell(&dossier(code)).await;
    }
    bench.work("judicial-records").await;
    let declared = system.rows("ToKhai");
    assert_eq!(declared.len(), 1, "{declared:?}");
    let first = CODES
        .iter()
        .position(|code| declared[0]["declarationWSForm"]["receiveNo"] == *code);
    let (first, second) = (CODES[first.unwrap()], CODES[1 - first.unwrap()]);
    assert_eq!(parked(&bench, first).await, [""; 0]);
    assert_eq!(parked(&bench, second).await, ["key-taken"]);
    let id = declared[0]["ID"].as_str().unwrap();
    let links = async |code| bench.dossier(code).await.view()["links"]["judicial-records"].take();
    assert_eq!(links(first).await, json!([id]));
    assert_eq!(links(second).await, Value::Null);

    let before = bench.dossier(second).await;
    for (action, status) in [("XuLy", "in_progress"), ("CapPhieu", "completed")] {
        let line = json!({"idReceivedDec": NUMBER, "HanhDong": action, "Ngay": "06/03/2026"});
        system.insert("KichBan", line).await.unwrap();
        system.round("officials").await.unwrap();
        pull(&bench).await;
        assert_eq!(bench.dossier(first).await.status().unwrap().value, status);
        let declared = system.rows("ToKhai").remove(0);
        assert_eq!(
            declared["DaDoc"], declared["Lan"],
            "it knows that we have read it"
        );
    }
    assert_eq!(bench.dossier(second).await, before);

    // What is corrected in it later leads to no other call.
    let mut corrected = dossier(second);
    corrected["NgayCapNhat"] = json!("20260306080000");
    corrected["SoDienThoai"] = json!("0912000222");
    bench.tell(&corrected).await;
    bench.work("judicial-records").await;
    assert_eq!(parked(&bench, second).await, ["key-taken"]);
    assert_eq!(system.calls()["nhanHoSoDangKy"], 2);
}

async fn declaration_whose_answer_was_lost_is_neither_doubled_nor_taken_for_somebody_elses() {
    for (kind, cause) in [
        (FaultKind::CutAfterCommit, "in-doubt-no-find"),
        (FaultKind::FailedAfterCommit, "key-taken"),
    ] {
        let faults = Faults::new(1, 1, Duration::ZERO, [kind]);
        let (system, bench) = connected(faults.clone(), false).await;
        bench.tell(&dossier(CODES[0])).await;
        for _ in 0..6 {
            bench.work("judicial-records").await;
            bench.advance(120);
        }
        assert_eq!(system.rows("ToKhai").len(), 1);
        assert_eq!(parked(&bench, CODES[0]).await, [cause], "{kind:?}");
        let row = bench.row(CODES[0], "judicial-records", "dossier").await;
        assert!(matches!(row.state, State::Parked { held: true, .. }), "{row:?}");

        faults.end();
        // The second of the number is refused, and no word of what stands there reaches either of them.
        bench.tell(&dossier(CODES[1])).await;
        bench.work("judicial-records").await;
        assert_eq!(parked(&bench, CODES[1]).await, ["key-taken"]);
        pull(&bench).await;
        for code in CODES {
            assert_eq!(bench.dossier(code).await.status().unwrap().value, "accepted");
        }
        let waiting = bench.shared.store.counts().await.unwrap().waiting;
        assert_eq!(waiting, [("judicial-records".to_owned(), "orphan".to_owned(), 1)]);
    }
}
