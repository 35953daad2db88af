# One HoSo report of the one-stop -> one patch. Webhook and pull carry the same record.

# Steps of the work in the order of their time.
([.TienTrinh | many | column("ThoiGian"; need("ThoiGian")) as $at | .] | sort_by(.ThoiGian)) as $steps

# Which dossier, and as of when. MaHoSoKhac is the code under which the national portal knows it.
| {dossier: needed("MaHoSo")}
+ (text("MaHoSoKhac") as $code | if ($code // "") == "" then {} else {links: {"national-portal": $code}} end)
+ ({at: time("NgayCapNhat")} | given)

# The procedure. Provincial forms (2.000488.H56, 2.000488.000.00.00.H56) and the national root (2.000488) are one
# procedure: its root is the first two segments.
+ {
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

# Who handles it, how it came in, how the result goes out. Whoever states no channel means the counter.
+ {
  agency: {code: needed("DonViId"), name: needed("TenDonVi")},
  summary: needed("TrichYeuHoSo"),
  place_of_submission: "provincial_system",
  handling: ({unit: text("TenDonVi"), officer: text("NguoiDangXuLy"), step: text("BuocHienTai")} | given)
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

# The times of the dossier. An empty column is known to be empty: a due date that was taken back goes.
+ times

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
  else {} end

# The newest request for supplements; the one-stop's row holds one, earlier ones stay as they were reported.
+ supplements

# The decision with all its files.
+ results

# The states: history where there are steps, so that states which nobody saw between two reports are known too, and
# the present one where the newest step does not tell it. Without steps only the present one is known.
+ {
  status: (
    (needed("TrangThaiHoSoId") as $given | code("TrangThaiHoSoId"; "status")) as $present
    | text("LyDoTuChoi") as $reason
    | [$steps[] | state_after_step($reason)] as $history
    | ($history | last) as $newest
    | if $newest == null then
        state($present; time("NgayCapNhat"); .TrangThaiHoSoId; null; $reason)
      elif $newest.value == $present then
        $history
      else
        $history + [state($present; [time("NgayCapNhat"), $newest.at] | max; .TrangThaiHoSoId; $newest.kind; $reason)]
      end
  )
}

# What was done, step by step.
+ {progress: [$steps[] | work_of_step]}
