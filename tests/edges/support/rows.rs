//! Dossiers in the one-stop's own format, and the one-stop's way to tell of them.

use hmac::{Hmac, KeyInit, Mac};
use lienthong::demo::SECRETS;
use serde_json::{Value, json};
use sha2::Sha256;

use super::client;

/// With which the one-stop signs.
pub(crate) const SECRET: &str = SECRETS[0].1;

/// The official code of dossier number `n`.
pub(crate) fn code(n: u32) -> String {
    format!("000.00.14.H56-260305-{n:04}")
}

/// Dossier number `n`, sound, without any step of work.
pub(crate) fn row(n: u32) -> Value {
    json!({
        "MaHoSo": code(n),
        "MaHoSoKhac": "",
        "MaTTHC": "2.000488.000.00.00.H56",
        "TenTTHC": "Cấp Phiếu lý lịch tư pháp",
        "MaLinhVuc": "G15-LLTP",
        "TenLinhVuc": "Lý lịch tư pháp",
        "CapThucHien": "province",
        "MucDo": "mot_phan",
        "DonViId": "000.00.14.H56",
        "TenDonVi": "Sở Tư pháp",
        "KenhThucHien": "2",
        "LoaiDoiTuong": "1",
        "ChuHoSo": format!("Vũ Thị Thử {n}"),
        "SoGiayToChuHoSo": format!("0380600{n:05}"),
        "LoaiGiayToChuHoSo": "CCCD",
        "NgaySinhChuHoSo": "30/07/1960",
        "GioiTinhChuHoSo": "Nữ",
        "SoDienThoai": format!("09580{n:05}"),
        "Email": format!("thu{n}@example.vn"),
        "TinhThanhChuHoSo": "38",
        "XaPhuongChuHoSo": "15001",
        "DiaChiChuHoSo": format!("Thôn {n}, Xã Quan Sơn"),
        "UyQuyen": false,
        "TrichYeuHoSo": "Cấp Phiếu lý lịch tư pháp",
        "NgayNopHoSo": "20260305082000",
        "NgayTiepNhan": "20260305083000",
        "NgayHenTra": "20260312083000",
        "NgayKetThucXuLy": "",
        "NgayTra": "",
        "NgayTuChoi": "",
        "TrangThaiHoSoId": 2,
        "HinhThucTra": 1,
        "NgayCapNhat": "20260305083000",
        "ThanhPhanHoSo": [],
        "LePhi": [],
        "EForm": {},
        "TienTrinh": []
    })
}

/// Dossier `n` after so many steps.
pub(crate) fn worked(n: u32, steps: usize) -> Value {
    let mut row = row(n);
    let step = |number: usize| {
        json!({
            "MaHoSo": code(n), "ThoiGian": format!("202603050900{number:02}"), "TrangThai": 4, "NguoiGui": "cb01",
            "TenNguoiGui": "Cán bộ Thử", "ThaoTac": "Chuyển xử lý", "NoiDung": format!("bước {number}")
        })
    };
    row["TrangThaiHoSoId"] = json!(4);
    row["NgayCapNhat"] = json!(format!("202603050900{steps:02}"));
    row["TienTrinh"] = (1..=steps).map(step).collect();
    row
}

/// The signature of these bytes with this key.
pub(crate) fn sign(key: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// Tells a node of a row, as the one-stop does: status and body of the answer.
pub(crate) async fn post(url: &str, row: &Value) -> (u16, Value) {
    post_signed(url, row.to_string().into_bytes())
        .await
        .expect("the node is there")
}

/// The same with any bytes; nothing where the node has gone before it answered.
pub(crate) async fn post_signed(url: &str, body: Vec<u8>) -> Option<(u16, Value)> {
    let request = client()
        .post(url)
        .header("x-signature", sign(SECRET, &body))
        .header("content-type", "application/json")
        .body(body);
    let response = request.send().await.ok()?;
    Some((response.status().as_u16(), response.json().await.ok()?))
}
