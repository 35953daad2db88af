//! The actions of the one-stop's stand-in: what each does, from where, and what is refused.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::one_stop::{World, dossier};
use crate::support::Receiver;

/// The stand-in's clock stands here: 2026-03-05T02:30:00Z.
const NOW: &str = "20260305093000";
const CODE: &str = "H56.14-260305-0001";

fn in_state(code: &str, state: u64) -> Value {
    let mut row = dossier(code, "20260305080000");
    row["TrangThaiHoSoId"] = json!(state);
    row["TienTrinh"] = json!([{"MaHoSo": code, "ThoiGian": "20260305080000", "TrangThai": state}]);
    row
}

fn said(more: &Value) -> Value {
    let mut sent = json!({"CanBo": "Trần Thị Ví Dụ"});
    sent.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    sent
}

fn row(world: &World) -> Value {
    world.one_stop.rows("HoSo").remove(0)
}

/// Everything that the reference lets one action lead to another: name, what is sent, state, columns.
#[tokio::test(flavor = "multi_thread")]
async fn a_dossier_goes_its_way_by_actions_from_intake_to_the_result() {
    let world = World::new(json!({})).await;
    world.put("HoSo", in_state(CODE, 1)).await;
    let token = world.token().await;
    #[rustfmt::skip]
    let way = [
        ("TiepNhanHoSoTrucTuyen", json!({"NgayHenTra": "20260320170000"}), 2, json!({"NgayTiepNhan": "20260305090100", "NgayHenTra": "20260320170000"})),
        ("ChuyenBuocXuLyHoSo", json!({"NoiDung": "Thẩm định"}), 4, json!({})),
        ("YeuCauCongDanBoSung", json!({"NoiDung": "Thiếu đơn", "ThoiHanBoSung": "20260312170000"}), 5, json!({"NgayYeuCauBoSung": "20260305090300",
            "LyDoBoSung": "Thiếu đơn", "ThoiHanBoSung": "20260312170000", "TrangThaiBoSung": "cho_bo_sung", "NgayBoSung": ""})),
        ("CongDanGuiBoSung", json!({}), 4, json!({"TrangThaiBoSung": "da_gui", "NgayBoSung": "20260305090400"})),
        ("CapNhatKetQua", json!({"SoKyHieuKetQua": "12/GP"}), 4, json!({"SoKyHieuKetQua": "12/GP"})),
        ("KetThuc", json!({}), 9, json!({"NgayKetThucXuLy": "20260305090600", "SoKyHieuKetQua": "12/GP"})),
        ("TraLaiHoSo", json!({"NoiDung": "Sai tên"}), 4, json!({})),
        ("KetThuc", json!({"SoKyHieuKetQua": "13/GP", "DinhKemKetQua": "/kq/13.pdf"}), 9, json!({"SoKyHieuKetQua": "13/GP", "DinhKemKetQua": "/kq/13.pdf"})),
        ("TraKetQua", json!({}), 10, json!({"NgayTra": "20260305090900"})),
    ];
    for (minute, (action, more, state, columns)) in way.iter().enumerate() {
        let mut sent = said(more);
        let at = format!("2026030509{:02}00", minute + 1);
        sent["ThoiGian"] = json!(at);
        let (status, answer) = world.act(action, CODE, &token, &sent).await;
        assert_eq!(
            (status, &answer["maLoi"]),
            (200, &json!("0")),
            "{action}: {answer}"
        );
        let row = row(&world);
        assert_eq!(
            (&row["TrangThaiHoSoId"], &row["NgayCapNhat"]),
            (&json!(state), &json!(at)),
            "{action}"
        );
        for (column, value) in columns.as_object().unwrap() {
            assert_eq!(&row[column], value, "{action}: {column}");
        }
        let step = row["TienTrinh"].as_array().unwrap().last().unwrap().clone();
        assert_eq!(
            (
                &step["ThoiGian"],
                &step["TrangThai"],
                &step["NguoiGui"],
                &step["TenNguoiGui"]
            ),
            (
                &json!(at),
                &json!(state),
                &json!("lienthong"),
                &json!("Trần Thị Ví Dụ")
            ),
            "{action}"
        );
    }
    let labels: Vec<_> = row(&world)["TienTrinh"].as_array().unwrap()[1..]
        .iter()
        .map(|step| {
            (
                step["ThaoTac"].as_str().unwrap().to_owned(),
                step["NoiDung"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    assert_eq!(labels[1], ("Chuyển xử lý".to_owned(), "Thẩm định".to_owned()));
    assert_eq!(labels[3], ("Nhận bổ sung".to_owned(), "Nhận bổ sung".to_owned()));
    assert_eq!(labels[6], ("Trả lại hồ sơ".to_owned(), "Sai tên".to_owned()));
    assert_eq!(world.one_stop.faults(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_action_is_taken_only_from_the_states_that_it_may_follow() {
    // Taken, or how it is refused: already there, or not from here.
    #[rustfmt::skip]
    let cases = [
        ("TiepNhanHoSoTrucTuyen", ["0", "6", "5", "5", "0", "0", "5", "5", "5", "5"]),
        ("TuChoiTiepNhanHoSoTrucTuyen", ["0", "5", "6", "0", "0", "5", "5", "5", "5", "5"]),
        ("ChuyenBuocXuLyHoSo", ["5", "0", "5", "0", "5", "0", "5", "5", "5", "5"]),
        ("YeuCauCongDanBoSung", ["0", "0", "5", "0", "6", "5", "5", "5", "5", "5"]),
        ("CongDanGuiBoSung", ["5", "5", "5", "6", "0", "5", "5", "5", "5", "5"]),
        ("CapNhatKetQua", ["5", "5", "5", "0", "5", "5", "5", "5", "0", "5"]),
        ("KetThuc", ["5", "0", "5", "0", "5", "0", "5", "5", "6", "5"]),
        ("TraKetQua", ["5", "5", "5", "5", "5", "5", "5", "5", "0", "6"]),
        ("TraLaiHoSo", ["5", "5", "5", "6", "5", "5", "5", "5", "0", "5"]),
    ];
    let world = World::new(json!({})).await;
    let token = world.token().await;
    let sent = said(&json!({"NoiDung": "Nội dung", "SoKyHieuKetQua": "12/GP"}));
    for (action, words) in cases {
        for (state, word) in (1..).zip(words) {
            let before = in_state(CODE, state);
            world.put("HoSo", before.clone()).await;
            let (status, answer) = world.act(action, CODE, &token, &sent).await;
            assert_eq!(
                (status, &answer["maLoi"]),
                (200, &json!(word)),
                "{action} from {state}: {answer}"
            );
            assert_eq!(row(&world) == before, word != "0", "{action} from {state}");
        }
    }
    let (_, answer) = world.act("KetThuc", CODE, &token, &sent).await;
    let sentence = "Hồ sơ đang ở trạng thái \"Đã trả kết quả\": không thực hiện được KetThuc";
    assert_eq!(answer["moTa"], sentence);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_is_judged_before_anything_is_done() {
    let world = World::new(json!({})).await;
    let token = world.token().await;
    let before = in_state(CODE, 4);
    world.put("HoSo", before.clone()).await;
    #[rustfmt::skip]
    let cases = [
        ("KetThuc", json!([]), "2", "Nội dung gửi phải là một đối tượng"),
        ("KetThuc", json!({}), "2", "CanBo không được để trống"),
        ("KetThuc", json!({"CanBo": " "}), "2", "CanBo không được để trống"),
        ("KetThuc", json!({"CanBo": 7}), "2", "CanBo phải là chuỗi ký tự"),
        ("TuChoiTiepNhanHoSoTrucTuyen", said(&json!({})), "2", "NoiDung không được để trống"),
        ("YeuCauCongDanBoSung", said(&json!({"NoiDung": ""})), "2", "NoiDung không được để trống"),
        ("TraLaiHoSo", said(&json!({})), "2", "NoiDung không được để trống"),
        ("CapNhatKetQua", said(&json!({})), "2", "SoKyHieuKetQua không được để trống"),
        ("KetThuc", said(&json!({"ThoiGian": "2026-03-05"})), "2", "ThoiGian phải có dạng yyyyMMddHHmmss"),
        ("KetThuc", said(&json!({"ThoiGian": "20260230080000"})), "2", "ThoiGian phải có dạng yyyyMMddHHmmss"),
        ("KetThuc", said(&json!({"DinhKemKetQua": ["/kq/1.pdf"]})), "2", "DinhKemKetQua phải là chuỗi ký tự"),
        ("YeuCauCongDanBoSung", said(&json!({"NoiDung": "Thiếu", "ThoiHanBoSung": "mai"})), "2", "ThoiHanBoSung phải có dạng yyyyMMddHHmmss"),
        ("KetThuc", said(&json!({"ThoiGian": "20260305075959"})), "2", "ThoiGian không được trước bước gần nhất (20260305080000)"),
        ("KetThuc", said(&json!({"ThoiGian": "20260305093501"})), "2", "ThoiGian không được sau thời điểm hiện tại"),
    ];
    for (action, sent, word, sentence) in cases {
        let (status, answer) = world.act(action, CODE, &token, &sent).await;
        assert_eq!(
            (status, answer),
            (200, json!({"maLoi": word, "moTa": sentence})),
            "{action}"
        );
        assert_eq!(row(&world), before, "{action}: {sentence}");
    }
    let (status, _) = world.act("XoaHoSo", CODE, &token, &said(&json!({}))).await;
    assert_eq!(status, 404);
    let (_, answer) = world.act("KetThuc", "X", &token, &said(&json!({}))).await;
    assert_eq!(answer["maLoi"], "4");
    world.put("DangMo", json!({"MaHoSo": CODE})).await;
    let (_, answer) = world.act("KetThuc", CODE, &token, &said(&json!({}))).await;
    assert_eq!(answer["maLoi"], "7");
    assert_eq!(row(&world), before);
    assert_eq!(world.one_stop.faults(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_time_the_one_stop_takes_its_own_and_never_an_earlier_one() {
    let world = World::new(json!({})).await;
    let token = world.token().await;
    world.put("HoSo", in_state(CODE, 2)).await;
    let forward = said(&json!({}));
    assert_eq!(
        world.act("ChuyenBuocXuLyHoSo", CODE, &token, &forward).await.1["maLoi"],
        "0"
    );
    assert_eq!(row(&world)["NgayCapNhat"], NOW);
    let late = "20260305093400";
    let timed = said(&json!({"ThoiGian": late}));
    assert_eq!(
        world.act("ChuyenBuocXuLyHoSo", CODE, &token, &timed).await.1["maLoi"],
        "0"
    );
    assert_eq!(
        world.act("ChuyenBuocXuLyHoSo", CODE, &token, &forward).await.1["maLoi"],
        "0"
    );
    assert_eq!(row(&world)["NgayCapNhat"], late);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supplement_before_intake_waits_for_intake() {
    let world = World::new(json!({})).await;
    let token = world.token().await;
    let mut taken_in = in_state("B", 5);
    taken_in["NgayTiepNhan"] = json!("20260304080000");
    for row in [in_state("A", 5), taken_in] {
        let code = row["MaHoSo"].as_str().unwrap().to_owned();
        world.put("HoSo", row).await;
        assert_eq!(
            world
                .act("CongDanGuiBoSung", &code, &token, &said(&json!({})))
                .await
                .1["maLoi"],
            "0"
        );
    }
    let states: Vec<_> = world
        .one_stop
        .rows("HoSo")
        .iter()
        .map(|row| row["TrangThaiHoSoId"].clone())
        .collect();
    assert_eq!(states, [1, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_needs_a_session_and_is_told_like_an_officials_work() {
    let mut receiver = Receiver::refusing(0).await;
    let world = World::new(json!({"webhook": receiver.url})).await;
    world.put("HoSo", in_state(CODE, 4)).await;
    receiver.next().await;
    let sent = said(&json!({}));
    assert_eq!(world.act("KetThuc", CODE, "bia", &sent).await.0, 401);
    let token = world.token().await;
    world.clock.advance(SignedDuration::from_secs(601));
    assert_eq!(world.act("KetThuc", CODE, &token, &sent).await.0, 401);
    assert_eq!(row(&world)["TrangThaiHoSoId"], 4);
    let token = world.token().await;
    assert_eq!(world.act("KetThuc", CODE, &token, &sent).await.0, 200);
    let (_, body) = receiver.next().await;
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), row(&world));
    assert_eq!(row(&world)["TrangThaiHoSoId"], 9);
    world.one_stop.stop().await;
}
