//! Look-ups: what a dossier gives rise to, what an answer says of it, and what the system allows.

use serde_json::{Value as Json, json};

use super::world::World;
use crate::adapter::{Adapter, Inquiry, Lookup, about, contract};
use crate::dossier::{Origin, Patch};

const LOOKUP: &str = r#"[lookup.owner]
when = '.applicant.person.kind == "citizen"'
otherwise = '{identity: {outcome: "not_applicable"}}'
meanwhile = 'if .code then {identity: {outcome: "unavailable"}} else empty end'
asks = '{name: .applicant.person.name, officer: "an"}'
path = '/persons'
body = '{request: $id} + .'
answer = [{ when = '.none', is = "missing" }]
map = 'if .none then {identity: {outcome: "not_found", request: $id}} elif .left then ignore("left out") else {identity: {outcome: (if .name == $asked.name then "match" else "mismatch" end)}} end'
every = "1d"
remember = "10m"
quota = [{ limit = "5/s" }, { limit = "300/day", per = '.officer' }]
[push.dossier]"#;

fn world() -> World {
    World::sound()
        .with("owns = { ", "owns = { identity = \"always\", ")
        .with("[push.dossier]", LOOKUP)
}

fn lookup(adapter: &Adapter) -> &Lookup {
    &adapter.lookups[0]
}

fn dossier(kind: &str, name: &str) -> Json {
    json!({"code": "H56-1", "applicant": {"person": {"kind": kind, "name": name}}})
}

#[test]
fn a_dossier_gives_rise_to_a_question_or_to_what_is_said_instead() {
    let adapter = world().load().unwrap();
    let Ok(Inquiry::Ask(question)) = lookup(&adapter).inquiry(&dossier("citizen", "Lê Thị Mẫu")) else {
        panic!("a citizen is asked about");
    };
    assert_eq!(question.asked, json!({"name": "Lê Thị Mẫu", "officer": "an"}));
    let Ok(Inquiry::Ask(other)) = lookup(&adapter).inquiry(&dossier("citizen", "Lê Thị Khác")) else {
        panic!("a citizen is asked about");
    };
    assert_ne!(question.hash, other.hash);
    assert_eq!(
        lookup(&adapter).inquiry(&dossier("enterprise", "Công ty Mẫu")),
        Ok(Inquiry::Say(json!({"identity": {"outcome": "not_applicable"}})))
    );
    assert_eq!(
        format!("{:?}", Inquiry::Ask(question)),
        "Ask(..)",
        "it holds personal data"
    );

    let silent = world()
        .with("otherwise = '{identity: {outcome: \"not_applicable\"}}'\n", "")
        .load()
        .unwrap();
    let nothing = lookup(&silent).inquiry(&dossier("enterprise", "Công ty Mẫu"));
    assert_eq!(nothing, Ok(Inquiry::Nothing));
}

#[test]
fn an_answer_says_something_of_the_dossier_that_was_asked_about() {
    let adapter = world().load().unwrap();
    let asked = json!({"name": "Lê Thị Mẫu"});
    let fact = |answer: Json| lookup(&adapter).fact(&answer, &asked, "q1").unwrap();
    assert_eq!(
        fact(json!({"none": true})),
        Some(json!({"identity": {"outcome": "not_found", "request": "q1"}}))
    );
    assert_eq!(
        fact(json!({"name": "Lê Thị Mẫu"})),
        Some(json!({"identity": {"outcome": "match"}}))
    );
    assert_eq!(fact(json!({"left": true})), None, "left out on purpose");

    let patch = about(
        fact(json!({"name": "?"})).unwrap(),
        &Origin::new("one-stop", "H56-1"),
        Some("hash"),
    );
    let expected = json!({"dossier": "H56-1", "identity": {"outcome": "mismatch", "person": "hash"}});
    assert_eq!(patch, expected, "an identity check counts for whom it was made");
    assert!(Patch::parse(&patch).is_ok());
    assert_eq!(
        lookup(&adapter).meanwhile(&dossier("citizen", "a")).unwrap(),
        Some(json!({"identity": {"outcome": "unavailable"}}))
    );
    assert_eq!(lookup(&adapter).meanwhile(&json!({"code": null})).unwrap(), None);
}

#[test]
fn a_question_uses_up_what_its_system_allows() {
    let adapter = world().load().unwrap();
    let spends = |officer: &str| {
        let now = "2026-03-04T16:59:59Z".parse().unwrap();
        lookup(&adapter)
            .spends(&json!({"officer": officer}), now)
            .unwrap()
    };
    let [every, per] = <[_; 2]>::try_from(spends("038190000123")).unwrap();
    assert_eq!(
        (every.name.as_str(), every.limit, every.for_all),
        ("lookup.owner.1/1", 5, true)
    );
    assert_eq!(
        (per.limit, per.for_all, per.until.to_string().as_str()),
        (300, false, "2026-03-04T17:00:00Z")
    );
    assert!(
        !per.name.contains("038190000123"),
        "an account may be the number of a person"
    );
    let limited = world().with("limit = \"5/s\"", "limit = \"$settings.agency\"");
    assert!(
        limited.told()[0].contains("found \"H56\""),
        "{:?}",
        limited.told()
    );
    let limited = limited
        .with("agency = \"H56\"", "agency = \"7/min\"")
        .load()
        .unwrap();
    let spend = lookup(&limited)
        .spends(&json!({}), "2026-03-04T16:59:59Z".parse().unwrap())
        .unwrap()
        .remove(0);
    assert_eq!(spend.limit, 7, "a site may have a limit of its own");
    let other = spends("binh");
    assert_eq!(other[0].name, every.name);
    assert_ne!(other[1].name, per.name);
}

#[test]
fn faults_of_a_lookup_name_line_and_remedy() {
    let rows = [
        (
            "asks = '{name: .applicant.person.name, officer: \"an\"}'\n",
            "",
            "[missing-key] lookup.owner.asks:",
        ),
        (
            "quota = [{ limit = \"5/s\" }, ",
            "quota = [{ limit = \"5/m\" }, ",
            "[bad-quota] lookup.owner.quota[1].limit: found \"5/m\"; expected a number above 0 and a time (s, min, h, day), as in \"5/s\" or \"300/day\"",
        ),
        (
            "when = '.applicant.person.kind == \"citizen\"'\n",
            "",
            "[missing-key] lookup.owner.when:",
        ),
        (
            "remember = \"10m\"\n",
            "remembers = \"10m\"\n",
            "[unknown-key] lookup.owner.remembers:",
        ),
        ("$asked.name", "$dossier.name", "$dossier"),
        (
            "officer: \"an\"}'",
            "officer: $settings.password}'",
            "[secret-in-mapping]",
        ),
    ];
    for (from, to, expected) in rows {
        let told = world().with(from, to).told();
        assert!(
            told.iter().any(|told| told.contains(expected)),
            "{from}: {told:?}"
        );
    }
}

#[test]
fn samples_show_question_answer_and_what_is_said() {
    let world = world();
    let dossier = dossier("citizen", "Lê Thị Mẫu").to_string();
    let case = |name: &str, content: &str| world.write(&format!("samples/lookup.owner/{name}.json"), content);
    case("same.dossier", &dossier);
    case("same.asked", r#"{"name": "Lê Thị Mẫu", "officer": "an"}"#);
    case(
        "same.request",
        r#"{"method": "POST", "path": "/persons", "body": {"request": "sample", "name": "Lê Thị Mẫu", "officer": "an"}}"#,
    );
    case("same.meanwhile", r#"{"identity": {"outcome": "unavailable"}}"#);
    case(
        "same.answer",
        r#"{"status": 200, "body": {"name": "Lê Thị Mẫu"}}"#,
    );
    case("same.patch", r#"{"identity": {"outcome": "match"}}"#);
    case(
        "company.dossier",
        &self::dossier("enterprise", "Công ty Mẫu").to_string(),
    );
    case(
        "company.otherwise",
        r#"{"identity": {"outcome": "not_applicable"}}"#,
    );
    case("none.answer", r#"{"status": 200, "body": {"none": true}}"#);
    case("none.verdict", r#"{"is": "missing"}"#);
    let of_lookup = |world: &World| -> Vec<String> {
        let results = contract::run(&world.load().unwrap()).into_iter();
        let faults = results
            .filter(|case| case.name.starts_with("lookup."))
            .filter_map(|case| case.result.err());
        faults.map(|fault| fault.to_string()).collect()
    };
    // What the connection's rules can give is shown by no case here.
    let of_own = |told: Vec<String>| {
        told.into_iter()
            .filter(|told| !told.contains("\"exists\"") && !told.contains("\"login\""))
            .collect::<Vec<_>>()
    };
    assert_eq!(of_own(of_lookup(&world)), Vec::<String>::new());

    let broken = [
        ("same.asked", r#"{"name": "Lê Thị Mẫu"}"#),
        ("same.request", r#"{"method": "GET", "path": "/persons"}"#),
        ("same.meanwhile", r#"{"identity": {"outcome": "match"}}"#),
        ("same.patch", r#"{"identity": {"outcome": "mismatch"}}"#),
        ("company.otherwise", r#"{"identity": {"outcome": "match"}}"#),
        ("none.verdict", r#"{"is": "refused"}"#),
    ];
    for (name, content) in broken {
        let path = world
            .folder
            .path()
            .join(format!("samples/lookup.owner/{name}.json"));
        let sound = std::fs::read_to_string(&path).unwrap();
        case(name, content);
        assert!(!of_own(of_lookup(&world)).is_empty(), "{name}");
        case(name, &sound);
    }
    let silent = world.with("identity = \"always\", ", "");
    let told = of_own(of_lookup(&silent));
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(
        told.iter().all(|told| told.contains("[not-owner] identity")),
        "{told:#?}"
    );
    let world = silent.with("owns = { ", "owns = { identity = \"always\", ");

    let files = world.with("every = \"1d\"", "every = \"1d\"\nfiles = [\".photo\"]");
    let told = of_own(of_lookup(&files));
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].contains("an answer with a file at .photo"), "{told:#?}");
    let world = files.with("\nfiles = [\".photo\"]", "");
    assert_eq!(of_own(of_lookup(&world)), Vec::<String>::new());

    for (part, expected) in [
        ("same.request", "the request of a question"),
        ("same.meanwhile", "what is said as long as nobody answers"),
        ("company.otherwise", "what is said of it"),
        ("same.patch", "what it says of the dossier"),
        ("none.verdict", "judged \"missing\""),
    ] {
        let file = format!("samples/lookup.owner/{part}.json");
        let sound = std::fs::read_to_string(world.folder.path().join(&file)).unwrap();
        world.remove(&file);
        let told = of_lookup(&world);
        assert!(
            told.iter().any(|told| told.contains(expected)),
            "{part}: {told:?}"
        );
        world.write(&file, &sound);
    }
}
