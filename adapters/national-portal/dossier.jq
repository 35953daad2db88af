# The dossier -> one item of DongBoHoSoMC. An update replaces the whole item, so everything is always said.

.applicant.person as $person
| .applicant.contact as $contact
| (.identity.outcome == "match") as $verified

# Which dossier, of which procedure. The portal counts by the national root code.
| {
  MaHoSo: (portal_code($system) | text),
  MaTTHC: (.procedure.code | text),
  TenTTHC: (.procedure.name | text),
  MaLinhVuc: (.procedure.sector.code | text),
  TenLinhVuc: (.procedure.sector.name | text),
  KenhThucHien: (.channel // "direct" | coded("channel"))
}

# The applicant. Every known number is stated with its kind.
+ {
  ChuHoSo: ($person.name | text),
  SoGiayToChuHoSo: (first(($person.citizen_id, $person.old_id, $person.tax_code, $person.passport) | number) // ""),
  LoaiDoiTuong: ($person.kind | coded("applicant-kind")),
  MaDoiTuong: "",
  DinhDanhCHS: [
    ($person.citizen_id | number | {LoaiDinhDanh: "1", SoDinhDanh: .}),
    ($person.old_id | number | {LoaiDinhDanh: "2", SoDinhDanh: .}),
    (($person.tax_code, $person.passport) | number | {LoaiDinhDanh: "3", SoDinhDanh: .})
  ],
  Email: ($contact.email | text),
  Fax: "",
  SoDienThoai: ($contact.phone | text)
}

# What it is about, and its times.
+ {
  TrichYeuHoSo: (.summary | shortened(1000)),
  ThongTinKhac: "",
  NgayNopHoSo: (.schedule.submitted | portal_time),
  NgayTiepNhan: (.schedule.received | portal_time),
  NgayHenTra: (.schedule.due | portal_time)
}

# Where it stands: the state as it is, also where it stops the clock.
+ {
  TrangThaiHoSo: (.status.value | coded("status")),
  NgayTra: (.schedule.returned | portal_time),
  ThongTinTra: "",
  HinhThuc: (.return_mode | coded("return-mode")),
  NgayKetThucXuLy: (.schedule.finished | portal_time),
  NgayTuChoi: (.schedule.rejected | portal_time),
  DonViXuLy: (.agency.name | text),
  GhiChu: (.note | text)
}

# What the national index counts. A database is named only where it was really asked and agreed; 2 says that it was paid, which
# nobody did who is still asked to.
+ {
  NoiNopHoSo: (.place_of_submission // "provincial_system" | coded("place-of-submission")),
  HoSoCoThanhPhanSoHoa: (any(.components | in_order; .digitised == true) | flag),
  TaiKhoanDuocXacThucVoiVNeID: ($verified | flag),
  DuocThanhToanTrucTuyen: (.status.value != "payment_requested" and any(.fees | in_order; (.amount // 0) > 0 and .collection == "online")
    | if . then "2" else "0" end),
  DSKetNoiCSDL: (if $verified then [{MaCSDL: "7"}] else [] end)
}

# What was handed in.
+ {
  TaiLieuNop: [.components | in_order | {
    TepDinhKemId: .id,
    TenTepDinhKem: (.file.name | shortened(4000)),
    IsDeleted: "False",
    MaThanhPhanHoSo: .type,
    DuongDanTaiTepTin: (.file | as_link | text),
    DuocSoHoa: (.digitised | flag),
    DuocTaiSuDung: (.reused // "no" | coded("component-reuse")),
    DuocLayTuKhoDMQG: (.from_national_store | flag),
    MaKetQuaThayThe: (.replaces_result | text)
  }]
}

# What is to be paid.
+ {
  DanhSachLePhi: [.fees | in_order | {
    TenPhiLePhi: (.name | text),
    MaPhiLePhi: .code,
    HinhThucThu: (.collection | coded("fee-collection")),
    Gia: (.amount | price),
    LoaiPhiLePhi: (.kind | coded("fee-kind"))
  }],
  DanhSachTepDinhKemKhac: []
}

# Requests for supplements, in the order in which they were made.
+ {
  DanhSachHoSoBoSung: [.supplements // {} | [.[]] | sort_by(.requested) | to_entries[] | .key as $n | .value | {
    HoSoBoSungId: ($n + 1),
    NguoiYeuCauBoSung: (.by | text),
    NoiDungBoSung: (.content | text),
    NgayBoSung: (.requested | portal_time),
    NguoiTiepNhanBoSung: "",
    ThongTinTiepNhan: "",
    NgayTiepNhanBoSung: (.received | portal_time),
    TrangThaiBoSung: (if .done == true then 1 else 0 end),
    DanhSachGiayToBoSung: [],
    DanhSachLePhiBoSung: [],
    NgayHenTraTruoc: (.due_before | portal_time),
    NgayHenTraMoi: (.due_after | portal_time)
  }]
}

# The decision: every file of every result, not only the first.
+ {
  DanhSachGiayToKetQua: [.results | in_order | . as $result | .files // [] | to_entries[] | {
    TenGiayTo: (.value.name | shortened(2000)),
    MaThanhPhanHoSo: "",
    GiayToId: "\($result.number)#\(.key + 1)",
    DuongDanTepTinKetQua: (.value | as_link | text),
    MaGiayToKetQua: ($result.code | text)
  }]
}
