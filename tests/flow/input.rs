//! The demo with dossiers of one's own, bad ones among them.

use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::demo::system;
use crate::support::{dossiers, run, text};

fn file(folder: &TempDir, lines: &[String]) -> PathBuf {
    let path = folder.path().join("own.jsonl");
    std::fs::write(&path, lines.join("\n")).unwrap();
    path
}

fn with(mut row: Value, field: &str, value: Value) -> Value {
    row[field] = value;
    row
}

#[tokio::test]
async fn bad_dossiers_are_refused_by_cause_and_the_others_arrive() {
    let rows = dossiers();
    // Good ones stand first and last, so that both ways, pull and webhook, carry some of each kind.
    let take = |index: usize| rows[index].clone();
    let bad = [
        (with(take(10), "ChuHoSo", json!("")), "ChuHoSo", "ChuHoSo: empty"),
        (
            with(take(11), "MaTTHC", json!("9.999999")),
            "MaTTHC",
            "MaTTHC: unknown procedure",
        ),
        (
            with(take(12), "NgayTiepNhan", json!("20260230080000")),
            "NgayTiepNhan",
            "NgayTiepNhan: no such date",
        ),
        (
            with(take(13), "KenhThucHien", json!("9")),
            "KenhThucHien",
            "KenhThucHien: unknown code",
        ),
    ];
    let mut lines: Vec<String> = vec![take(0).to_string()];
    lines.extend(bad.iter().map(|(row, ..)| row.to_string()));
    lines.extend((1..8).map(|index| take(index).to_string()));
    let folder = tempfile::tempdir().unwrap();
    let input = text(&file(&folder, &lines));

    let ran = run(&["demo", "--json", "--input", &input]).await;
    assert_eq!(
        ran.code, 0,
        "refusals that the input deserves are no failure: {ran:?}"
    );
    let report = ran.json();
    assert_eq!(report["dossiers"], 12);
    assert_eq!(system(&report, "one-stop"), ([12, 12, 0, 0, 0, 0], &json!({})));
    assert_eq!(
        system(&report, "national-portal"),
        ([8 + 3, 8 + 3, 0, 0, 0, 4], &json!({}))
    );
    let findings: Vec<&str> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding.as_str().unwrap())
        .collect();
    for (_, field, judged) in &bad {
        let counted = format!("national-portal: 1 refused: {judged}");
        assert!(findings.contains(&counted.as_str()), "{counted} in {findings:?}");
        let kept = findings
            .iter()
            .find(|finding| finding.starts_with("one-stop ") && finding.contains(&format!(" {field}: ")));
        assert!(
            kept.is_some_and(|kept| kept.contains("next ")),
            "{field} in {findings:?}"
        );
    }
    for row in &rows {
        let name = row["ChuHoSo"].as_str().unwrap();
        assert!(name.is_empty() || !ran.out.contains(name), "no names in a report");
    }
}

#[tokio::test]
async fn every_broken_line_of_a_file_is_named_at_once() {
    let row = dossiers()[0].to_string();
    let folder = tempfile::tempdir().unwrap();
    let lines = [&row, "{\"MaHoSo\": ", "[1, 2]", "", &row].map(str::to_owned);
    let path = file(&folder, &lines);
    let name = text(&path);

    let ran = run(&["demo", "--input", &name]).await;
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{ran:?}");
    for said in [
        format!("{name}:2: [input-not-json]"),
        format!("{name}:3: [input-not-object]"),
        format!("{name}:5: [input-duplicate-code] MaHoSo"),
        "3 fault(s)".to_owned(),
    ] {
        assert!(ran.err.contains(&said), "{said} in {}", ran.err);
    }

    let ran = run(&["demo", "--json", "--input", &name]).await;
    assert_eq!((ran.code, ran.err.as_str()), (2, ""));
    let faults = ran.json()["faults"].clone();
    let told: Vec<(&str, u64)> = faults
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| (fault["code"].as_str().unwrap(), fault["line"].as_u64().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ("input-not-json", 2),
            ("input-not-object", 3),
            ("input-duplicate-code", 5)
        ]
    );
}

#[tokio::test]
async fn file_that_is_not_there_and_folder_without_adapters_are_usage_errors() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = text(&folder.path().join("nowhere"));
    let ran = run(&["demo", "--input", &nowhere]).await;
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.err.contains("input-unreadable") && ran.err.contains(&nowhere),
        "{ran:?}"
    );
    let ran = run(&["demo", "--adapters", &nowhere]).await;
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.err.contains("[file-unreadable]") && ran.err.contains(&nowhere),
        "{ran:?}"
    );
    let ran = run(&["demo", "--dossiers", "0"]).await;
    assert_eq!(ran.code, 2, "{ran:?}");
}
