//! The demo on trial: both systems misbehave, and the verdict is the same; and where it is not, the judge says so.

use std::collections::BTreeSet;

use lienthong::demo::input::Input;
use lienthong::demo::{Doubt, News, Options, Report, System, Trial, World, run as demo};
use lienthong::sandbox::FaultKind;
use serde_json::json;

use crate::broker::Broker;
use crate::stores;
use crate::support::{Adapters, code, install_tls, run};

embedded_and_grown! {
    demo_with_faults_is_true_and_once_and_every_fault_bites
}

fn of_portal(report: &Report) -> &System {
    let mut systems = report.systems.iter();
    systems.find(|system| system.name == "national-portal").unwrap()
}

async fn on_trial(options: Options) -> (World, Report) {
    install_tls();
    let options = Options {
        broker: Broker::chosen().await.url(),
        ..options
    };
    demo(&options, |_: News<'_>| {}).await.unwrap()
}

fn options(dossiers: usize, seed: u64) -> Options {
    Options {
        dossiers: Some(dossiers),
        trial: Trial::new(seed),
        store: stores::postgres(),
        ..Options::default()
    }
}

async fn demo_with_faults_is_true_and_once_and_every_fault_bites() {
    let (world, report) = on_trial(options(12, 11)).await;
    assert_eq!(report.findings, Vec::<String>::new());
    assert!(report.is_clean());
    let counts: Vec<_> = report
        .systems
        .iter()
        .map(|system| {
            (
                system.name.as_str(),
                system.expected,
                system.present,
                system.missing,
                system.duplicates,
            )
        })
        .collect();
    let [one_stop, population, licences, _, portal] = counts[..] else {
        panic!("{counts:?}");
    };
    assert_eq!(one_stop, ("one-stop", 12, 12, 0, 0));
    assert_eq!(population, ("population", 15, 15, 0, 0));
    assert_eq!(licences, ("driving-licence", 3, 3, 0, 0));
    assert_eq!(portal, ("national-portal", 15, 15, 0, 0));

    let suffered = report.faults.as_ref().unwrap();
    let kinds = |system: &str| suffered.bitten[system].len();
    let systems = [
        "one-stop",
        "population",
        "driving-licence",
        "judicial-records",
        "national-portal",
    ];
    assert_eq!(systems.map(kinds), [7, 6, 6, 7, 9]);
    for (system, kinds) in &suffered.bitten {
        for (kind, times) in kinds {
            assert!(*times > 0, "{system} never {}", kind.title());
        }
    }
    assert_eq!((suffered.seed, suffered.on_the_way), (11, 0));
    let bites: u64 = suffered.bitten.values().flat_map(|kinds| kinds.values()).sum();
    stores::tell(&format!(
        "{} · {} · demo with faults clean · faults bit {bites} times",
        report.store, report.broker
    ));

    // What is in doubt is parked under that cause, each one listed; and only progress is.
    let parked = of_portal(&report).parked.clone();
    let in_doubt = suffered.in_doubt.len();
    assert!(in_doubt > 0, "a call was cut on the way: {:?}", suffered.bitten);
    assert_eq!(json!(parked), json!({"in-doubt-no-find": in_doubt}));
    let progress = world.portal().rows("TienDo");
    for doubt in &suffered.in_doubt {
        let there = progress
            .iter()
            .any(|entry| code(entry) == doubt.step.code && entry["ThoiDiemXuLy"] == doubt.step.at.as_str());
        assert_eq!(doubt.present, there, "{doubt:?}");
    }

    // The judge is not blind for it: one entry twice, and one that nobody has asked for.
    let input = Input::load(None, Some(12)).unwrap();
    world
        .portal()
        .insert("TienDo", progress[0].clone())
        .await
        .unwrap();
    let doubled = Report::of(&world, &input, &[]).await.unwrap();
    assert_eq!((of_portal(&doubled).duplicates, doubled.is_clean()), (1, false));
    let mut strange = progress[0].clone();
    strange["ThoiDiemXuLy"] = json!("20200101080000");
    strange["NoiDungXuLy"] = json!("Bước lạ");
    world.portal().insert("TienDo", strange).await.unwrap();
    let strange = Report::of(&world, &input, &[]).await.unwrap();
    assert_eq!((of_portal(&strange).different, strange.is_clean()), (1, false));
    world.stop(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn portal_that_loses_entries_is_not_excused_by_those_in_doubt() {
    // It says that it took them, and keeps none that tells of a dossier's end.
    let adapters = Adapters::copy().replace(
        "national-portal/sandbox/store_progress.jq",
        "rows: {TienDo: .body.data}",
        r#"rows: {TienDo: [.body.data[] | select(.TrangThai != "9")]}"#,
    );
    let lost = Options {
        adapters: Some(adapters.folder().to_owned()),
        ..options(8, 5)
    };
    let (world, report) = on_trial(lost).await;
    assert!(!report.is_clean());
    // Found are all those that were lost, and nothing else: no entry is excused by another one's doubt.
    let doubts = &report.faults.as_ref().unwrap().in_doubt;
    let mut lost = BTreeSet::new();
    for row in world.one_stop().rows("HoSo") {
        let key = match row["MaHoSoKhac"].as_str() {
            Some(portals) if !portals.is_empty() => portals,
            _ => code(&row),
        };
        for step in row["TienTrinh"].as_array().unwrap() {
            let same = |doubt: &&Doubt| doubt.step.code == key && doubt.step.at == step["ThoiGian"];
            if step["TrangThai"] == 9 && !doubts.iter().any(|doubt| same(&doubt)) {
                lost.insert(format!("national-portal: {key}: progress differs"));
            }
        }
    }
    assert!(!lost.is_empty(), "no dossier has ended");
    assert_eq!(report.findings.iter().cloned().collect::<BTreeSet<_>>(), lost);
    assert_eq!(of_portal(&report).different, lost.len());
    world.stop(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trial_in_which_a_fault_never_bit_is_void() {
    // The only dossier comes when the faults are over.
    let ran = run(&["demo", "--faults", "--seed", "3", "--dossiers", "1"]).await;
    assert_eq!(ran.code, 1, "{ran:?}");
    for said in [
        "Faults, seed 3:",
        "SYSTEM            FAULT",
        "No call was left in doubt.",
        "NOT everything is where it should be:",
        "national-portal: void: it never stored late",
    ] {
        assert!(ran.out.contains(said), "{said:?} in {}", ran.out);
    }
    for said in ["--seed 3", "recorded 1 · acts ", " · at the portal 1, progress "] {
        assert!(ran.err.contains(said), "{said:?} in {}", ran.err);
    }
    assert!(
        !ran.err.contains('\x1b'),
        "no terminal, no changing line: {ran:?}"
    );
}

#[tokio::test]
async fn seed_without_faults_is_refused() {
    let ran = run(&["demo", "--seed", "3"]).await;
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("--faults"), "{ran:?}");
}

#[test]
fn each_system_suffers_what_it_can() {
    let bitten = Trial::new(1).bitten();
    assert!(bitten["one-stop"].contains_key(&FaultKind::ToldAgain));
    for kind in FaultKind::OF_WRITES {
        assert!(bitten["national-portal"].contains_key(&kind));
        assert!(!bitten["one-stop"].contains_key(&kind), "nobody writes there");
    }
    assert_eq!(Trial::default().seed(), None);
}
