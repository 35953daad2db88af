use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::dossier::testing::{Desk, at};
use crate::dossier::{Hlc, fold_code, judge_delta};

const OFFICIAL: &str = "H56.14-240823-0001";
const LATER: &str = "000.17.22.H56-240824-0002";

fn stamp(source: &str, time: &str) -> Stamp {
    Stamp {
        effective: at(time),
        hlc: Hlc::default(),
        source: source.to_owned(),
        hash: String::new(),
    }
}

/// A dossier of the one-stop's code `native` with these links: (source, time, system, code).
fn dossier(native: &str, links: &[(&str, &str, &str, &str)]) -> Dossier {
    let origin = Origin::new("one-stop", native);
    let mut whole = Dossier::new(origin.clone());
    for (source, time, system, code) in links {
        whole.merge(&Dossier::linked(
            origin.clone(),
            system,
            code,
            stamp(source, time),
        ));
    }
    whole
}

#[test]
fn the_official_code_is_the_origins_own() {
    let links = [("portal", "01:00:00", "portal", LATER)];
    assert_eq!(dossier(OFFICIAL, &links).code(), Some(OFFICIAL));
}

#[test]
fn a_code_that_the_origin_states_counts_before_older_ones_of_others() {
    let links = [
        ("sectoral", "01:00:00", "sectoral", OFFICIAL),
        ("one-stop", "02:00:00", "portal", LATER),
        ("one-stop", "00:30:00", "one-stop", "HS-1"),
    ];
    assert_eq!(dossier("HS-1", &links).code(), Some(LATER));
}

#[test]
fn without_the_origins_word_the_first_official_link_is_the_code() {
    let links = [
        ("sectoral", "02:00:00", "sectoral", OFFICIAL),
        ("portal", "01:00:00", "portal", LATER),
        ("portal", "00:10:00", "portal", "no official code"),
    ];
    assert_eq!(dossier("HS-1", &links).code(), Some(LATER));
    assert_eq!(dossier("HS-1", &links[2..]).code(), None);
}

#[test]
fn a_link_that_another_system_stated_tells_the_key_and_no_more() {
    let told = dossier(OFFICIAL, &[("one-stop", "01:00:00", "portal", "P-1")]);
    assert!(!told.held_by("portal", &[]));
    assert!(told.held_by("one-stop", &[]));
    assert_eq!(told.keys_for("portal"), ["P-1"]);
    assert_eq!(told.keys_for("sectoral"), [OFFICIAL]);
    assert_eq!(dossier("HS-1", &[]).keys_for("sectoral"), Vec::<&str>::new());
}

#[test]
fn code_of_a_record_that_we_made_there_is_no_word_of_that_system() {
    let told = dossier(OFFICIAL, &[("portal", "01:00:00", "portal", "P-1")]);
    assert!(told.held_by("portal", &[]));
    assert!(!told.held_by("portal", &[" p-1 "]));
    assert!(told.held_by("portal", &["P-2"]));
    assert!(told.held_by("one-stop", &[OFFICIAL]), "the origin has it");
}

#[test]
fn what_a_system_says_of_its_own_code_counts_first_and_stays() {
    let links = [
        ("one-stop", "01:00:00", "portal", "P-1"),
        ("one-stop", "00:30:00", "portal", "P-0"),
        ("portal", "02:00:00", "portal", "P-2"),
        ("portal", "03:00:00", "portal", "P-1"),
        ("one-stop", "04:00:00", "portal", "P-2"),
    ];
    let whole = dossier("HS-1", &links);
    assert!(whole.held_by("portal", &[]));
    assert_eq!(whole.codes_in("portal"), ["P-2", "P-1", "P-0"]);
    assert_eq!(whole.view()["links"], json!({ "portal": ["P-2", "P-1", "P-0"] }));
}

#[test]
fn a_system_that_reports_a_dossier_holds_it_whoever_linked_it_before() {
    let mut portal = Desk::new("portal");
    portal
        .known
        .merge(&dossier("HS-1", &[("one-stop", "01:00:00", "portal", "HS-1")]));
    assert!(!portal.known.held_by("portal", &[]));
    portal.owns = crate::dossier::Ownership::default();
    let delta = portal.reports("02:00:00", json!({}));
    assert_eq!(delta.codes_in("portal"), ["HS-1"]);
    assert!(portal.known.held_by("portal", &[]));
    assert!(portal.reports("02:01:00", json!({})).is_empty());
}

#[test]
fn of_two_joined_dossiers_the_smaller_id_survives_with_both_links() {
    let [one, two] =
        ["HS-1", "HS-2"].map(|native| dossier(native, &[("one-stop", "01:00:00", "one-stop", native)]));
    let mut joined = one.clone();
    joined.merge(&two);
    assert_eq!(joined.id, one.id.min(two.id));
    assert_eq!(joined.id, joined.origin.id());
    assert_eq!(joined.codes_in("one-stop"), ["HS-1", "HS-2"]);
    assert_eq!(fold_code(" hs-1"), "HS-1");
}

#[test]
fn a_receiver_judges_every_write_of_an_event() {
    let mut desk = Desk::new("one-stop");
    let sound = desk.reports(
        "03:00:00",
        json!({ "links": { "portal": "P-1" }, "note": "x", "fees": [{ "code": "A" }],
                "status": { "value": "accepted" } }),
    );
    let owns = crate::dossier::testing::everything();
    assert_eq!(judge_delta(&sound, "one-stop", &owns), Ok(()));
    let code = |delta: &Dossier, system: &str, owns: &crate::dossier::Ownership| {
        let fault = judge_delta(delta, system, owns).unwrap_err();
        (fault.code, fault.field.unwrap_or_default())
    };
    let case = |code: &str, field: &str| (code.to_owned(), field.to_owned());
    assert_eq!(code(&sound, "portal", &owns), case("wrong-source", "note"));
    for name in ["note", "fees", "status", "links"] {
        let rights = owns.rights().filter(|(right, _)| *right != name);
        let fewer = rights
            .map(|(right, _)| (right.to_owned(), json!("always")))
            .collect();
        let fewer = crate::dossier::Ownership::parse(&fewer).unwrap();
        assert_eq!(code(&sound, "one-stop", &fewer), case("not-owner", name));
    }
    let mut other_id = sound.clone();
    other_id.id = Origin::new("one-stop", "HS-2").id();
    assert_eq!(code(&other_id, "one-stop", &owns), case("wrong-id", "id"));
    let mut forged = sound;
    let entry = forged.logs["status"].values().next().unwrap().clone();
    forged
        .logs
        .insert("status".to_owned(), BTreeMap::from([("0".to_owned(), entry)]));
    assert_eq!(code(&forged, "one-stop", &owns), case("wrong-entry-id", "status"));
}

#[test]
fn rights_of_the_origin_end_where_the_dossier_came_from_elsewhere() {
    let mut desk = Desk::new("portal");
    let delta = desk.reports("03:00:00", json!({ "note": "x" }));
    let owns = crate::dossier::Ownership::parse(&json!({ "note": "origin" })).unwrap();
    assert_eq!(
        judge_delta(&delta, "portal", &owns).unwrap_err().code,
        "not-owner"
    );
}

#[test]
fn a_system_may_always_tell_its_own_code() {
    let delta = Dossier::linked(
        Origin::new("one-stop", "HS-1"),
        "portal",
        "P-1",
        stamp("portal", "01:00:00"),
    );
    assert_eq!(
        judge_delta(&delta, "portal", &crate::dossier::Ownership::default()),
        Ok(())
    );
}
