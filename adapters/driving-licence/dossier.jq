# One record of DanhSachHoSo -> one patch. It has no time of its own last change.

def digits($length): length == $length and (explode | all(.[]; . >= 48 and . <= 57));

# The number of an identity paper, which is known by its length. 000000001 is what clerks write where no number is known; it
# is nobody's.
def paper($field):
  field($field;
    clean // ""
    | if . == "" or . == "000000001" then {}
      elif digits(12) then {citizen_id: .}
      elif digits(9) then {old_id: .}
      else unfit("12 digits of an identity card, or 9 of an old one"; "have the licence desk correct \($field); then retry the record") end);

# One text of digits: two of the province, three of the district, the rest is the commune.
def area($field):
  field($field;
    clean // ""
    | if . == "" then null
      elif digits(2) then {province: .}
      elif digits(5) then {province: .[:2], district: .[2:]}
      elif digits(10) then {province: .[:2], district: .[2:5], commune: .[5:]}
      else
        unfit("2, 5 or 10 digits: province, district, commune"; "have the licence desk correct \($field); then retry the record")
      end
    | if . == null then null else . + {code_system: "statistics"} end);

# Which dossier, of which procedure.
(needed("loaiHoSo") as $given | code("loaiHoSo"; "procedures")) as $procedure
| (needed("maDonVi") as $given | code("maDonVi"; "agency")) as $agency
| described("procedures"; $procedure) as $described
| (needed("ngayNhanHoSo") as $given | day("ngayNhanHoSo")) as $received
| {
  dossier: {native: needed("maHoSo")},
  procedure: ({code: $procedure} + $described),
  agency: {code: $agency, name: described("agencies"; $agency).name}
}

# How it came in: with a number of an online registration, or at the desk. What it is about is not stated; it is said as
# the one-stop's clerks do.
+ {
  channel: (if (text("maDangKyDvc") // "") == "" then "direct" else "online" end),
  summary: "\($described.name) - \(needed("hoTen"))"
}

# The applicant. An old number that is stated beside a new one stays.
+ {
  applicant: {
    person: (
      {kind: "citizen", name: needed("hoTen")}
      + paper("soCmndCu")
      + paper("soCmnd")
      + {birth_date: field("ngaySinh"; parse_date("%Y-%m-%d")), gender: code("gioiTinh"; "gender")}
      | given
    ),
    contact: ({address: text("noiCuTru"), area: area("dvhcNoiCuTru")} | given)
  }
}

# It was received on a day, of which no hour is stated here, and stands as accepted since. A day due that is not listed may be
# known to TraCuuHoSo.
+ {
  schedule: ({received: $received, due: day("ngayHenTraGplx")} | given),
  status: {value: "accepted", at: $received}
}

# What was handed in. A paper that has a file is stated when that has been fetched; of the others there is no more to know.
+ {
  components: [papers
    | select(.path == "")
    | {type: .type, ordinal: .ordinal, name: .name, digitised: false} | given]
}

# The declaration, field by field, with the licences that the applicant has, and the papers whose files are to be fetched: by
# the path as it stands, for that is how it is asked for.
+ {
  form: (
    {hoSoDinhKem: [papers | select(.path != "")]}
    + ({hangDaoTao, lyDoDoiGplx, gplxDaCap, quocTich, noiThuongTru, noiCapCmnd, ngayCapCmnd, maDangKyDvc}
        | given | walk(if isstring then clean else . end))
  )
}
