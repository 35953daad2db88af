//! What the bus has spared the clerks: records that nobody had to enter again, and the fields of their forms.
//!
//! A field counts if a clerk would have had to type it or pick it from a list when she entered the record in that system. What
//! such a system gives or works out itself does not: keys of its own, times of its own acts, names that follow from a code,
//! names and addresses of files, marks that follow from other fields. Nor does what says nothing: an empty field, an unknown
//! id, a box that is left as it is.

use serde::Serialize;
use serde_json::Value;

/// Re-typing that the bus has spared the clerks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Avoided {
    /// Records, dossiers and progress entries alike.
    pub records: usize,
    /// Fields of their forms that are filled.
    pub fields: usize,
}

/// The form into which a clerk types a record. A `.` leads into an object, or into each item of a list; `*` is every field.
pub type Form = &'static [&'static str];

/// A dossier at the national portal (`DongBoHoSoMC`). The applicant's number stands in the list of numbers, once.
pub const PORTAL_DOSSIER: Form = &[
    "MaHoSo",
    "MaTTHC",
    "SoBienNhan",
    "KenhThucHien",
    "ChuHoSo",
    "LoaiDoiTuong",
    "DinhDanhCHS.LoaiDinhDanh",
    "DinhDanhCHS.SoDinhDanh",
    "Email",
    "SoDienThoai",
    "Fax",
    "TrichYeuHoSo",
    "ThongTinKhac",
    "NgayNopHoSo",
    "NgayTiepNhan",
    "NgayHenTra",
    "TrangThaiHoSo",
    "NgayTra",
    "ThongTinTra",
    "HinhThuc",
    "NgayKetThucXuLy",
    "NgayTuChoi",
    "DonViXuLy",
    "GhiChu",
    "TaiLieuNop.MaThanhPhanHoSo",
    "DanhSachLePhi.MaPhiLePhi",
    "DanhSachLePhi.HinhThucThu",
    "DanhSachLePhi.Gia",
    "DanhSachTepDinhKemKhac.TenGiayTo",
    "DanhSachTepDinhKemKhac.SoLuong",
    "DanhSachTepDinhKemKhac.LoaiGiayTo",
    "DanhSachHoSoBoSung.NguoiYeuCauBoSung",
    "DanhSachHoSoBoSung.NoiDungBoSung",
    "DanhSachHoSoBoSung.NgayBoSung",
    "DanhSachHoSoBoSung.NguoiTiepNhanBoSung",
    "DanhSachHoSoBoSung.ThongTinTiepNhan",
    "DanhSachHoSoBoSung.NgayTiepNhanBoSung",
    "DanhSachHoSoBoSung.TrangThaiBoSung",
    "DanhSachHoSoBoSung.NgayHenTraMoi",
    "DanhSachGiayToKetQua.TenGiayTo",
    "DanhSachGiayToKetQua.MaGiayToKetQua",
];

/// A step at the national portal (`CapNhatTienDoHoSoMC`), entered with its dossier open.
pub const PORTAL_PROGRESS: Form = &[
    "NguoiXuLy",
    "ChucDanh",
    "PhongBanXuLy",
    "NoiDungXuLy",
    "TrangThai",
    "NgayBatDau",
    "NgayKetThucTheoQuyDinh",
];

/// A declaration at judicial records (`nhanHoSoDangKy`), entered at the office that it goes to.
pub const DECLARATION: Form = &[
    "idReceivedDec",
    "dateReceivedDec",
    "datePromissoryDec",
    "idMoneyReceipt",
    "declarationWSForm.fullName",
    "declarationWSForm.genderId",
    "declarationWSForm.birthDateStr",
    "declarationWSForm.birthPlace",
    "declarationWSForm.nationalityId",
    "declarationWSForm.ethnicId",
    "declarationWSForm.residence",
    "declarationWSForm.reRegionId",
    "declarationWSForm.residenceTemporary",
    "declarationWSForm.rtRegionId",
    "declarationWSForm.idTypeId",
    "declarationWSForm.identifyNo",
    "declarationWSForm.idIssueDate",
    "declarationWSForm.idIssuePlace",
    "declarationWSForm.dadName",
    "declarationWSForm.dadDob",
    "declarationWSForm.momName",
    "declarationWSForm.momDob",
    "declarationWSForm.partnerName",
    "declarationWSForm.partnerDob",
    "declarationWSForm.otherName",
    "declarationWSForm.phone",
    "declarationWSForm.email",
    "declarationWSForm.declareDate",
    "declarationWSForm.declareTypeId",
    "declarationWSForm.requestQty",
    "declarationWSForm.objectRequestId",
    "declarationWSForm.formType",
    "declarationWSForm.isBanPosition",
    "declarationWSForm.delivery",
    "declarationWSForm.deliveryAddress",
    "declarationWSForm.deliveryDistrict",
    "declarationWSForm.note",
    "declarationWSForm.purpose",
    "declarationWSForm.receiveNo",
    "residenceWSForm.*",
    "mandatorWSForm.*",
];

/// A dossier from elsewhere at the one-stop (`DongBoTaoMoiHoSo`), entered at its counter. What was decided on it later is no
/// part of that form.
pub const ONE_STOP_DOSSIER: Form = &[
    "MaTTHC",
    "DonViId",
    "KenhThucHien",
    "LoaiDoiTuong",
    "ChuHoSo",
    "LoaiGiayToChuHoSo",
    "SoGiayToChuHoSo",
    "NgaySinhChuHoSo",
    "GioiTinhChuHoSo",
    "SoDienThoai",
    "Email",
    "TinhThanhChuHoSo",
    "QuanHuyenChuHoSo",
    "XaPhuongChuHoSo",
    "DiaChiChuHoSo",
    "UyQuyen",
    "HoTenNguoiUyQuyen",
    "LoaiGiayToNguoiUyQuyen",
    "SoGiayToNguoiUyQuyen",
    "SoDienThoaiNguoiUyQuyen",
    "DiaChiNguoiUyQuyen",
    "TinhThanhDiaBan",
    "QuanHuyenDiaBan",
    "XaPhuongDiaBan",
    "TrichYeuHoSo",
    "NgayNopHoSo",
    "NgayTiepNhan",
    "NgayHenTra",
    "HinhThucTra",
    "ThanhPhanHoSo.MaGiayTo",
    "LePhi.MaPhiLePhi",
    "LePhi.Gia",
    "LePhi.HinhThucThu",
    "EForm.hangDaoTao",
    "EForm.lyDoDoiGplx",
    "EForm.quocTich",
    "EForm.noiThuongTru",
    "EForm.noiCapCmnd",
    "EForm.ngayCapCmnd",
    "EForm.gplxDaCap.*",
];

/// Counts records that nobody had to enter again, and what is filled of their form.
#[must_use]
pub fn avoided<'a>(form: Form, records: impl IntoIterator<Item = &'a Value>) -> Avoided {
    let typed = |record: &Value| form.iter().map(|field| filled(record, field)).sum::<usize>();
    records
        .into_iter()
        .fold(Avoided::default(), |sum, record| Avoided {
            records: sum.records + 1,
            fields: sum.fields + typed(record),
        })
}

impl std::ops::Add for Avoided {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            records: self.records + other.records,
            fields: self.fields + other.fields,
        }
    }
}

/// How often the field of this name says something in the record.
fn filled(record: &Value, field: &str) -> usize {
    let (name, rest) = field.split_once('.').unwrap_or((field, ""));
    match record {
        Value::Array(items) => items.iter().map(|item| filled(item, field)).sum(),
        Value::Object(fields) if name == "*" => fields.values().filter(|value| says_something(value)).count(),
        _ if rest.is_empty() => usize::from(says_something(&record[name])),
        _ => filled(&record[name], rest),
    }
}

/// -1 is an id that nobody knows.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Array(_) | Value::Object(_) => false,
        Value::Number(number) => number.as_i64() != Some(-1),
        Value::String(text) => !text.is_empty(),
        Value::Bool(said) => *said,
    }
}
