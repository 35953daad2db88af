//! The whole province between systems that others wrote, whichever way it meets the portal: what citizens hand in, what
//! officials decide, and what the rows of each of these systems say in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::{ToSpan, tz};
use lienthong::clock::{Clock as _, SystemClock};
use lienthong::demo::FILES;
use lienthong::demo::judge::{Beside, Expected, expected, identity, judge, judge_licences};
use lienthong::sandbox::{Options, Sandbox};
use serde_json::{Value, json};

use super::peer::{Peer, Site, secret};
use super::{
    COLLIDING, checked, code, content, declarations_judged, declared, dossiers, judicial_records, list,
    of_population, one_stop, population, portal, portal_behind, register, shown_but_busy, to_declare,
};
use crate::support::until;

/// What was worked out by hand.
const EXPECTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/edges/peers/expected");
const DECLARATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/expectations/declarations");

const DELEGATED: &str = "H56.14-260603-0001";
const COMPANY: &str = "000.00.14.H56-230913-0001";

/// How many dossiers the licence desk has, and where its officials lead each of them, step by step.
const LICENCES: usize = 3;
const WAYS: [&[&str]; LICENCES] = [&["4", "9", "10"], &["4", "9"], &[]];

/// `%PDF-1.4` and the end of the line: what every paper at the licence desk holds.
const PAPER: &[u8] = b"%PDF-1.4\n";
const PAPER_HASH: &str = "e5c62df5dab5c87b6a015ef3d43597074d1eec433b15f51aec63b8582d0e4ab4";

/// The licence desk, the only one here that is not of others: its dossiers come into being there, received yesterday.
async fn licence_desk() -> Sandbox {
    let settings = [
        ("username", json!(secret("DRIVING_LICENCE_USER"))),
        ("password", json!(secret("DRIVING_LICENCE_PASSWORD"))),
    ];
    let options = Options {
        settings: settings
            .map(|(name, value)| (name.to_owned(), value))
            .into_iter()
            .collect(),
        officials: false,
        ..Options::default()
    };
    let adapter = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/driving-licence");
    let desk = Sandbox::start(&adapter, options).await.unwrap();
    let text = include_str!("../../../src/demo/licences.jsonl");
    let today = SystemClock
        .now()
        .to_zoned(tz::TimeZone::fixed(tz::offset(7)))
        .date();
    for line in text.lines().take(LICENCES) {
        let mut row: Value = serde_json::from_str(line).unwrap();
        row["ngayNhanHoSo"] = json!(today.checked_sub(1.day()).unwrap());
        row["ngayHenTraGplx"] = json!(today.checked_add(4.days()).unwrap());
        desk.insert("HoSo", row).await.unwrap();
    }
    desk
}

/// A province: its one-stop, its licence desk, the systems of others, and a node between them.
struct Province {
    population: Peer,
    judicial: Peer,
    portal: Peer,
    desk: Sandbox,
    one_stop: Sandbox,
    site: Site,
}

impl Province {
    /// Makes one that meets its portal through this variant of the adapter.
    async fn start(folder: &Path, portal: Peer, variant: Option<&str>) -> Self {
        let population = population("gateway", &json!({"busy": 3}));
        let judicial = judicial_records(&json!({}));
        let desk = licence_desk().await;
        let one_stop_before = one_stop(folder, "", None).await;
        let desk_url = desk.url();
        let hosted = [
            ("population", None, population.url.as_str(), of_population()),
            ("judicial-records", None, judicial.url.as_str(), json!({})),
            ("driving-licence", None, desk_url.as_str(), json!({})),
            ("national-portal", variant, portal.url.as_str(), json!({})),
        ];
        let site = Site::start(&one_stop_before.url(), &hosted).await;
        let one_stop = one_stop(folder, &site.hook(), Some(one_stop_before)).await;
        Self {
            population,
            judicial,
            portal,
            desk,
            one_stop,
            site,
        }
    }

    /// The one-stop's rows of the desk's dossiers, in the desk's order; fewer as long as not all are there.
    fn licences(&self) -> Vec<Value> {
        let rows = self.one_stop.rows("HoSo");
        let of = |dossier: &Value| {
            rows.iter()
                .find(|row| row["MaHoSoNguon"] == dossier["maHoSo"])
                .cloned()
        };
        self.desk.rows("HoSo").iter().filter_map(of).collect()
    }

    /// The register has every applicant as the judge has it, each question was taken by its schema, and none came twice.
    async fn applicants_are_checked_once_each(&self, rows: &[Value]) {
        let register = register();
        for row in rows {
            let (outcome, fields) = identity(row, &register);
            let fields: Vec<String> = fields.into_iter().map(str::to_owned).collect();
            assert_eq!(
                checked(&self.site, code(row)).await,
                (outcome.to_owned(), fields),
                "{}",
                code(row)
            );
        }
        self.site.rest().await;
        let shown = self.population.shown().await;
        content(&shown_but_busy(&shown));
        let applicable = rows
            .iter()
            .filter(|row| identity(row, &register).0 != "not_applicable")
            .count();
        assert_eq!(
            list(&shown, "asked").len(),
            applicable + 3,
            "once each, and again where it was busy"
        );
        assert!(
            shown["tokens_lost"].as_u64() > Some(0),
            "it has taken tokens back"
        );
    }

    /// The portal has every dossier and every step once and as it must be, and refused nothing on the way.
    async fn portal_is_right(&self, due: usize, not_due: usize) -> Value {
        let shown = self.portal.shown().await;
        let (held, desk, register) = (self.one_stop.rows("HoSo"), self.desk.rows("HoSo"), register());
        let beside = Beside {
            register: &register,
            licences: &desk,
        };
        let judged = judge(
            &held,
            FILES,
            &beside,
            list(&shown, "dossiers"),
            list(&shown, "progress"),
        );
        assert!(judged.is_clean() && judged.refused.is_empty(), "{judged:#?}");
        assert_eq!((judged.expected, judged.not_due), (due + LICENCES, not_due));
        let judged = judge_licences(&desk, &self.desk.rows("TinhTrang"), &held);
        assert!(judged.is_clean(), "{judged:#?}");
        content(&shown);
        // Nobody's licence stands there under two codes.
        let people = self
            .desk
            .rows("HoSo")
            .into_iter()
            .map(|dossier| dossier["soCmnd"].clone());
        for person in people {
            let theirs = list(&shown, "dossiers").iter();
            let theirs =
                theirs.filter(|item| item["SoGiayToChuHoSo"] == person && item["MaTTHC"] == "1.002809");
            assert_eq!(theirs.count(), 1);
        }
        shown
    }

    /// What the portal's own rows say of this dossier of the one-stop is what was worked out by hand.
    async fn portal_says(&self, row: &Value, file: &str, told: &[(&str, String)]) {
        let text = std::fs::read_to_string(format!("{EXPECTED}/{file}.json")).unwrap();
        let stated = filled(serde_json::from_str(&text).unwrap(), row, told);
        let shown = self.portal.shown().await;
        let of = |name: &str| -> Vec<Value> {
            let own = list(&shown, name)
                .iter()
                .filter(|entry| entry["MaHoSo"] == stated["portal"]["MaHoSo"]);
            own.cloned().collect()
        };
        assert_eq!(of("dossiers"), [stated["portal"].clone()], "{file}");
        assert_eq!(json!(of("progress")), stated["progress"], "{file}");
    }

    /// Every dossier that must be is declared once, whole and under its own name; of the two of one number one. Which one, and
    /// which other; and which dossiers wait for a person.
    async fn declarations_are_right(
        &self,
        rows: &[Value],
    ) -> (String, String, BTreeSet<(String, &'static str)>) {
        let due = to_declare(rows);
        let shown = self.judicial.until("all is declared and read", |shown| {
            let declared = declared(shown);
            declared.len() == due.len() + 1 && declared.values().all(|(_, read)| *read)
        });
        let shown = shown.await;
        let by_hand: BTreeMap<String, Value> = std::fs::read_dir(DECLARATIONS)
            .unwrap()
            .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
            .map(|text| serde_json::from_str::<Value>(&text).unwrap())
            .map(|stated| {
                (
                    stated["declarationWSForm"]["receiveNo"]
                        .as_str()
                        .unwrap()
                        .to_owned(),
                    stated,
                )
            })
            .collect();
        let (mut first, mut met) = (None, 0);
        for entry in list(&shown, "declarations") {
            let code = entry["body"]["declarationWSForm"]["receiveNo"].as_str().unwrap();
            if COLLIDING.contains(&code) {
                first = Some(code.to_owned());
            } else {
                assert!(
                    due.values().any(|row| super::code(row) == code),
                    "{code} is not to be declared"
                );
            }
            if let Some(stated) = by_hand.get(code) {
                assert_eq!(entry["body"], *stated, "{code}");
                met += 1;
            }
            let links =
                self.site.replica(code).await.unwrap().dossier.view()["links"]["judicial-records"].take();
            assert_eq!(links, json!([entry["id"]]));
        }
        assert_eq!(met, 2, "the delegated one, and the first of one number");
        let first = first.expect("one of the two of one number");
        let second = COLLIDING
            .into_iter()
            .find(|code| *code != first)
            .unwrap()
            .to_owned();
        assert_eq!(
            list(&shown, "refused").len(),
            1,
            "the second of one number: {shown}"
        );
        let (judged, left) = declarations_judged(&self.one_stop, &shown);
        assert!(judged.is_clean(), "{judged:#?}");
        assert_eq!(judged.present, due.len() + 1);
        let letters = self.site.dead_letters().await;
        assert!(letters.iter().all(|letter| letter.system == "judicial-records"));
        let parked: BTreeSet<(String, &str)> = letters
            .iter()
            .map(|letter| (letter.dossier.clone().unwrap(), letter.cause.code.as_str()))
            .collect();
        assert_eq!(parked, left);
        assert_eq!(
            left.len(),
            3,
            "the second of one number, who has none, and a company"
        );
        assert!(left.contains(&(COMPANY.to_owned(), "not-taken")));
        (first, second, left)
    }

    /// The officers at judicial records bring every declaration into this state; its list is read and marked.
    async fn judicial_records_decide(&self, state: i64, day: &str) {
        let before = self.judicial.shown().await["called"]["danhDauHsThanhCong"].as_u64();
        for number in declared(&self.judicial.shown().await).keys() {
            self.judicial
                .told(&json!({"number": number, "state": state, "day": day}))
                .await;
        }
        let shown = self.judicial.until("every state is read", |shown| {
            declared(shown).values().all(|(at, read)| *at == state && *read)
        });
        let shown = shown.await;
        assert!(shown["called"]["danhDauHsThanhCong"].as_u64() > before);
    }

    /// The licence desk's officials take this step.
    async fn licences_go_on(&self, step: usize) {
        for (dossier, way) in self.desk.rows("HoSo").iter().zip(WAYS) {
            if let Some(state) = way.get(step) {
                let line = json!({"maHoSo": dossier["maHoSo"], "MaTrangThai": state});
                self.desk.insert("KichBan", line).await.unwrap();
            }
        }
        self.desk.round("officials").await.unwrap();
    }

    /// Waits until the portal's rows say this of a dossier.
    async fn portal_shows(&self, code: &str, state: &str) {
        let what = format!("the portal says that {code} is at {state}");
        let holds = |shown: &Value| {
            let mut own = list(shown, "dossiers")
                .iter()
                .filter(|item| item["MaHoSo"] == code);
            own.any(|item| item["TrangThaiHoSo"] == state)
        };
        self.portal.until(&what, holds).await;
    }
}

/// An expectation with what no hand can know: `@/POINTER` is what the one-stop's own row has there (the code and the times that
/// the one-stop itself gives), `@NAME` is told.
fn filled(stated: Value, row: &Value, told: &[(&str, String)]) -> Value {
    match stated {
        Value::String(text) if text.starts_with("@/") => {
            row.pointer(&text.replacen('@', "", 1)).unwrap().clone()
        }
        Value::String(text) if text.starts_with('@') => {
            let (_, value) = told.iter().find(|(name, _)| text == format!("@{name}")).unwrap();
            json!(value)
        }
        Value::Array(items) => items.into_iter().map(|item| filled(item, row, told)).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(field, value)| (field, filled(value, row, told)))
            .collect(),
        other => other,
    }
}

/// The code under which the portal knows a dossier.
fn at_portal(row: &Value) -> &str {
    let other = row["MaHoSoKhac"].as_str().filter(|other| !other.is_empty());
    other.unwrap_or_else(|| code(row))
}

/// Clerks have typed four in at the portal, where a search does not show them yet.
async fn typed_by_clerks(portal: &Peer, rows: &[Value]) {
    let typed: Vec<&Value> = rows
        .iter()
        .filter(|row| {
            row["MaHoSoKhac"] == "" && row["LoaiGiayToChuHoSo"] == "CCCD" && row["NgayTiepNhan"] != ""
        })
        .take(4)
        .collect();
    for row in &typed {
        let Expected::Due { mut item, .. } = expected(row, FILES) else {
            panic!("{} is due", code(row));
        };
        item["TrichYeuHoSo"] = json!("gõ tay");
        portal.told(&json!({"typed": item, "unseen": 1})).await;
    }
    assert_eq!(typed.len(), 4);
}

/// Steps of a dossier that were all known at once come in the order of their times.
fn in_order_of_time(steps: &[Value]) {
    let mut last: BTreeMap<&str, &str> = BTreeMap::new();
    for step in steps {
        let at = step["ThoiDiemXuLy"].as_str().unwrap();
        let before = last.insert(code(step), at);
        assert!(before.is_none_or(|before| before <= at), "{step}");
    }
}

/// What differs between the ways to the portal.
struct Ways {
    /// Whether sessions or tokens are there to be lost.
    sessions: bool,
    /// How many creates the portal refused because of what was there already.
    exists: u64,
    /// How many of the one-stop's own dossiers are due at the portal, and how many nobody has received yet.
    due: (usize, usize),
}

/// From the counter to what every system's own rows say.
async fn comes_out_right(province: Province, rows: &[Value], ways: &Ways) {
    for row in rows {
        province.one_stop.insert("HoSo", row.clone()).await.unwrap();
    }
    let all = until("the desk's dossiers are recorded at the one-stop", async || {
        let licences = province.licences();
        (licences.len() == LICENCES).then(|| [rows, &licences].concat())
    })
    .await;
    for row in all.iter().skip(rows.len()) {
        until("the papers of a licence dossier are fetched", async || {
            let dossier = province.site.replica(code(row)).await?.dossier;
            dossier.view()["components"]
                .as_object()?
                .values()
                .any(|paper| paper["file"].is_object())
                .then_some(())
        })
        .await;
    }
    province.applicants_are_checked_once_each(&all).await;
    let shown = province.portal_is_right(ways.due.0, ways.due.1).await;
    assert_eq!(shown["exists"], ways.exists);
    assert_eq!(shown["lost"]["answers"], 3);
    in_order_of_time(list(&shown, "progress"));
    let (first, second, left) = province.declarations_are_right(rows).await;
    let before = province.site.replica(&second).await.unwrap().dossier;

    // Officials decide, step by step, and everybody hears.
    let due = to_declare(rows);
    let certified = || due.values().map(|row| code(row)).chain([first.as_str()]);
    let licences = province.licences();
    let key = |own| at_portal(all.iter().find(|row| code(row) == own).unwrap());
    for (step, (state, day)) in [(4, ""), (5, "30/06/2026")].into_iter().enumerate() {
        province.judicial_records_decide(state, day).await;
        province.licences_go_on(step).await;
        let national = if state == 4 { "4" } else { "9" };
        for code in certified().chain(licences.iter().take(2).map(code)) {
            province.portal_shows(key(code), national).await;
        }
    }
    province.licences_go_on(2).await;
    province.portal_shows(code(&licences[0]), "10").await;
    for code in certified() {
        let dossier = province.site.replica(code).await.unwrap().dossier;
        let log = dossier.view()["status_log"].take();
        for value in ["in_progress", "completed"] {
            let entries = log.as_array().unwrap().iter();
            let heard =
                entries.filter(|entry| entry["system"] == "judicial-records" && entry["value"] == value);
            assert_eq!(heard.count(), 1, "{code}: {value}");
        }
        let rows = province.one_stop.rows("HoSo");
        assert!(
            rows.iter()
                .any(|row| row["MaHoSo"] == code && row["TrangThaiHoSoId"] == 9),
            "{code}"
        );
    }
    until("the one-stop has told of it", async || {
        (province.one_stop.unsent() == 0).then_some(())
    })
    .await;
    province.site.rest().await;
    assert_eq!(
        province.site.replica(&second).await.unwrap().dossier,
        before,
        "nothing of the first reaches the second"
    );

    // What the systems of others say in the end.
    let shown = province.portal_is_right(ways.due.0, ways.due.1).await;
    assert_eq!(
        shown["lost"]["sessions"].as_u64() > Some(0),
        ways.sessions,
        "it has closed sessions"
    );
    let (judged, now) = declarations_judged(&province.one_stop, &province.judicial.shown().await);
    assert!(judged.is_clean(), "{judged:#?}");
    assert_eq!((judged.present, now), (due.len() + 1, left));
    assert_eq!(list(&province.judicial.shown().await, "refused").len(), 1);
    let held = province.one_stop.rows("HoSo");
    let row = |code: &str| held.iter().find(|row| row["MaHoSo"] == code).unwrap();
    province
        .portal_says(row(DELEGATED), "delegated-certificate-issued", &[])
        .await;
    province
        .portal_says(row(COMPANY), "company-without-a-declaration", &[])
        .await;
    let licence = &province.licences()[0];
    let desk = &province.desk.rows("HoSo")[0];
    let day = |field: &str| desk[field].as_str().unwrap().replace('-', "");
    let paper = format!("{}/files/{PAPER_HASH}/0.pdf", province.site.url());
    let told = [
        ("received", format!("{}080000", day("ngayNhanHoSo"))),
        ("due", format!("{}170000", day("ngayHenTraGplx"))),
        ("paper", paper.clone()),
    ];
    province.portal_says(licence, "licence-handed-over", &told).await;
    let served = province.portal.client.get(paper).send().await.unwrap();
    assert_eq!(
        served.bytes().await.unwrap(),
        PAPER,
        "whoever follows the link has the paper"
    );
    province.one_stop.stop().await;
    province.site.stop().await;
    province.desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn province_comes_out_right_between_systems_that_others_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let rows = dossiers();
    let portal = portal(&json!({"lose": 3}));
    // Of what clerks have typed a search shows nothing yet; a create whose answer was lost is found.
    typed_by_clerks(&portal, &rows).await;
    let ways = Ways {
        sessions: true,
        exists: 4,
        due: (58, 4),
    };
    comes_out_right(Province::start(folder.path(), portal, None).await, &rows, &ways).await;
}

/// Where nobody can ask, a create whose answer was lost is made again, and is there already. The first twenty dossiers, and all
/// that are declared.
async fn comes_out_right_behind(way: &str, variant: &str, sessions: bool) {
    let folder = tempfile::tempdir().unwrap();
    let portal = portal_behind(way, &json!({"lose": 3}));
    let province = Province::start(folder.path(), portal, Some(variant)).await;
    let mut rows = dossiers();
    let declared = rows.split_off(20).into_iter();
    rows.extend(declared.filter(|row| row["MaTTHC"].as_str().unwrap().starts_with("2.000488")));
    let ways = Ways {
        sessions,
        exists: 3,
        due: (31, 1),
    };
    comes_out_right(province, &rows, &ways).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn province_comes_out_right_where_a_gateway_stands_before_the_portal_of_others() {
    comes_out_right_behind("gateway", "lgsp", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn province_comes_out_right_where_a_facade_stands_before_the_portal_of_others() {
    comes_out_right_behind("facade", "query", false).await;
}
