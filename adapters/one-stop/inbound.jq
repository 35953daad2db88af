# One HoSo report of the one-stop -> one patch. Webhook and pull carry the same record.

# What the citizen handed in.
def handed_in:
  # The procedure. Provincial forms (2.000488.H56, 2.000488.000.00.00.H56) and the national root (2.000488) are one
  # procedure: its root is the first two segments.
  {
    procedure: ({
      code: (needed("MaTTHC") as $stated
        | column("MaTTHC"; $stated | split(".") | .[:2] | join(".") | to_canonical("procedures"))),
      stated: text("MaTTHC"),
      name: needed("TenTTHC"),
      sector: ({code: text("MaLinhVuc"), name: text("TenLinhVuc")} | given),
      level: code("CapThucHien"; "level"),
      service: code("MucDo"; "service")
    } | given)
  }

  # Whose it is, how it came in, how the result goes out. Whoever states no channel means the counter.
  + {
    agency: {code: needed("DonViId"), name: needed("TenDonVi")},
    summary: needed("TrichYeuHoSo"),
    place_of_submission: "provincial_system"
  }
  + ({channel: (code("KenhThucHien"; "channel") // "direct"), return_mode: code("HinhThucTra"; "return-mode")} | given)

  # Where the matter lies. Reports older than July 2025 may name a district; later ones have none.
  + ({area: area("TinhThanhDiaBan"; "QuanHuyenDiaBan"; "XaPhuongDiaBan")} | given)

  # The applicant: person, contact and representative, each stated whole. A company has no birth date.
  + {
    applicant: (
      {
        person: (
          {kind: (needed("LoaiDoiTuong") as $given | code("LoaiDoiTuong"; "applicant-kind")), name: needed("ChuHoSo")}
          + paper("LoaiGiayToChuHoSo"; "SoGiayToChuHoSo")
          + ({
            birth_date: column("NgaySinhChuHoSo"; parse_date("%d/%m/%Y")),
            gender: column("GioiTinhChuHoSo"; clean | to_canonical("gender"))
          } | given)
        ),
        contact: ({
          phone: phone("SoDienThoai"),
          email: text("Email"),
          address: text("DiaChiChuHoSo"),
          area: area("TinhThanhChuHoSo"; "QuanHuyenChuHoSo"; "XaPhuongChuHoSo")
        } | given)
      }
      + if .UyQuyen == null then {}
        elif yes("UyQuyen") then
          {
            representative: (
              ({
                name: text("HoTenNguoiUyQuyen"),
                phone: phone("SoDienThoaiNguoiUyQuyen"),
                address: text("DiaChiNguoiUyQuyen")
              } | given)
              + paper("LoaiGiayToNguoiUyQuyen"; "SoGiayToNguoiUyQuyen")
            )
          }
        else {representative: null} end
    )
  }

  # The procedure's own form, field by field.
  + (if (.EForm // {}) == {} then {} else {form: (.EForm | walk(if isstring then nfc else . end))} end)

  # What was handed in, all of it: a paper that the report no longer lists is gone. The one-stop says whether it scanned a
  # paper, not whether it reused one.
  + if has("ThanhPhanHoSo") then
      {
        components: [.ThanhPhanHoSo | many
          | {
            type: needed("MaGiayTo"),
            name: text("TenGiayTo"),
            file: ({name: text("TenTepDinhKem"), link: (if (.DuongDan // "") == "" then null else .DuongDan | link end)}
              | given | if . == {} then null else . end),
            digitised: yes("DuocSoHoa"),
            reused: "no",
            from_national_store: false
          } | given]
      }
    else {} end

  # What is to be paid, all of it. Codes of fees (lệ phí) begin with LP; all others are charges (phí).
  + if has("LePhi") then
      {
        fees: [.LePhi | many
          | {
            code: needed("MaPhiLePhi"),
            name: text("TenPhiLePhi"),
            amount: amount("Gia"),
            collection: code("HinhThucThu"; "fee-collection"),
            kind: (if needed("MaPhiLePhi") | startswith("LP") then "fee" else "charge" end)
          } | given]
      }
    else {} end;

# Which dossier, and as of when. MaHoSoKhac is the code under which the national portal knows it.
{dossier: needed("MaHoSo")}
+ (text("MaHoSoKhac") as $code | if ($code // "") == "" then {} else {links: {"national-portal": $code}} end)
+ ({at: time("NgayCapNhat")} | given)

# A dossier that came from another system is known by what it is there; and as no procedure is stated here, its report
# brings no second dossier into being.
+ (if came_from_elsewhere then {} else handed_in end)
+ done_here
