//! Files: fetched by a call of their own, kept by their content, given on as a link or as base64.

use std::path::{Path, PathBuf};

use lienthong::store::State;
use serde_json::{Value, json};

use crate::support::{Act, Bench, MANIFEST, Site, Target, client, code, contents, row, until};

/// Hands out the papers that a dossier's form names, as base64.
const SHELF: &str = r#"lienthong = 1
title = "Kho giấy tờ của bài thử"
subscribe = { procedures = ["*"] }
needs = ["form"]
owns = { components = "always" }
[connection]
protocol = "http"
url = "http://127.0.0.1:9"
timeout = "20s"
retry = { first = "4s", max = "60s", give_up = "7d" }
[lookup.papers]
each = '.form.giayTo[]? | {id: .duongDan, ten: .ten}'
asks = '{path: .id, name: .ten}'
path = '/paper'
body = '{duongDan: .path}'
files = [".tep[].noiDung"]
map = '{components: [{type: "GKSK", ordinal: 1, name: $asked.name, file: (.tep[0].noiDung + {name: "Giấy khám.pdf"})}]}'
"#;

/// Takes one paper as a link and as base64.
fn taker() -> String {
    MANIFEST.replace(
        "record = '{id: .code, name: .applicant.person.name, status: .status.value, summary: .summary}'",
        "record = '{id: .code, name: .applicant.person.name, link: (.components[\"GKSK#1\"].file | as_link), bytes: (.components[\"GKSK#1\"].file | as_base64)}'",
    )
}

/// `%PDF-1.4` and `%PDF-1.5`, in base64.
const PAPER: &str = "JVBERi0xLjQ=";
const OTHER: &str = "JVBERi0xLjU=";

fn with_paper(path: &str) -> Value {
    let mut row = row(1);
    row["EForm"] = json!({"giayTo": [{"duongDan": path, "ten": "Giấy khám sức khoẻ"}]});
    row
}

async fn shelf(content: &'static str) -> Target {
    let target = Target::start().await;
    target.serve("/paper", move |_, asked| {
        (
            200,
            json!({"tep": [{"noiDung": content, "duongDan": asked["duongDan"]}]}),
        )
    });
    target
}

fn files(bench: &Bench) -> Vec<PathBuf> {
    let folder = bench.file().parent().unwrap().join("files");
    let inside = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    inside(&folder).iter().flat_map(|folder| inside(folder)).collect()
}

async fn open(shelf: &Target, book: &Target) -> Bench {
    Bench::open(&[("shelf", SHELF, &shelf.url), ("book", &taker(), &book.url)]).await
}

async fn component(bench: &Bench) -> Value {
    bench.dossier(&code(1)).await.view()["components"]["GKSK#1"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn paper_is_fetched_once_kept_by_its_content_and_given_on_as_link_and_bytes() {
    let (shelf, book) = (shelf(PAPER).await, Target::start().await);
    let bench = open(&shelf, &book).await;
    bench.tell(&with_paper("/gplx/1.pdf")).await;
    bench.work("shelf").await;
    bench.work("book").await;
    let kept = files(&bench);
    assert_eq!(kept.len(), 1);
    assert_eq!(std::fs::read(&kept[0]).unwrap(), b"%PDF-1.4");
    let hash = kept[0].file_name().unwrap().to_str().unwrap();
    assert_eq!(
        component(&bench).await["file"],
        json!({"$file": hash, "size": 8, "type": "application/pdf", "name": "Giấy khám.pdf"})
    );
    let record = book.records().pop().unwrap();
    assert_eq!(record["bytes"], PAPER);
    assert_eq!(
        record["link"],
        format!("https://bus.example.vn/files/{hash}/Gi%E1%BA%A5y%20kh%C3%A1m.pdf")
    );

    // told again with something else in it: the paper is not asked for again
    let mut row = with_paper("/gplx/1.pdf");
    row["TrichYeuHoSo"] = json!("Cấp lại");
    row["NgayCapNhat"] = json!("20260305100000");
    bench.tell(&row).await;
    bench.work("shelf").await;
    assert_eq!(shelf.calls("/paper").len(), 1);
    // another path is another paper
    row["EForm"]["giayTo"][0]["duongDan"] = json!("/gplx/2.pdf");
    row["NgayCapNhat"] = json!("20260305110000");
    shelf.next(
        "/paper",
        Act::Answer(200, vec![], json!({"tep": [{"noiDung": OTHER}]})),
    );
    bench.tell(&row).await;
    bench.work("shelf").await;
    bench.work("book").await;
    assert_eq!(book.records().pop().unwrap()["bytes"], OTHER);
}

#[tokio::test(flavor = "multi_thread")]
async fn paper_that_is_missing_or_altered_parks_its_record_before_anything_is_called() {
    for (altered, cause) in [(true, "file-altered"), (false, "file-missing")] {
        let (shelf, book) = (shelf(PAPER).await, Target::start().await);
        let bench = open(&shelf, &book).await;
        bench.tell(&with_paper("/gplx/1.pdf")).await;
        bench.work("shelf").await;
        let kept = files(&bench).remove(0);
        if altered {
            std::fs::write(&kept, b"%PDF-6.6").unwrap();
        } else {
            std::fs::remove_file(&kept).unwrap();
        }
        bench.work("book").await;
        assert_eq!(
            bench.parked(&code(1), "book", "dossier").await,
            [(0, cause.to_owned())]
        );
        assert_eq!(book.paths(), Vec::<String>::new());

        // it is restored, and a person tries again
        std::fs::write(&kept, b"%PDF-1.4").unwrap();
        let row = bench.row(&code(1), "book", "dossier").await;
        bench.retry(&row).await;
        bench.work("book").await;
        assert_eq!(book.records().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_base64_is_asked_for_again_and_nothing_is_kept_of_it() {
    let (shelf, book) = (shelf(PAPER).await, Target::start().await);
    let bench = open(&shelf, &book).await;
    shelf.next(
        "/paper",
        Act::Answer(200, vec![], json!({"tep": [{"noiDung": "lỗi hệ thống"}]})),
    );
    bench.tell(&with_paper("/gplx/1.pdf")).await;
    bench.work("shelf").await;
    assert_eq!(component(&bench).await, Value::Null);
    assert!(files(&bench).is_empty());
    let rows = bench.rows(&code(1), "shelf", "lookup.papers").await;
    assert!(
        matches!(rows[1].state, State::BackingOff { .. }),
        "{:?}",
        rows[1].state
    );
    bench.advance(60);
    bench.work("shelf").await;
    assert_ne!(component(&bench).await, Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn paper_that_cannot_be_read_keeps_no_other_back() {
    let (shelf, book) = (shelf(PAPER).await, Target::start().await);
    let bench = open(&shelf, &book).await;
    let broken = json!({"tep": [{"noiDung": "lỗi hệ thống"}]});
    shelf.next("/paper", Act::Answer(200, vec![], broken));
    let mut row = with_paper("/gplx/1.pdf");
    let papers = row["EForm"]["giayTo"].as_array_mut().unwrap();
    papers.push(json!({"duongDan": "/gplx/2.pdf", "ten": "Đơn"}));
    bench.tell(&row).await;
    bench.work("shelf").await;
    let asked: Vec<Value> = shelf
        .calls("/paper")
        .into_iter()
        .map(|call| call.body["duongDan"].clone())
        .collect();
    assert_eq!(asked, ["/gplx/1.pdf", "/gplx/2.pdf"]);
    assert_eq!(files(&bench).len(), 1);
}

/// Lists results, each with its paper.
const LISTING: &str = r#"lienthong = 1
title = "Sổ kết quả của bài thử"
originates = ["*"]
owns = { procedure = "always", results = "always" }
[connection]
protocol = "http"
url = "http://127.0.0.1:9"
[pull.results]
every = "10m"
path = '/list'
body = '{}'
records = '.rows[]'
files = [".rows[].tep"]
code = '.ma'
map = '{dossier: {native: .ma}, procedure: {code: "1.002809", name: "x"}, results: [{code: "KQ", number: .ma, files: [.tep + {name: "kq.pdf"}]}]}'
"#;

#[tokio::test(flavor = "multi_thread")]
async fn row_of_a_page_whose_paper_is_none_is_refused_by_name_and_keeps_no_other_back() {
    let target = Target::start().await;
    let page = |second: &str| json!({"rows": [{"ma": "HS-1", "tep": PAPER}, {"ma": "HS-2", "tep": second}, {"ma": "HS-3", "tep": OTHER}]});
    target.next("/list", Act::Answer(200, vec![], page("lỗi hệ thống")));
    let bench = Bench::open(&[("register", LISTING, &target.url)]).await;
    let puller = bench.puller("register");
    puller.step().await.unwrap();
    bench.spread().await;
    for code in ["HS-1", "HS-3"] {
        assert_eq!(
            bench.dossier(code).await.view()["results"]
                .as_object()
                .unwrap()
                .len(),
            1,
            "{code}"
        );
    }
    let refused = bench.letters().await;
    let [letter] = refused.as_slice() else {
        panic!("{refused:?}")
    };
    assert_eq!(
        (
            letter.cause.code.as_str(),
            letter.cause.field.as_deref(),
            letter.dossier.as_deref()
        ),
        ("bad-file", Some(".rows[].tep"), Some("HS-2"))
    );
    assert_eq!(files(&bench).len(), 2);

    // mended there, it is taken at the next asking
    target.next("/list", Act::Answer(200, vec![], page(PAPER)));
    bench.advance(600);
    puller.step().await.unwrap();
    bench.spread().await;
    assert!(bench.letters().await.is_empty());
    assert_eq!(
        bench.dossier("HS-2").await.view()["results"]
            .as_object()
            .unwrap()
            .len(),
        1
    );
}

/// Tells of results, each with its paper.
const TELLING: &str = r#"lienthong = 1
title = "Sổ kết quả của bài thử"
originates = ["*"]
owns = { procedure = "always", results = "always" }
[connection]
protocol = "http"
url = "http://127.0.0.1:9"
[webhook.result]
path = "/hooks/register"
verify = '$raw | says("du")'
receive = "xml"
files = [".kq.tep"]
code = '.kq.ma'
map = '{dossier: {native: .kq.ma}, procedure: {code: "1.002809", name: "x"}, results: [{code: "KQ", number: .kq.ma, files: [.kq.tep + {name: "kq.pdf"}]}]}'
"#;

#[tokio::test(flavor = "multi_thread")]
async fn paper_that_a_system_sends_by_itself_is_kept_as_a_file_and_nowhere_else() {
    let target = Target::start().await;
    let site = Site::start(&[("register", TELLING, &target.url)]).await;
    let told = async |code: &str, paper: &str| {
        let body = format!("<kq><ma>{code}</ma><du>1</du><tep>{paper}</tep></kq>");
        let url = site.hook("/hooks/register");
        let answer = client().post(url).body(body).send().await.unwrap();
        (
            answer.status().as_u16(),
            answer.json::<Value>().await.unwrap()["code"].clone(),
        )
    };
    assert_eq!(told("HS-1", PAPER).await, (200, json!("mapped")));
    let replica = until("the dossier", async || {
        site.store().find_replica("HS-1").await.unwrap()
    })
    .await;
    let result = replica.dossier.view()["results"]["KQ#HS-1"].clone();
    assert_eq!(result["files"][0]["size"], 8, "{result}");
    let kept = contents(&site.file()).await;
    assert!(
        kept["inbox"].contains("HS-1") && !kept["inbox"].contains(PAPER),
        "{kept:?}"
    );
    assert_eq!(told("HS-2", "không phải").await, (200, json!("refused")));
    let letters = site.store().dead_letters(10).await.unwrap();
    let [letter] = letters.as_slice() else {
        panic!("{letters:?}")
    };
    assert_eq!(
        (letter.cause.code.as_str(), letter.dossier.as_deref()),
        ("bad-file", Some("HS-2"))
    );
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn link_gives_the_paper_to_whoever_was_told_it_and_to_nobody_else() {
    let (shelf, book) = (shelf(PAPER).await, Target::start().await);
    let site = Site::start(&[("shelf", SHELF, &shelf.url), ("book", &taker(), &book.url)]).await;
    site.tell(&with_paper("/gplx/1.pdf")).await;
    let link = until("the link", async || {
        let record = book.records().pop()?;
        record["link"].as_str().map(str::to_owned)
    })
    .await;
    assert!(link.starts_with(&site.hook("/files/")), "{link}");
    let answer = client().get(&link).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/pdf");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    assert_eq!(answer.bytes().await.unwrap().as_ref(), b"%PDF-1.4");
    for wrong in [
        "0".repeat(64),
        "..%2F..%2Flienthong.db".to_owned(),
        "a".to_owned(),
    ] {
        let answer = client()
            .get(site.hook(&format!("/files/{wrong}/x")))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 404, "{wrong}");
    }
    let file = site.file().parent().unwrap().join("files");
    let hash = link.split('/').rev().nth(1).unwrap();
    std::fs::write(file.join(hash.split_at(2).0).join(hash), b"x").unwrap();
    assert_eq!(
        client().get(&link).send().await.unwrap().status(),
        404,
        "what was altered is not given out"
    );
    site.stop().await;
}
