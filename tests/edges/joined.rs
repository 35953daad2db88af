//! Two dossiers that turn out to be one, and two that only seem to be.

use lienthong::dossier::DossierId;
use lienthong::store::{Delivery, State};
use serde_json::{Value, json};

use crate::support::{Act, MANIFEST, OFFICE, Site, Target, cli, code, patch, row, until};

on_both_stores! {
    link_joins_two_dossiers_of_one_procedure_and_applicant
    both_systems_go_on_writing_what_they_may_after_a_join
    two_records_in_one_target_of_what_became_one_dossier_are_for_a_person
    dossier_that_one_target_has_already_is_not_made_there_again_after_a_join
    record_that_is_there_is_that_of_both_also_where_the_one_that_lives_on_was_refused
    call_that_may_have_made_a_second_record_is_for_a_person_after_a_join
    code_of_another_applicants_dossier_joins_nothing
    both_forms_of_an_agency_code_are_one_dossier_where_procedure_and_applicant_agree
}

/// A target that keeps dossiers under the code that they have where they come from.
fn by_origin() -> String {
    MANIFEST.replace(
        "{id: .code, name: .applicant.person.name",
        "{id: .origin.native, name: .applicant.person.citizen_id, note: .note",
    )
}

async fn site(target: &Target) -> Site {
    site_with(&by_origin(), target).await
}

/// The same, with a target that is told of a record by its name there.
async fn site_by_remote(target: &Target) -> Site {
    let updated = "update = { path = '/update', body = '. + {id: $remote}' }";
    let by_remote = by_origin().replace("update = { path = '/update', body = '.' }", updated);
    assert!(by_remote.contains(updated));
    site_with(&by_remote, target).await
}

async fn site_with(book: &str, target: &Target) -> Site {
    Site::start(&[
        ("book", book, &target.url),
        ("office", OFFICE, "http://127.0.0.1:9"),
    ])
    .await
}

async fn id(site: &Site, code: &str) -> DossierId {
    until(&format!("the dossier {code}"), async || {
        let replica = site.store().find_replica(code).await.unwrap()?;
        Some(replica.dossier.id)
    })
    .await
}

async fn joined(site: &Site, one: &str, other: &str) -> DossierId {
    until("one dossier", async || {
        let (one, other) = (id(site, one).await, id(site, other).await);
        (one == other).then_some(one)
    })
    .await
}

/// The office's record of its dossier `native`, for the applicant of the one-stop's dossier `n`.
fn record(native: &str, n: u32, more: Value) -> Value {
    let mut record = patch(native, n);
    if let (Value::Object(record), Value::Object(more)) = (&mut record, more) {
        record.extend(more);
    }
    record
}

async fn link_joins_two_dossiers_of_one_procedure_and_applicant() {
    let target = Target::start().await;
    let site = site(&target).await;
    site.tell(&row(1)).await;
    let said = site
        .says("/hooks/office", &record("O-1", 1, json!({ "note": "của sở" })))
        .await;
    assert_eq!(said, "mapped");
    let (one, other) = (id(&site, &code(1)).await, id(&site, "O-1").await);
    assert_ne!(one, other);

    let links = json!({ "links": { "one-stop": code(1) } });
    site.says("/hooks/office", &record("O-1", 1, links)).await;
    let whole = joined(&site, &code(1), "O-1").await;
    assert_eq!(whole, one.min(other), "the smaller id lives on");
    let dossier = site.store().find_replica("O-1").await.unwrap().unwrap().dossier;
    assert_eq!(dossier.register("note"), Some(&json!("của sở")));
    assert_eq!(
        dossier.register("summary"),
        Some(&json!("Cấp Phiếu lý lịch tư pháp"))
    );
    assert_eq!(dossier.code(), Some(code(1).as_str()));
    assert_eq!(site.store().counts().await.unwrap().dossiers, 1);
    site.stop().await;
}

async fn both_systems_go_on_writing_what_they_may_after_a_join() {
    let target = Target::start().await;
    let site = site(&target).await;
    site.tell(&row(1)).await;
    id(&site, &code(1)).await;
    let links = json!({ "links": { "one-stop": code(1) } });
    site.says("/hooks/office", &record("O-1", 1, links)).await;
    joined(&site, &code(1), "O-1").await;
    // the one-stop's right to the summary is that of the origin
    let mut corrected = row(1);
    corrected["TrichYeuHoSo"] = json!("Cấp lại");
    corrected["NgayCapNhat"] = json!("20260305093100");
    site.learn(&corrected).await;
    let note = json!({ "note": "sau khi nhập", "at": "2026-03-05T03:00:00Z" });
    assert_eq!(
        site.says("/hooks/office", &record("O-1", 1, note)).await,
        "mapped"
    );
    until("both", async || {
        let dossier = site.store().find_replica("O-1").await.unwrap()?.dossier;
        let both = dossier.register("note") == Some(&json!("sau khi nhập"))
            && dossier.register("summary") == Some(&json!("Cấp lại"));
        both.then_some(())
    })
    .await;
    assert!(site.store().dead_letters(9).await.unwrap().is_empty());
    site.stop().await;
}

async fn two_records_in_one_target_of_what_became_one_dossier_are_for_a_person() {
    let target = Target::start().await;
    let site = site(&target).await;
    site.tell(&row(1)).await;
    site.says("/hooks/office", &patch("O-1", 1)).await;
    site.arrived(&code(1), "book").await;
    site.arrived("O-1", "book").await;
    assert_eq!(target.records().len(), 2);

    let links = json!({ "links": { "one-stop": code(1) }, "note": "một hồ sơ" });
    site.says("/hooks/office", &record("O-1", 1, links)).await;
    joined(&site, &code(1), "O-1").await;
    let parked = site
        .delivery("O-1", "book", |row| matches!(row.state, State::Parked { .. }))
        .await;
    let State::Parked { cause, held } = parked.state else {
        unreachable!("waited for");
    };
    assert_eq!((cause.code.as_str(), held), ("duplicate-in-target", true));
    // a newer version does not touch either of them
    let calls = target.paths().len();
    let note = json!({ "note": "mới hơn", "at": "2026-03-05T04:00:00Z" });
    site.says("/hooks/office", &record("O-1", 1, note)).await;
    site.tell(&row(2)).await;
    site.arrived(&code(2), "book").await;
    assert_eq!(
        target.paths().len(),
        calls + 2,
        "only the other dossier's find and create"
    );
    site.stop().await;
}

async fn dossier_that_one_target_has_already_is_not_made_there_again_after_a_join() {
    let target = Target::start().await;
    let site = site(&target).await;
    site.tell(&row(1)).await;
    site.arrived(&code(1), "book").await;
    let links = json!({ "links": { "one-stop": code(1) }, "note": "từ sở" });
    site.says("/hooks/office", &record("O-1", 1, links)).await;
    joined(&site, &code(1), "O-1").await;
    until("the news of both in the one record", async || {
        let records = target.records();
        (records.len() == 1 && records[0]["note"] == "từ sở").then_some(())
    })
    .await;
    site.arrived("O-1", "book").await;
    assert_eq!(target.calls("/create").len(), 1);
    site.stop().await;
}

/// The dossier of the one-stop lives on, whose create is refused; that of the office is there.
async fn record_that_is_there_is_that_of_both_also_where_the_one_that_lives_on_was_refused() {
    let target = Target::start().await;
    let site = site_by_remote(&target).await;
    target.rule(
        "/create",
        1,
        |record| record["id"] == code(1),
        Act::Answer(200, vec![], json!({"code": "7", "message": "thiếu giấy tờ"})),
    );
    site.tell(&row(1)).await;
    site.delivery(&code(1), "book", |row| matches!(row.state, State::Parked { .. }))
        .await;
    site.says("/hooks/office", &patch("O-1", 1)).await;
    site.arrived("O-1", "book").await;
    assert!(id(&site, &code(1)).await < id(&site, "O-1").await);

    let links = json!({ "links": { "one-stop": code(1) }, "note": "một hồ sơ" });
    site.says("/hooks/office", &record("O-1", 1, links)).await;
    joined(&site, &code(1), "O-1").await;
    until("the one record has the news", async || {
        let records = target.records();
        (records.len() == 1 && records[0]["note"] == "một hồ sơ").then_some(())
    })
    .await;
    site.arrived("O-1", "book").await;
    assert_eq!(target.calls("/create").len(), 2);
    assert!(site.store().dead_letters(9).await.unwrap().is_empty());
    site.stop().await;
}

async fn call_that_may_have_made_a_second_record_is_for_a_person_after_a_join() {
    for unclear in [code(1), "O-1".to_owned()] {
        let target = Target::start().await;
        let site = site_by_remote(&target).await;
        let about = unclear.clone();
        target.rule("/create", 1, move |record| record["id"] == *about, Act::DoAndCut);
        let in_doubt = async |code: &str| {
            if *code == unclear {
                target.called("/create", 1).await;
                let doubt = |row: &Delivery| matches!(row.state, State::InDoubt { .. });
                site.delivery(code, "book", doubt).await;
            } else {
                site.arrived(code, "book").await;
            }
        };
        site.tell(&row(1)).await;
        in_doubt(&code(1)).await;
        site.says("/hooks/office", &patch("O-1", 1)).await;
        in_doubt("O-1").await;
        let links = json!({ "links": { "one-stop": code(1) } });
        site.says("/hooks/office", &record("O-1", 1, links)).await;
        joined(&site, &code(1), "O-1").await;
        let parked = site
            .delivery("O-1", "book", |row| matches!(row.state, State::Parked { .. }))
            .await;
        let State::Parked { cause, held } = parked.state else {
            unreachable!("waited for");
        };
        assert_eq!((cause.code.as_str(), held), ("duplicate-in-target", true));
        // whatever time passes
        site.advance(600);
        site.tell(&row(2)).await;
        site.arrived(&code(2), "book").await;
        assert_eq!(target.calls("/create").len(), 3, "{unclear}");
        // she has one of them removed, and the bus goes on with the other one
        let there = if unclear == "O-1" {
            code(1)
        } else {
            "O-1".to_owned()
        };
        target.remove(|record| record["id"] == unclear);
        cli(
            site.socket(),
            &["dead-letter", "retry", &parked_letter(&site).await],
        )
        .await;
        site.arrived("O-1", "book").await;
        assert_eq!(target.counts()[&there], 1);
        assert_eq!(target.records().len(), 2);
        site.stop().await;
    }
}

async fn parked_letter(site: &Site) -> String {
    let letters = site.store().dead_letters(9).await.unwrap();
    assert_eq!(letters.len(), 1, "{letters:?}");
    letters[0].id.clone()
}

async fn code_of_another_applicants_dossier_joins_nothing() {
    let target = Target::start().await;
    let site = site(&target).await;
    site.tell(&row(1)).await;
    id(&site, &code(1)).await;
    let links = json!({ "links": { "one-stop": code(1) } });
    site.says("/hooks/office", &record("O-2", 2, links)).await;
    site.arrived("O-2", "book").await;
    let (one, other) = (id(&site, &code(1)).await, id(&site, "O-2").await);
    assert_ne!(one, other, "the code leads where it led");
    site.stop().await;
}

async fn both_forms_of_an_agency_code_are_one_dossier_where_procedure_and_applicant_agree() {
    let target = Target::start().await;
    let site = site(&target).await;
    site.tell(&row(1)).await;
    let one = id(&site, &code(1)).await;
    // 000.00.14.H56 is H56.14
    site.says(
        "/hooks/office",
        &record("H56.14-260305-0001", 1, json!({ "note": "mã mới" })),
    )
    .await;
    assert_eq!(joined(&site, &code(1), "H56.14-260305-0001").await, one);

    site.tell(&row(2)).await;
    id(&site, &code(2)).await;
    site.says("/hooks/office", &patch("H56.14-260305-0002", 3)).await;
    let other = id(&site, "H56.14-260305-0002").await;
    assert_ne!(other, id(&site, &code(2)).await, "another citizen's");
    site.stop().await;
}
