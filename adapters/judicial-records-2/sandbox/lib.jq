# What the stand-in's answers have in common. Nothing here is shared with the mapping that it tests.

# ---- answers ----

# An answer to a declaration is a sentence and no JSON.
def sentence($text): {headers: {"content-type": "text/plain; charset=utf-8"}, body: $text};

# An answer to a question that cannot be answered.
def failed($text): {body: {status: 0, statusDescription: $text, value: null}};

# Why a request is none of this province's; null and so no reason where it is.
def stranger:
  if .body | isobject | not then "authKey không hợp lệ"
  elif .body.authKey != $settings.auth_key then "authKey không hợp lệ"
  elif .body.maTinh != $settings.province then "authKey không thuộc tỉnh \(.body.maTinh)"
  else null end;

# ---- the work ----

# What an official does with a declaration: begins to work on it, asks for papers, refuses it, issues the certificate.
def carry_out($line):
  .trangThaiXuLy as $state
  | if $line.HanhDong == "XuLy" and ($state | IN(1, 2, 5)) then .trangThaiXuLy = 4
    elif $line.HanhDong == "YeuCauBoSung" and ($state | IN(1, 2, 4)) then .trangThaiXuLy = 5
    elif $line.HanhDong == "TuChoi" and ($state | IN(1, 2, 4, 5)) then .trangThaiXuLy = 3
    elif $line.HanhDong == "CapPhieu" and $state == 4 and ($line.ketQuaXuLy | isobject) then
      .trangThaiXuLy = 9 | .ketQuaXuLy = $line.ketQuaXuLy
    else
      error({
        code: "sandbox-script", field: "HanhDong", found: $line.HanhDong,
        expected: "XuLy, YeuCauBoSung or TuChoi of an open declaration, or CapPhieu with ketQuaXuLy of one that is worked on"
      })
    end;

# ---- text and the calendar ----

def digits: length > 0 and (explode | all(.[]; . >= 48 and . <= 57));
def digits($length): digits and length == $length;
def whole: reduce (explode | .[]) as $digit (0; . * 10 + $digit - 48);

def days_in($year; $month):
  if $month == 2 then
    if ($year % 4 == 0 and $year % 100 != 0) or $year % 400 == 0 then 29 else 28 end
  elif $month == 4 or $month == 6 or $month == 9 or $month == 11 then 30
  else 31 end;

def is_year: digits(4) and whole >= 1900;

# yyyy, MM/yyyy or dd/MM/yyyy, as the calendar has them.
def is_year_or_more:
  split("/") as $parts
  | ($parts | length) as $n
  | $n <= 3 and ($parts[-1] | is_year)
    and ($n < 2 or ($parts[-2] | digits(2) and whole >= 1 and whole <= 12))
    and ($n < 3 or ($parts[0] | digits(2) and whole >= 1 and whole <= days_in($parts[2] | whole; $parts[1] | whole)));

def is_day: length == 10 and is_year_or_more;
def is_month: length == 7 and is_year_or_more;

# An official code: an agency, the day of receipt, the sequence of that day.
def is_dossier_code:
  split("-") as $parts
  | ($parts | length) == 3
    and ($parts[0] | test("^[0-9A-Z.]{3,35}$"))
    and ($parts[1] | digits(6) and ("\(.[4:6])/\(.[2:4])/20\(.[:2])" | is_day))
    and ($parts[2] | digits and length >= 4 and length <= 6);

# Bytes in base64: whole groups of four, filled up at the end.
def is_base64: length > 0 and length % 4 == 0 and test("^[A-Za-z0-9+/]*={0,2}$");

# ---- saying what is wrong ----

def wrong($field; $message): "\($field): \($message)";

# A rule is a stream of what is wrong with an object; $form is the name of the object. Everything is text.
def field($form; $field; $must; valid; $message):
  .[$field] as $value
  | if $value == null then if $must then wrong("\($form)\($field)"; "thiếu trường bắt buộc") else empty end
    elif $value | isstring | not then wrong("\($form)\($field)"; "phải là chuỗi ký tự")
    elif $value | clean == "" then if $must then wrong("\($form)\($field)"; "không được để trống") else empty end
    elif $value | valid | not then wrong("\($form)\($field)"; $message)
    else empty end;

def field($form; $field; $must): field($form; $field; $must; true; "");

def code_field($form; $field; $must; $codes):
  field($form; $field; $must; . as $code | any($codes[]; . == $code); "phải là một trong \($codes | join(", "))");

# Stricter than the system, which passes over what it does not know: a misspelt field would be lost there unseen.
def unknown_fields($form; $known):
  keys[] | . as $field | select(any($known[]; . == $field) | not) | wrong("\($form)\($field)"; "không có trường này");

# An identity paper and its number: twelve digits of a citizen's card, nine of an old one, whatever a foreign one has. The
# dummy number of those who know none is nobody's.
def paper_faults($number; $kind; $must):
  "toKhai." as $form
  | field($form; $number; $must; . != "000000001"; "000000001 không phải là số giấy tờ"),
    code_field($form; $kind; $must; ["0", "1", "2", "3"]),
    (if .[$kind] == "3" and (.[$number] // "" | digits(12) | not) then wrong("\($form)\($number)"; "căn cước công dân phải có 12 chữ số")
     elif .[$kind] == "1" and (.[$number] // "" | digits(9) | not) then wrong("\($form)\($number)"; "chứng minh nhân dân phải có 9 chữ số")
     else empty end);

def stay_faults:
  "toKhai.quaTrinhCTNNNLV." as $form
  | unknown_fields($form; ["tuThangNam", "denThangNam", "diaChiCuTru", "ngheNghiep", "noiLamViec"]),
    field($form; "tuThangNam"; true; is_month or is_year; "phải là MM/yyyy"),
    field($form; "denThangNam"; false; is_month or is_year; "phải là MM/yyyy"),
    field($form; "diaChiCuTru"; true),
    field($form; ("ngheNghiep", "noiLamViec"); false);

def form_faults:
  "toKhai." as $form
  | unknown_fields($form; ["loaiPhieu", "yeuCauCDNCV", "maMucDich", "tenMucDich", "soLuongCap", "nycHoTen", "nycGioiTinh", "nycNgaySinh",
      "nycThuongTru", "nycTamTru", "nycSoGiayTo", "nycLoaiGiayTo", "nycQuocTich", "nycDanToc", "nycNoiSinh", "chaHoTen", "chaNgaySinh",
      "meHoTen", "meNgaySinh", "voChongHoTen", "voChongNgaySinh", "uyQuyen", "nuqHoTen", "nuqSoGiayTo", "nuqLoaiGiayTo", "nuqThuongTru",
      "nuqQuanHe", "quaTrinhCTNNNLV"]),
    code_field($form; "loaiPhieu"; true; ["1", "2"]),
    code_field($form; "yeuCauCDNCV"; false; ["0", "1"]),
    field($form; ("maMucDich", "tenMucDich"); false),
    field($form; "soLuongCap"; true; digits and whole >= 1; "phải từ 1"),
    field($form; "nycHoTen"; true),
    code_field($form; "nycGioiTinh"; true; ["1", "2"]),
    field($form; "nycNgaySinh"; true; is_year_or_more; "phải là dd/MM/yyyy, MM/yyyy hoặc yyyy"),
    field($form; ("nycThuongTru", "nycTamTru", "nycNoiSinh"); false),
    paper_faults("nycSoGiayTo"; "nycLoaiGiayTo"; true),
    field($form; "nycQuocTich"; true; length == 2 and . == ascii_upcase; "phải là mã hai chữ cái"),
    field($form; "nycDanToc"; false; digits(2) and whole >= 1 and whole <= 54; "phải là mã từ 01 đến 54"),
    field($form; ("chaHoTen", "meHoTen", "voChongHoTen"); false),
    field($form; ("chaNgaySinh", "meNgaySinh", "voChongNgaySinh"); false; is_year_or_more; "phải là dd/MM/yyyy, MM/yyyy hoặc yyyy"),
    code_field($form; "uyQuyen"; true; ["0", "1"]),
    (if .uyQuyen == "1" then field($form; "nuqHoTen"; true) else field($form; "nuqHoTen"; false) end),
    paper_faults("nuqSoGiayTo"; "nuqLoaiGiayTo"; false),
    field($form; ("nuqThuongTru", "nuqQuanHe"); false),
    (.quaTrinhCTNNNLV // []
      | if type != "array" then wrong("\($form)quaTrinhCTNNNLV"; "phải là danh sách")
        else .[] | if type == "object" then stay_faults else wrong("\($form)quaTrinhCTNNNLV"; "phải gồm các đối tượng") end end);

def file_faults:
  "fileHoSo." as $form
  | unknown_fields($form; ["tenLoaiFile", "tenFile", "noiDungFile"]),
    field($form; ("tenLoaiFile", "tenFile"); true),
    field($form; "noiDungFile"; true; is_base64; "phải là base64");

# The whole body.
def declaration_faults:
  unknown_fields(""; ["authKey", "maTinh", "tenTinh", "maHoSoMCDT", "nguonDangKy", "ngayTiepNhan", "toKhai", "fileHoSo"]),
  field(""; ("tenTinh", "nguonDangKy"); true),
  field(""; "maHoSoMCDT"; true; is_dossier_code; "phải là mã hồ sơ đầy đủ"),
  field(""; "ngayTiepNhan"; true; is_day; "phải là dd/MM/yyyy"),
  (.toKhai | if type == "object" then form_faults else wrong("toKhai"; "thiếu trường bắt buộc") end),
  (.fileHoSo | if type != "array" then wrong("fileHoSo"; "phải là danh sách")
    else .[] | if type == "object" then file_faults else wrong("fileHoSo"; "phải gồm các đối tượng") end end);
