//! A portal into which clerks had typed dossiers by hand before the bus came.

use std::collections::BTreeMap;

use lienthong::demo::FILES;
use lienthong::demo::judge::{Expected, expected};
use serde_json::{Value, json};

use crate::support::{ask, by_code, calls, code, finals, settle_told, tell, tell_all, verdict_for, world};

embedded_and_grown! {
    records_typed_before_the_bus_are_adopted_and_not_doubled
}

/// What is always in a record of the portal; the rest clerks left out.
const KEPT: [&str; 16] = [
    "MaHoSo",
    "MaTTHC",
    "TenTTHC",
    "MaLinhVuc",
    "TenLinhVuc",
    "ChuHoSo",
    "SoGiayToChuHoSo",
    "LoaiDoiTuong",
    "Email",
    "SoDienThoai",
    "TrichYeuHoSo",
    "NgayTiepNhan",
    "NgayHenTra",
    "TrangThaiHoSo",
    "HinhThuc",
    "DonViXuLy",
];

/// A dossier as a clerk typed it from the paper: in capitals, no e-mail, "accepted", nothing that may be left out.
fn typed(item: &Value) -> Value {
    let mut row = item.clone();
    row.as_object_mut()
        .unwrap()
        .retain(|field, _| KEPT.contains(&field.as_str()));
    row["ChuHoSo"] = json!(row["ChuHoSo"].as_str().unwrap().to_uppercase());
    row["Email"] = json!("");
    row["SoDienThoai"] = json!("");
    row["TrangThaiHoSo"] = json!("2");
    row
}

/// What must be at the portal, by the one-stop's code.
fn due(rows: &[Value]) -> BTreeMap<String, Value> {
    rows.iter()
        .filter_map(|row| match expected(row, FILES) {
            Expected::Due { item, .. } => Some((code(row).to_owned(), item)),
            _ => None,
        })
        .collect()
}

async fn records_typed_before_the_bus_are_adopted_and_not_doubled() {
    let world = world(None, &[]).await;
    let rows = finals().await;
    let due = due(&rows);
    let half: Vec<(&String, &Value)> = due.iter().step_by(2).collect();
    assert_eq!((due.len(), half.len()), (60, 30));
    for (index, (_, item)) in half.iter().enumerate() {
        let mut record = typed(item);
        if index % 2 == 1 {
            // The number was not on the paper: the name, in capitals, has to do.
            record["SoGiayToChuHoSo"] = json!("");
        }
        world.portal().insert("HoSo", record).await.unwrap();
    }

    tell_all(&world, &rows).await;
    settle_told(&world).await;
    let verdict = verdict_for(&world, &rows);
    assert!(verdict.is_clean(), "{verdict:?}");
    assert_eq!((verdict.expected, verdict.present), (60, 60));
    assert_eq!(world.portal().rows("HoSo").len(), 60);
    // One look-up and one write for each: a create of what was there would have been refused and asked about again.
    let [looked_up, stored, _] = calls(&world);
    assert_eq!((looked_up, stored), (60, 60));

    for (own, item) in half {
        let shown = ask(&world, &["dossier", "show", own, "--json"]).await.json();
        assert_eq!(
            shown["links"]["national-portal"],
            json!([item["MaHoSo"]]),
            "linked"
        );
        let portal = &shown["systems"][1];
        assert_eq!(
            (
                &portal["name"],
                &portal["there"],
                &portal["native"],
                &portal["open"]
            ),
            (
                &json!("national-portal"),
                &json!(true),
                &item["MaHoSo"],
                &json!([])
            )
        );
    }
    world.stop(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn record_of_another_person_under_the_same_code_is_left_alone_and_a_person_decides() {
    let world = world(None, &[]).await;
    let rows = finals().await;
    let mut row = by_code(&rows, "000.00.14.H56-230719-0001");
    let Expected::Due { item, .. } = expected(&row, FILES) else {
        panic!("it is due")
    };
    let mut strange = typed(&item);
    strange["ChuHoSo"] = json!("TRỊNH VÍ DỤ");
    strange["SoGiayToChuHoSo"] = json!("038099000001");
    world.portal().insert("HoSo", strange.clone()).await.unwrap();

    tell_all(&world, std::slice::from_ref(&row)).await;
    settle_told(&world).await;
    assert_eq!(world.portal().rows("HoSo"), std::slice::from_ref(&strange));
    assert_eq!(calls(&world), [1, 0, 0], "looked up, never written");

    let letters = ask(&world, &["dead-letter", "list", "--json"]).await;
    let letters = letters.json();
    let [letter] = letters.as_array().unwrap().as_slice() else {
        panic!("one dead letter, not {letters}")
    };
    assert_eq!(
        (
            &letter["system"],
            &letter["operation"],
            &letter["dossier"],
            &letter["cause"]["code"]
        ),
        (
            &json!("national-portal"),
            &json!("push.dossier"),
            &row["MaHoSo"],
            &json!("key-taken")
        )
    );
    let remedy = letter["cause"]["remedy"].as_str().unwrap();
    assert!(remedy.contains("compare the records"), "{remedy}");
    let listed = ask(&world, &["dead-letter", "list"]).await.out;
    assert!(
        listed.contains("key-taken") && listed.contains(remedy),
        "{listed}"
    );
    let shown = ask(&world, &["dossier", "show", code(&row)]).await.out;
    assert!(shown.contains("parked") && shown.contains("key-taken"), "{shown}");
    assert!(
        shown.contains("waits until dossier is there"),
        "its progress waits: {shown}"
    );

    // Held: a newer version of the dossier does not make the bus try again by itself.
    row["TrichYeuHoSo"] = json!("Tóm tắt khác");
    row["NgayCapNhat"] = json!("20230801080000");
    assert_eq!(tell(&world, &row).await.0, 200);
    settle_told(&world).await;
    assert_eq!(world.portal().rows("HoSo"), [strange]);
    assert_eq!(calls(&world), [1, 0, 0]);
    let again = ask(&world, &["dead-letter", "list", "--json"]).await.json();
    assert_eq!(again[0]["cause"]["code"], "key-taken");
    world.stop(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn code_that_is_another_dossiers_at_the_portal_is_not_touched() {
    let world = world(None, &[]).await;
    let rows = finals().await;
    let due = due(&rows);
    let mut received = rows
        .iter()
        .filter(|row| due.contains_key(code(row)) && row["MaHoSoKhac"] == "");
    let first = received.next().unwrap().clone();
    // Another citizen of the same name, and a clerk who wrote the wrong code into the column.
    let mut second = received.next().unwrap().clone();
    second["ChuHoSo"] = first["ChuHoSo"].clone();
    second["MaHoSoKhac"] = first["MaHoSo"].clone();

    tell(&world, &first).await;
    settle_told(&world).await;
    let before = (world.portal().rows("HoSo"), world.portal().rows("TienDo"));
    assert_eq!(before.0.len(), 1);
    tell(&world, &second).await;
    settle_told(&world).await;
    assert_eq!(
        (world.portal().rows("HoSo"), world.portal().rows("TienDo")),
        before
    );
    let letters = ask(&world, &["dead-letter", "list", "--json"]).await.json();
    assert_eq!(letters[0]["cause"]["code"], "key-taken", "{letters}");
    assert_eq!(letters[0]["dossier"], second["MaHoSo"], "{letters}");
}
