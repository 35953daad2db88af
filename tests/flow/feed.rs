//! Fed twice, fed backwards: the sandboxes end as if it had been once and forwards.

use serde_json::{Value, json};

use crate::support::{calls, finals, portal, reports, settle_told, tell, tell_all, verdict_for, world};

embedded_and_grown! {
    dossiers_fed_twice_change_nothing_and_cause_no_call
    reports_in_reverse_order_end_as_those_in_order_do
    papers_and_fees_that_the_record_no_longer_lists_go_from_the_portal_too
}

async fn dossiers_fed_twice_change_nothing_and_cause_no_call() {
    let world = world(None, &[]).await;
    let reports = reports().await;
    for round in &reports {
        tell_all(&world, round).await;
    }
    settle_told(&world).await;
    let verdict = verdict_for(&world, &finals().await);
    assert!(verdict.is_clean(), "{verdict:?}");
    assert_eq!((verdict.expected, verdict.present), (60, 60));
    let (once, before) = (portal(&world), calls(&world));

    for round in &reports {
        for row in round {
            let (status, answer) = tell(&world, row).await;
            assert_eq!((status, &answer["maLoi"]), (200, &"0".into()));
        }
    }
    settle_told(&world).await;
    assert_eq!(portal(&world), once);
    assert_eq!(calls(&world), before, "looked up, stored, progressed");
    world.stop(false).await;
}

async fn reports_in_reverse_order_end_as_those_in_order_do() {
    let reports = reports().await;
    let forward = world(None, &[]).await;
    for round in &reports {
        tell_all(&forward, round).await;
    }
    settle_told(&forward).await;
    let in_order = portal(&forward);
    forward.stop(false).await;

    let backward = world(None, &[]).await;
    for round in reports.iter().rev() {
        tell_all(&backward, round).await;
        // The portal has the newer state before the older report comes.
        settle_told(&backward).await;
    }
    let in_reverse = portal(&backward);
    assert_eq!(in_reverse.dossiers.len(), 60);
    for (code, row) in &in_order.dossiers {
        assert_eq!(in_reverse.dossiers.get(code), Some(row));
    }
    assert_eq!(in_reverse, in_order);
    let verdict = verdict_for(&backward, &finals().await);
    assert!(verdict.is_clean(), "{verdict:?}");
    backward.stop(false).await;
}

async fn papers_and_fees_that_the_record_no_longer_lists_go_from_the_portal_too() {
    let world = world(None, &[]).await;
    let size = |row: &Value, list: &str| row[list].as_array().map_or(0, Vec::len);
    let rows = finals().await;
    let mut row = rows
        .into_iter()
        .find(|row| size(row, "ThanhPhanHoSo") > 2 && size(row, "LePhi") == 1)
        .unwrap();
    let shown = |world: &_| {
        let there = portal(world).dossiers.into_values().next().unwrap();
        (size(&there, "TaiLieuNop"), size(&there, "DanhSachLePhi"))
    };
    let papers = size(&row, "ThanhPhanHoSo");
    tell_all(&world, std::slice::from_ref(&row)).await;
    settle_told(&world).await;
    assert_eq!(shown(&world), (papers, 1));

    row["ThanhPhanHoSo"].as_array_mut().unwrap().remove(1);
    row["LePhi"] = json!([]);
    let changed: u64 = row["NgayCapNhat"].as_str().unwrap().parse().unwrap();
    row["NgayCapNhat"] = json!((changed + 1).to_string());
    tell_all(&world, std::slice::from_ref(&row)).await;
    settle_told(&world).await;
    assert_eq!(shown(&world), (papers - 1, 0));
    let verdict = verdict_for(&world, std::slice::from_ref(&row));
    assert!(verdict.is_clean(), "{verdict:?}");

    // A report without a word of them takes nothing away.
    row.as_object_mut().unwrap().remove("ThanhPhanHoSo");
    row["NgayCapNhat"] = json!((changed + 2).to_string());
    tell_all(&world, std::slice::from_ref(&row)).await;
    settle_told(&world).await;
    assert_eq!(shown(&world), (papers - 1, 0));
    world.stop(false).await;
}
