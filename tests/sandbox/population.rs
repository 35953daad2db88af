//! The stand-in for the population database: what it takes for a question, on each way to it, and how it refuses the rest.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;
use lienthong::clock::{Clock, ManualClock};
use lienthong::sandbox::Sandbox;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{adapter, answer, client, clock, start};

const ENVELOPE: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const REGISTER: &str = "http://dancuquocgia.bca";
const LOOK_UP: &str = "TraCuuThongTinCongDan";
const VERIFY: &str = "XacThucThongTinCongDan";

struct World {
    sandbox: Sandbox,
    clock: ManualClock,
    token: String,
}

impl World {
    async fn new() -> Self {
        Self::with(json!({})).await
    }

    /// With these settings; it knows one citizen.
    async fn with(settings: Value) -> Self {
        let clock = clock();
        let sandbox = start(&adapter("population"), settings, &clock).await;
        let citizen = json!({
            "SoDinhDanh": "038190000123", "SoCMND": "171234567", "HoVaTen": {"Ho": "Lê", "ChuDem": "Thị", "Ten": "Mẫu"},
            "NgayThangNamSinh": {"Nam": "1990", "NgayThangNam": "19900417"},
        });
        sandbox.insert("CongDan", citizen).await.unwrap();
        let mut world = Self {
            sandbox,
            clock,
            token: String::new(),
        };
        world.log_in().await;
        world
    }

    async fn log_in(&mut self) {
        let account = "grant_type=client_credentials&client_id=lienthong&client_secret=mat-khau-mau";
        let call = self
            .post("/token")
            .header("content-type", "application/x-www-form-urlencoded");
        let (status, opened) = answer(call.body(account)).await;
        assert_eq!(status, 200, "{opened}");
        opened["access_token"]
            .as_str()
            .unwrap()
            .clone_into(&mut self.token);
    }

    fn post(&self, path: &str) -> RequestBuilder {
        client().post(format!("{}{path}", self.sandbox.url()))
    }

    /// A call through the gateway, as it has to be made.
    fn gateway(&self, path: &str) -> RequestBuilder {
        self.post(path)
            .bearer_auth(&self.token)
            .header("content-type", "text/xml; charset=utf-8")
            .header("soapaction", "\"\"")
    }

    /// A call through a security server of the exchange, with a digest over these.
    fn exchange(&self, secret: &str, at: i64) -> RequestBuilder {
        let signed = format!("https://ndxp.example.vn/authlienthong{at}{secret}");
        let digest = hex::encode(Sha256::digest(signed));
        let credentials = STANDARD.encode(format!("lienthong:{digest}"));
        self.post("/dancu/tracuu")
            .header("timestamp", at.to_string())
            .header("authorization", format!("Basic {credentials}"))
            .header("x-road-client", "VN/GOV/000.00.00.H56/LT")
            .header("apikey", "khoa-api-mau")
            .header("soapaction", "\"\"")
            .header("content-type", "application/xml; charset=utf-8")
    }

    /// Looks up in this way; status and text of the answer.
    async fn ask(&self, question: &Question) -> (u16, String) {
        told(self.gateway("/dancu/tracuu").body(question.text(LOOK_UP))).await
    }

    fn asked(&self) -> usize {
        self.sandbox.count("YeuCau")
    }
}

async fn told(request: RequestBuilder) -> (u16, String) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.text().await.unwrap())
}

/// A question, element by element.
#[derive(Clone)]
struct Question {
    envelope: &'static str,
    register: &'static str,
    elements: Vec<(&'static str, String)>,
}

/// The question of the description, numbered `n`.
fn question(n: u32) -> Question {
    let elements = [
        ("MaYeuCau", format!("H56-20260305-{n:06}")),
        ("MaDVC", "1.004572".to_owned()),
        ("MaTichHop", "037".to_owned()),
        ("MaCanBo", "canbo01".to_owned()),
        ("MaDonVi", "H56.17".to_owned()),
        ("SoDinhDanh", "038190000123".to_owned()),
        ("HoVaTen", "LÊ THỊ MẪU".to_owned()),
        (
            "NgayThangNamSinh",
            "<dan:NgayThangNam>19900417</dan:NgayThangNam>".to_owned(),
        ),
    ];
    Question {
        envelope: ENVELOPE,
        register: REGISTER,
        elements: elements.into(),
    }
}

impl Question {
    fn with(mut self, name: &str, value: &str) -> Self {
        let element = self.elements.iter_mut().find(|(known, _)| *known == name);
        value.clone_into(&mut element.unwrap().1);
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.elements.retain(|(known, _)| *known != name);
        self
    }

    /// With this one more, before another.
    fn and(mut self, name: &'static str, value: &str, before: &str) -> Self {
        let place = self.elements.iter().position(|(known, _)| *known == before);
        self.elements.insert(place.unwrap(), (name, value.to_owned()));
        self
    }

    fn text(&self, operation: &str) -> String {
        let mut elements = String::new();
        for (name, value) in &self.elements {
            write!(elements, "<dan:{name}>{value}</dan:{name}>").unwrap();
        }
        format!(
            "<soapenv:Envelope xmlns:soapenv=\"{}\" xmlns:dan=\"{}\"><soapenv:Header/><soapenv:Body>\
             <dan:{operation}>{elements}</dan:{operation}></soapenv:Body></soapenv:Envelope>",
            self.envelope, self.register
        )
    }
}

/// The refusal over SOAP with this code, in these words.
fn fault(code: &str, words: &str) -> (u16, String) {
    let text = format!(
        "<S:Envelope xmlns:S=\"{ENVELOPE}\"><S:Body><S:Fault><faultcode>{code}</faultcode>\
         <faultstring>{words}</faultstring></S:Fault></S:Body></S:Envelope>"
    );
    (500, text)
}

fn unsound(words: &str) -> (u16, String) {
    fault("S:Client", &format!("Yêu cầu không hợp lệ: {words}"))
}

fn shows_the_citizen((status, text): &(u16, String)) -> bool {
    *status == 200
        && text.contains(&format!(
            "<CongdanCollection xmlns=\"{REGISTER}\" SoCongDan=\"1\">"
        ))
        && text.contains("<HoVaTen><Ho>Lê</Ho><ChuDem>Thị</ChuDem><Ten>Mẫu</Ten></HoVaTen>")
}

#[tokio::test(flavor = "multi_thread")]
async fn question_is_answered_whatever_its_prefixes() {
    let world = World::new().await;
    let look_up = |text: String| told(world.gateway("/dancu/tracuu").body(text));
    let text = question(1).text(LOOK_UP);
    let other = question(2)
        .text(LOOK_UP)
        .replace("soapenv", "S")
        .replace("xmlns:dan", "xmlns:q")
        .replace("<dan:", "<q:")
        .replace("</dan:", "</q:");
    let default = question(3)
        .text(LOOK_UP)
        .replace(&format!(" xmlns:dan=\"{REGISTER}\""), "")
        .replace(
            &format!("<dan:{LOOK_UP}>"),
            &format!("<{LOOK_UP} xmlns=\"{REGISTER}\">"),
        )
        .replace("<dan:", "<")
        .replace("</dan:", "</");
    for text in [text, other, default] {
        let found = look_up(text.clone()).await;
        assert!(shows_the_citizen(&found), "{text}: {found:?}");
    }
    let with_account =
        question(4)
            .and("TaiKhoan", "canbo01", "SoDinhDanh")
            .and("SoDienThoai", "0", "SoDinhDanh");
    assert!(shows_the_citizen(&world.ask(&with_account).await));
    let old = question(5)
        .without("SoDinhDanh")
        .and("SoCMND", "171234567", "HoVaTen");
    let old = old.with("NgayThangNamSinh", "<dan:Nam>1990</dan:Nam>");
    assert!(shows_the_citizen(&world.ask(&old).await));

    let nobody = world.ask(&question(6).with("SoDinhDanh", "038190000999")).await;
    assert!(nobody.1.contains("SoCongDan=\"0\"/>"), "{nobody:?}");
    // Who has asked, when, about which procedure. Not about whom.
    let kept = world.sandbox.rows("YeuCau").remove(0);
    let expected = json!({
        "MaYeuCau": "H56-20260305-000001", "MaCanBo": "canbo01", "MaDVC": "1.004572", "MaTichHop": "037", "ngay": "20260305",
    });
    assert_eq!(kept, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn element_that_is_missing_misplaced_or_unknown_is_refused_by_name() {
    let world = World::new().await;
    let q = || question(1);
    let order = "sai thứ tự hoặc tên phần tử";
    let strange = |name: &str| format!("{name}: phần tử lặp lại, có phần tử con hoặc sai không gian tên");
    let born = "NgayThangNamSinh: NgayThangNam yyyyMMdd hoặc Nam yyyy";
    let mandatory = |name: &str, longest: u32| format!("{name}: bắt buộc, tối đa {longest} ký tự");
    let number = "phải có SoDinhDanh hoặc SoCMND";
    #[rustfmt::skip]
    let mut rows = vec![
        (q().without("MaDonVi").and("MaDonVi", "H56.17", "MaCanBo"), order.to_owned()),
        (q().without("MaYeuCau").and("MaYeuCau", "H56-1", "MaTichHop"), order.to_owned()),
        (q().without("SoDinhDanh").and("SoDinhDanh", "038190000123", "NgayThangNamSinh"), order.to_owned()),
        (q().and("MaDichVu", "037", "MaCanBo"), order.to_owned()),
        (q().and("GioiTinh", "2", "NgayThangNamSinh"), order.to_owned()),
        (q().and("HoVaTen", "LÊ THỊ MẪU", "HoVaTen"), strange("HoVaTen")),
        (q().with("HoVaTen", "<dan:Ten>LÊ THỊ MẪU</dan:Ten>"), strange("HoVaTen")),
        (q().without("SoDinhDanh"), number.to_owned()),
        (q().with("SoDinhDanh", "03819000012"), "SoDinhDanh: 12 chữ số".to_owned()),
        (q().without("SoDinhDanh").and("SoCMND", "038190000123", "HoVaTen"), "SoCMND: 9 chữ số".to_owned()),
        (q().with("MaTichHop", "033"), "MaTichHop: dịch vụ này là 037".to_owned()),
        (q().without("NgayThangNamSinh"), born.to_owned()),
        (q().with("NgayThangNamSinh", "1990-04-17"), born.to_owned()),
        (q().with("NgayThangNamSinh", "<dan:NgayThangNam>17/04/1990</dan:NgayThangNam>"), born.to_owned()),
        (q().with("NgayThangNamSinh", "<dan:NgayThangNam>19900417</dan:NgayThangNam><dan:Nam>1990</dan:Nam>"), born.to_owned()),
        (q().with("NgayThangNamSinh", "<dan:Thang>04</dan:Thang>"), born.to_owned()),
    ];
    for (name, longest) in [
        ("MaYeuCau", 40),
        ("MaDVC", 20),
        ("MaTichHop", 20),
        ("MaCanBo", 20),
        ("MaDonVi", 35),
        ("HoVaTen", 100),
    ] {
        rows.push((q().without(name), mandatory(name, longest)));
        rows.push((q().with(name, "  "), mandatory(name, longest)));
        let long = "1".repeat(usize::try_from(longest).unwrap() + 1);
        rows.push((q().with(name, &long), mandatory(name, longest)));
    }
    for (question, expected) in rows {
        let text = question.text(LOOK_UP);
        assert_eq!(world.ask(&question).await, unsound(&expected), "{text}");
    }
    assert_eq!(world.asked(), 0);
    // None of these has used the number up.
    assert!(shows_the_citizen(&world.ask(&q()).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_namespace_is_another_element() {
    let world = World::new().await;
    let mut envelope = question(1);
    envelope.envelope = "http://www.w3.org/2003/05/soap-envelope";
    let words = format!("không gian tên của phong bì phải là {ENVELOPE}");
    assert_eq!(world.ask(&envelope).await, fault("S:VersionMismatch", &words));
    let mut register = question(1);
    for namespace in ["http://dancuquocgia.bca/", "http://dancuquocgia.bca/v2"] {
        register.register = namespace;
        let words = format!("không gian tên của {LOOK_UP} phải là {REGISTER}");
        assert_eq!(world.ask(&register).await, fault("S:Client", &words));
    }

    let text = question(1).text(LOOK_UP);
    let strange = |name: &str| {
        unsound(&format!(
            "{name}: phần tử lặp lại, có phần tử con hoặc sai không gian tên"
        ))
    };
    let born = unsound("NgayThangNamSinh: NgayThangNam yyyyMMdd hoặc Nam yyyy");
    let outside = |name: &str| {
        text.replace(&format!("<dan:{name}>"), &format!("<{name}>"))
            .replace(&format!("</dan:{name}>"), &format!("</{name}>"))
    };
    for (text, expected) in [
        (outside("HoVaTen"), strange("HoVaTen")),
        (outside("MaDVC"), strange("MaDVC")),
        (outside("NgayThangNam"), born.clone()),
        (outside("NgayThangNamSinh"), born),
        (
            outside(LOOK_UP),
            fault(
                "S:Client",
                &format!("không gian tên của {LOOK_UP} phải là {REGISTER}"),
            ),
        ),
        (
            text.replace(LOOK_UP, VERIFY),
            fault("S:Client", &format!("dịch vụ này là {LOOK_UP}")),
        ),
        (
            text.replace("soapenv:Body", "dan:Body"),
            fault("S:Client", "phong bì không có Body"),
        ),
        (
            text.replace("</soapenv:Envelope>", ""),
            fault("S:Client", "không phải là phong bì SOAP"),
        ),
    ] {
        let found = told(world.gateway("/dancu/tracuu").body(text.clone())).await;
        assert_eq!(found, expected, "{text}");
    }
    assert_eq!(world.asked(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn action_of_soap_has_to_be_there_and_empty() {
    let world = World::new().await;
    let words = fault("S:Client", "SOAPAction phải là \"\"");
    for action in [None, Some(""), Some("\"TraCuuThongTinCongDan\"")] {
        let mut call = world.post("/dancu/tracuu").bearer_auth(&world.token);
        call = call.header("content-type", "text/xml");
        if let Some(action) = action {
            call = call.header("soapaction", action);
        }
        assert_eq!(
            told(call.body(question(1).text(LOOK_UP))).await,
            words,
            "{action:?}"
        );
    }
    assert_eq!(world.asked(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn number_of_a_request_serves_once() {
    let world = World::new().await;
    assert!(shows_the_citizen(&world.ask(&question(1)).await));
    let used = fault("S:Client", "MaYeuCau đã được sử dụng");
    let other = question(1).with("SoDinhDanh", "038190000999");
    for again in [question(1), other] {
        assert_eq!(world.ask(&again).await, used);
    }
    assert_eq!(world.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn procedure_without_a_licence_is_004_and_officer_without_a_right_is_005() {
    let settings = json!({"unlicensed": ["1.001193"], "officers": ["canbo01"]});
    let world = World::with(settings).await;
    let unlicensed = question(1).with("MaDVC", "1.001193");
    let refused = fault("004", "Thủ tục chưa được cấp phép khai thác");
    assert_eq!(world.ask(&unlicensed).await, refused);
    let stranger = question(2).with("MaCanBo", "canbo02");
    let refused = fault("005", "Tài khoản cán bộ chưa được phân quyền");
    assert_eq!(world.ask(&stranger).await, refused);
    assert!(shows_the_citizen(&world.ask(&question(3)).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn officer_may_ask_so_often_in_a_day() {
    let mut world = World::with(json!({"per_day": 2})).await;
    for n in 1..=2 {
        assert!(shows_the_citizen(&world.ask(&question(n)).await));
    }
    let too_many = fault("S:Server", "Vượt hạn mức tra cứu trong ngày");
    assert_eq!(world.ask(&question(3)).await, too_many);
    let other = question(4).with("MaCanBo", "canbo02");
    assert!(shows_the_citizen(&world.ask(&other).await), "each has their own");
    world.clock.advance(SignedDuration::from_hours(24));
    world.log_in().await;
    assert!(shows_the_citizen(&world.ask(&question(3)).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn exchange_lets_in_who_knows_the_secret_and_the_time() {
    let world = World::new().await;
    let now = world.clock.now().as_millisecond();
    let text = |n: u32| question(n).text(LOOK_UP);
    let found = told(world.exchange("khoa-mau", now).body(text(1))).await;
    assert!(shows_the_citizen(&found), "{found:?}");
    for (name, call) in [
        ("another secret", world.exchange("khoa-khac", now)),
        ("an old time", world.exchange("khoa-mau", now - 300_000)),
        (
            "another key",
            world.exchange("khoa-mau", now).header("apikey", "khoa-khac"),
        ),
    ] {
        // of a header that is there twice the last counts
        let (status, _) = told(call.body(text(2))).await;
        assert_eq!(status, 401, "{name}");
    }
    let (status, _) = told(world.post("/dancu/tracuu").body(text(2))).await;
    assert_eq!(status, 401, "nothing");
    let mut request = world.exchange("khoa-mau", now).body(text(2)).build().unwrap();
    request
        .headers_mut()
        .insert("content-type", "text/xml".parse().unwrap());
    let response = client().execute(request).await.unwrap().text().await.unwrap();
    let refused = fault("S:Client", "Content-Type phải là application/xml");
    assert_eq!(response, refused.1);
    assert_eq!(world.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn verification_says_whether_there_is_such_a_person_and_no_more() {
    let world = World::new().await;
    let verify = async |question: Question| {
        let question = question.with("MaTichHop", "033");
        told(world.gateway("/dancu/xacthuc").body(question.text(VERIFY))).await
    };
    let says = |there: bool| {
        let text = format!(
            "<S:Envelope xmlns:S=\"{ENVELOPE}\"><S:Body><KetQuaXacThucResponse xmlns=\"{REGISTER}\">\
             <TonTai>{there}</TonTai></KetQuaXacThucResponse></S:Body></S:Envelope>"
        );
        (200, text)
    };
    assert_eq!(verify(question(1)).await, says(true));
    assert_eq!(
        verify(question(2).with("HoVaTen", "le thi mau")).await,
        says(true)
    );
    let year = question(3).with("NgayThangNamSinh", "<dan:Nam>1990</dan:Nam>");
    assert_eq!(verify(year).await, says(true));
    for (n, name, value) in [
        (4, "HoVaTen", "LÊ THỊ KHÁC"),
        (
            5,
            "NgayThangNamSinh",
            "<dan:NgayThangNam>19900418</dan:NgayThangNam>",
        ),
        (6, "SoDinhDanh", "038190000999"),
    ] {
        assert_eq!(verify(question(n).with(name, value)).await, says(false), "{name}");
    }
    let look_up = question(7).text(VERIFY);
    let refused = told(world.gateway("/dancu/xacthuc").body(look_up)).await;
    assert_eq!(refused, unsound("MaTichHop: dịch vụ này là 033"));
}

#[tokio::test(flavor = "multi_thread")]
async fn facade_hands_on_the_envelope_as_a_text() {
    let settings = json!({"unlicensed": ["1.001193"], "officers": ["canbo01"]});
    let world = World::with(settings).await;
    let ask = async |changes: Value| {
        let mut question = json!({
            "HoVaTen": "Lê Thị Mẫu", "SoDinhDanh": "038190000123", "SoCMND": "", "NgayThangNam": "19900417", "Nam": "",
            "MaTichHop": "037", "MaDVC": "1.004572", "MaCanBo": "canbo01", "MaYeuCau": "H56-1",
        });
        for (name, value) in changes.as_object().unwrap() {
            question[name] = value.clone();
            if value.is_null() {
                question.as_object_mut().unwrap().remove(name);
            }
        }
        let call = world.post("/api/csdl-dan-cu").bearer_auth(&world.token);
        answer(call.json(&question)).await
    };
    let relayed = |(_, text): (u16, String)| (200, json!({"error_code": "0", "message": text}));
    assert_eq!(
        ask(json!({"MaDVC": "1.001193"})).await,
        (
            200,
            json!({"error_code": "004", "message": "Thủ tục chưa được cấp phép khai thác"})
        )
    );
    assert_eq!(
        ask(json!({"MaCanBo": "canbo02"})).await,
        (
            200,
            json!({"error_code": "005", "message": "Tài khoản cán bộ chưa được phân quyền"})
        )
    );
    assert_eq!(
        ask(json!({"SoDinhDanh": "0381900001"})).await,
        relayed(unsound("SoDinhDanh: 12 chữ số"))
    );
    assert_eq!(
        ask(json!({"Nam": null})).await,
        relayed(fault("S:Client", "Thiếu trường Nam"))
    );
    let (status, told) = ask(json!({})).await;
    assert_eq!((status, &told["error_code"]), (200, &json!("0")));
    assert!(shows_the_citizen(&(
        200,
        told["message"].as_str().unwrap().to_owned()
    )));
    assert_eq!(
        ask(json!({})).await,
        relayed(fault("S:Client", "MaYeuCau đã được sử dụng"))
    );
    let stranger = world.post("/api/csdl-dan-cu").json(&json!({}));
    assert_eq!(answer(stranger).await.0, 401);
}
