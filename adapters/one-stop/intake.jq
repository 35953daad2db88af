# A dossier that came into being in another system -> the row that DongBoTaoMoiHoSo makes. Every column is stated; empty
# means that nothing is known.

def known: . // "";
def coded($table): to_native($table) // "";

# A code of a column that holds numbers.
def numbered($table): to_native($table) | if . == null then "" else tonumber end;

# A day of which no hour is stated: the receipt stands at its beginning, which is never still to come, a due date at its end.
def native_time($hour):
  if . != null and length == 10 then format_date("%Y%m%d") + $hour else format_time("%Y%m%d%H%M%S") end;

# Areas by codes of the statistics office; others are not the one-stop's.
def area($columns):
  (if (.code_system // "statistics") == "statistics" then . else null end) as $area
  | {
    "TinhThanh\($columns)": ($area.province | known),
    "QuanHuyen\($columns)": ($area.district | known),
    "XaPhuong\($columns)": ($area.commune | known)
  };

# The first number that is somebody's, with the kind of its paper. 000000001 stands for "unknown" and is never sent out.
def paper($columns):
  ({citizen_id, old_id, tax_code, passport} | given | to_entries | map(select(.value != "000000001")) | first) as $paper
  | {"SoGiayTo\($columns)": ($paper.value | known), "LoaiGiayTo\($columns)": ($paper.key | coded("paper"))};

.applicant.person as $person
| .applicant.contact as $contact
| .applicant.representative as $representative

# Where it came into being, and under which code there.
| {
  LoaiDuLieuKetNoi: kind_of_source,
  MaHoSoNguon: .origin.native
}

# Of which procedure, who handles it, how it came in, how the result goes out.
+ {
  MaTTHC: (.procedure.stated // .procedure.code),
  TenTTHC: (.procedure.name | known),
  MaLinhVuc: (.procedure.sector.code | known),
  TenLinhVuc: (.procedure.sector.name | known),
  CapThucHien: (.procedure.level | coded("level")),
  MucDo: (.procedure.service | coded("service")),
  DonViId: (.agency.code | known),
  TenDonVi: (.agency.name | known),
  KenhThucHien: (.channel // "direct" | coded("channel")),
  HinhThucTra: (.return_mode | numbered("return-mode")),
  TrichYeuHoSo: (.summary | known)
}
+ (.area | area("DiaBan"))

# The applicant, and who acts for him.
+ {
  LoaiDoiTuong: ($person.kind | coded("applicant-kind")),
  ChuHoSo: ($person.name | known),
  NgaySinhChuHoSo: ($person.birth_date | format_date("%d/%m/%Y")),
  GioiTinhChuHoSo: ($person.gender | coded("gender")),
  SoDienThoai: ($contact.phone | known),
  Email: ($contact.email | known),
  DiaChiChuHoSo: ($contact.address | known)
}
+ ($person | paper("ChuHoSo"))
+ ($contact.area | area("ChuHoSo"))
+ if $representative == null then {UyQuyen: false}
  else
    {
      UyQuyen: true,
      HoTenNguoiUyQuyen: ($representative.name | known),
      SoDienThoaiNguoiUyQuyen: ($representative.phone | known),
      DiaChiNguoiUyQuyen: ($representative.address | known)
    }
    + ($representative | paper("NguoiUyQuyen"))
  end

# Its times, and the state in which it begins here: taken in, or only handed in. What was decided since is done by actions.
+ {
  NgayNopHoSo: (.schedule.submitted | native_time("000000")),
  NgayTiepNhan: (.schedule.received | native_time("000000")),
  NgayHenTra: (.schedule.due | native_time("235959")),
  NgayKetThucXuLy: "",
  NgayTra: "",
  NgayTuChoi: "",
  TrangThaiHoSoId: (if .schedule.received == null then "registered" else "accepted" end | numbered("status"))
}

# What was handed in, what is to be paid, the procedure's own form.
+ {
  ThanhPhanHoSo: [.components[] | {
    MaGiayTo: .type,
    TenGiayTo: (.name | known),
    TenTepDinhKem: (.file.name | known),
    DuongDan: (.file | as_link | known),
    DuocSoHoa: (if .digitised == true then 1 else 0 end)
  }],
  LePhi: [.fees[] | {
    MaPhiLePhi: .code,
    TenPhiLePhi: (.name | known),
    Gia: .amount,
    HinhThucThu: (.collection | numbered("fee-collection"))
  }],
  EForm: .form
}
