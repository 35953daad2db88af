//! Dossiers that other systems bring to the one-stop's stand-in: each is taken once, gets a code, and is one like any other.

use serde_json::{Value, json};

use crate::one_stop::World;

/// A dossier of the licence desk, as its adapter's sample sends it.
const SENT: &str =
    include_str!("../../adapters/one-stop/samples/push.intake/taken-in-at-the-licence-desk.native.json");

fn sent(more: Value) -> Value {
    let mut sent: Value = serde_json::from_str(SENT).unwrap();
    let (Value::Object(columns), Value::Object(more)) = (&mut sent, more) else {
        panic!("objects")
    };
    columns.extend(more);
    sent
}

/// The answer to it, with its status.
async fn bring(world: &World, token: &str, sent: &Value) -> (u16, Value) {
    world.post("/HoSo/DongBoTaoMoiHoSo", token, sent).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dossier_from_another_system_gets_the_next_code_of_its_agency_and_is_one_like_any_other() {
    let world = World::new(json!({})).await;
    let token = world.token().await;
    world
        .put(
            "HoSo",
            crate::one_stop::dossier("H56.07-260305-0009", "20260305080000"),
        )
        .await;
    world
        .put(
            "HoSo",
            crate::one_stop::dossier("H56.07-260304-0031", "20260304080000"),
        )
        .await;
    for (native, code) in [("GPLX-1", "H56.07-260305-0010"), ("GPLX-2", "H56.07-260305-0011")] {
        let sent = sent(json!({"MaHoSoNguon": native, "NgayTiepNhan": "20260305080000"}));
        let (status, answer) = bring(&world, &token, &sent).await;
        assert_eq!(
            (status, answer),
            (200, json!({"maLoi": "0", "moTa": "", "data": {"MaHoSo": code}}))
        );
        let (_, shown) = world.get(&format!("/HoSo/GetByMa/{code}"), &token).await;
        let mut row = sent;
        row["MaHoSo"] = json!(code);
        row["MaHoSoKhac"] = json!("");
        row["NgayCapNhat"] = json!("20260305093000");
        row["TienTrinh"] = json!([]);
        assert_eq!(shown["data"], row);
    }
    let (_, found) = world
        .get(
            "/HoSo/TimTheoMaNguon?loaiDuLieu=SyncGPLX&maHoSoNguon=GPLX-2",
            &token,
        )
        .await;
    assert_eq!(found["data"].as_array().unwrap().len(), 1);
    assert_eq!(found["data"][0]["MaHoSo"], "H56.07-260305-0011");
    let forward = json!({"CanBo": "Trần Thị Ví Dụ"});
    let (_, answer) = world
        .act("ChuyenBuocXuLyHoSo", "H56.07-260305-0011", &token, &forward)
        .await;
    assert_eq!(answer["maLoi"], "0");
    assert_eq!(world.one_stop.faults(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn agencies_and_days_are_numbered_each_for_itself_and_past_four_digits() {
    let world = World::new(json!({})).await;
    let token = world.token().await;
    world
        .put(
            "HoSo",
            crate::one_stop::dossier("000.00.07.H56-260305-9999", "20260305080000"),
        )
        .await;
    for (native, agency, code) in [
        ("GPLX-1", "000.00.07.H56", "000.00.07.H56-260305-10000"),
        ("GPLX-2", "H56.07", "H56.07-260305-0001"),
    ] {
        let sent = sent(json!({"MaHoSoNguon": native, "DonViId": agency}));
        assert_eq!(bring(&world, &token, &sent).await.1["data"]["MaHoSo"], code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_one_stop_cannot_take_is_refused_and_nothing_is_stored() {
    let world = World::new(json!({})).await;
    let token = world.token().await;
    assert_eq!(bring(&world, &token, &sent(json!({}))).await.1["maLoi"], "0");
    let twice = "Hồ sơ nguồn GPLX38-260518-00021 (SyncGPLX) đã được đồng bộ";
    let listed = "không thuộc danh mục được đồng bộ từ";
    #[rustfmt::skip]
    let cases = [
        (json!({}), "8", twice.to_owned()),
        (json!({"MaTTHC": "1.001193.H56"}), "9", format!("Thủ tục 1.001193.H56 {listed} SyncGPLX")),
        (json!({"LoaiDuLieuKetNoi": "LTKS"}), "9", format!("Thủ tục 1.002809 {listed} LTKS")),
        (json!({"ChuHoSo": " "}), "2", "ChuHoSo không được để trống".to_owned()),
        (json!({"MaHoSoNguon": null}), "2", "MaHoSoNguon không được để trống".to_owned()),
        (json!({"ChuHoSo": 7}), "2", "ChuHoSo phải là chuỗi ký tự".to_owned()),
        (json!({"TenChuHoSo": "Lê"}), "2", "TenChuHoSo không có trong cấu trúc hồ sơ".to_owned()),
        (json!({"KenhThucHien": "4"}), "2", "KenhThucHien không có trong danh mục".to_owned()),
        (json!({"TrangThaiHoSoId": 9}), "2", "TrangThaiHoSoId không có trong danh mục".to_owned()),
        (json!({"UyQuyen": null}), "2", "UyQuyen không có trong danh mục".to_owned()),
        (json!({"NgayHenTra": "20260230080000"}), "2", "NgayHenTra phải có dạng yyyyMMddHHmmss".to_owned()),
        (json!({"NgayTiepNhan": ""}), "2", "NgayTiepNhan không được để trống khi đã tiếp nhận".to_owned()),
        (json!({"DonViId": "Sở GTVT"}), "2", "DonViId phải là mã định danh của cơ quan".to_owned()),
        (json!({"NgaySinhChuHoSo": "1990-04-17"}), "2", "NgaySinhChuHoSo phải có dạng dd/MM/yyyy, MM/yyyy hoặc yyyy".to_owned()),
        (json!({"SoGiayToChuHoSo": "171000123"}), "2", "SoGiayToChuHoSo không đúng với LoaiGiayToChuHoSo".to_owned()),
        (json!({"SoGiayToChuHoSo": "000000001", "LoaiGiayToChuHoSo": "CMND"}), "2", "SoGiayToChuHoSo không đúng với LoaiGiayToChuHoSo".to_owned()),
        (json!({"ThanhPhanHoSo": [{"TenGiayTo": "Giấy"}]}), "2", "ThanhPhanHoSo không hợp lệ".to_owned()),
        (json!({"LePhi": [{"MaPhiLePhi": "LP01", "Gia": null, "HinhThucThu": 1}]}), "2", "LePhi không hợp lệ".to_owned()),
    ];
    for (change, word, sentence) in cases {
        let (status, answer) = bring(&world, &token, &sent(change.clone())).await;
        assert_eq!(
            (status, answer),
            (200, json!({"maLoi": word, "moTa": sentence})),
            "{change}"
        );
    }
    let (_, answer) = bring(&world, &token, &json!([])).await;
    assert_eq!(answer["moTa"], "Nội dung gửi phải là một đối tượng");
    assert_eq!(bring(&world, "bia", &sent(json!({}))).await.0, 401);
    let search = "/HoSo/TimTheoMaNguon?loaiDuLieu=SyncGPLX&maHoSoNguon=X";
    assert_eq!(world.get(search, "bia").await.0, 401);
    assert_eq!(world.get(search, &token).await.1["data"], json!([]));
    let (_, answer) = world
        .get("/HoSo/TimTheoMaNguon?loaiDuLieu=SyncGPLX", &token)
        .await;
    assert_eq!(answer["maLoi"], "2");
    assert_eq!(world.one_stop.count("HoSo"), 1);
    assert_eq!(world.one_stop.faults(), []);
}
