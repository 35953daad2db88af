# The portal's rules, written from its guide. Nothing here is shared with the mapping that it tests.

# ---- requests and answers ----

def asked($key): .body | if type == "object" then .[$key] else null end;

def codes_in_data: asked("data") | if type == "array" then .[] else empty end | if type == "object" then .MaHoSo else empty end;

def failed($code; $message): {body: {error_code: $code, message: $message}};

def session_lost($db; $now):
  asked("session") as $key
  | if ($key | type) != "string" then true
    else $db.Phien[$key] as $session | $session == null or $session.until <= ($now | epoch_ms) end;

# ---- the other wrappings ----

# The gateway and the façade are called with the bare list of items; as the call that the portal knows.
def unwrapped($updating): .body = {isUpdating: $updating, data: .body};

# The façade tells which session at the portal it has used.
def with_session($session): .body.session = $session;

# The bearer token of a request, or null.
def bearer: .headers.authorization // "" | if startswith("Bearer ") then .[7:] else null end;

def token_lost($db; $now):
  bearer as $token
  | if $token == null then true
    else $db.The[$token] as $known | $known == null or $known.until <= ($now | epoch_ms) end;

# How the gateway, not the portal, refuses: by status.
def gate_closed: {status: 401, body: {fault: {code: 900901, message: "Invalid Credentials"}}};

# ---- texts ----

def is_text: type == "string";

def filled: is_text and (explode | any(.[]; . != 32 and . != 160 and (. < 9 or . > 13)));

def digits: is_text and length > 0 and (explode | all(.[]; . >= 48 and . <= 57));
def digits($length): digits and length == $length;

def whole: reduce (explode | .[]) as $digit (0; . * 10 + $digit - 48);

# Capital letters and digits, as codes of agencies are made of.
def letter: . >= 65 and . <= 90;
def code_text: length > 0 and (explode | all(.[]; (. >= 48 and . <= 57) or letter));

# ---- the calendar ----

def days_in($year; $month):
  if $month == 2 then
    if ($year % 4 == 0 and $year % 100 != 0) or $year % 400 == 0 then 29 else 28 end
  elif $month == 4 or $month == 6 or $month == 9 or $month == 11 then 30
  else 31 end;

def is_day($year; $month; $day): $year >= 1900 and $month >= 1 and $month <= 12 and $day >= 1 and $day <= days_in($year; $month);

# yyyyMMddHHmmss, a moment that the calendar has.
def is_time:
  digits(14)
  and is_day(.[0:4] | whole; .[4:6] | whole; .[6:8] | whole)
  and (.[8:10] | whole) < 24 and (.[10:12] | whole) < 60 and (.[12:14] | whole) < 60;

# ---- codes ----

# H56 or G15: the letter of the kind and two digits.
def is_top: length == 3 and (explode | .[0] | letter) and (.[1:] | digits);

# 000.17.22.H56 (most special group first) or H56.22.17 (most general first, at most 35 characters).
def is_agency:
  split(".") as $groups
  | length <= 35 and ($groups | all(.[]; code_text))
    and ((($groups | map(length)) == [3, 2, 2, 3] and ($groups[3] | is_top)) or ($groups | length > 0 and (.[0] | is_top)));

# <agency>-YYMMDD-XXXX; four digits by rule, up to six are met (TT 01/2018/TT-VPCP art. 19).
def is_dossier_code:
  is_text and (split("-") as $parts
  | ($parts | length) == 3
    and ($parts[0] | is_agency)
    and ($parts[1] | digits(6) and is_day(2000 + (.[0:2] | whole); .[2:4] | whole; .[4:6] | whole))
    and ($parts[2] | digits and length >= 4 and length <= 6));

# 1.001193, 1.001193.H56 or 1.001193.000.00.00.H56.
def is_procedure_code:
  is_text and (split(".") as $groups
  | ($groups | length) as $n
  | ($n == 2 or $n == 3 or $n == 6)
    and ($groups[0] | digits(1) and . != "0") and ($groups[1] | digits(6))
    and ($n == 2 or ($groups | last | is_top))
    and ($n != 6 or (($groups[2] | digits(3)) and ($groups[3] | digits(2)) and ($groups[4] | digits(2)))));

def is_link: is_text and (startswith("https://") or startswith("http://"));

# ---- saying what is wrong ----

# A rule is a stream of what is wrong; each sentence names the field and the part of the guide.
def wrong($field; $message; $part): "\($field): \($message) (national portal guide, \($part))";

# A text field: `must` be there, be `filled`, be no longer than `longest` (null: as long as it likes), and, where not empty, be `valid`.
def text_field($field; $must; $filled; $longest; valid; $message; $part):
  if has($field) | not then
    if $must then wrong($field; "thiếu trường bắt buộc"; $part) else empty end
  else .[$field]
    | if is_text | not then wrong($field; "phải là chuỗi ký tự"; $part)
      elif $filled and (filled | not) then wrong($field; "không được để trống"; $part)
      elif $longest != null and length > $longest then wrong($field; "dài quá \($longest) ký tự"; $part)
      elif . != "" and (valid | not) then wrong($field; $message; $part)
      else empty end
  end;

def text_field($field; $must; $filled; $part): text_field($field; $must; $filled; null; true; ""; $part);

def time_field($field; $must; $filled; $part):
  text_field($field; $must; $filled; 14; is_time; "phải là thời điểm có thật dạng yyyyMMddHHmmss"; $part);

def code_field($field; $must; $filled; $codes; $part):
  text_field($field; $must; $filled; null; . as $code | any($codes[]; . == $code); "phải là một trong \($codes | join(", "))"; $part);

# A list of objects; what is wrong with each is said by `rules`.
def list_field($field; rules; $part):
  if has($field) | not then empty
  elif .[$field] | type != "array" then wrong($field; "phải là danh sách"; $part)
  else .[$field][] | if type == "object" then rules else wrong($field; "phải gồm các đối tượng"; $part) end
  end;

# Stricter than the portal, which passes over what it does not know: a misspelt field would be lost there unseen.
def unknown_fields($known; $part):
  keys[] | . as $field | select(any($known[]; . == $field) | not) | wrong($field; "không có trường này"; $part);

# ---- CapNhatTienDoHoSoMC ----

def statuses: ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"];

def progress_faults:
  "CapNhatTienDoHoSoMC item" as $part
  | unknown_fields(["MaHoSo", "NguoiXuLy", "ChucDanh", "ThoiDiemXuLy", "PhongBanXuLy", "NoiDungXuLy", "TrangThai", "NgayBatDau",
      "NgayKetThucTheoQuyDinh"]; $part),
    text_field("MaHoSo"; true; true; 60; is_dossier_code; "không đúng cấu trúc mã hồ sơ"; $part),
    text_field("NguoiXuLy"; true; true; 50; true; ""; $part),
    text_field("ChucDanh"; false; false; $part),
    time_field("ThoiDiemXuLy"; true; true; $part),
    text_field("PhongBanXuLy"; false; false; $part),
    text_field("NoiDungXuLy"; true; true; $part),
    code_field("TrangThai"; true; true; statuses; $part),
    time_field("NgayBatDau"; false; false; $part),
    time_field("NgayKetThucTheoQuyDinh"; false; false; $part);

# ---- DongBoHoSoMC ----

def part: "DongBoHoSoMC item";

# Twelve digits or nine; the dummy number of those who know none is nobody's.
def number_faults:
  code_field("LoaiDinhDanh"; true; true; ["1", "2", "3"]; part),
  text_field("SoDinhDanh"; true; true; 50; . != "000000001"; "000000001 không phải là số định danh"; part),
  (if .LoaiDinhDanh == "1" and (.SoDinhDanh | digits(12) | not) then wrong("SoDinhDanh"; "loại 1 phải có 12 chữ số"; part)
   elif .LoaiDinhDanh == "2" and (.SoDinhDanh | digits(9) | not) then wrong("SoDinhDanh"; "loại 2 phải có 9 chữ số"; part)
   else empty end);

def file_faults:
  unknown_fields(["TepDinhKemId", "TenTepDinhKem", "IsDeleted", "MaThanhPhanHoSo", "DuongDanTaiTepTin", "DuocSoHoa", "DuocTaiSuDung",
    "DuocLayTuKhoDMQG", "MaKetQuaThayThe"]; part),
  text_field("TepDinhKemId"; true; true; part),
  text_field("TenTepDinhKem"; true; false; 4000; true; ""; part),
  code_field("IsDeleted"; true; true; ["True", "False", "0", "1"]; part),
  text_field("MaThanhPhanHoSo"; true; false; part),
  text_field("DuongDanTaiTepTin"; true; false; null; is_link; "phải là đường dẫn http hoặc https"; part),
  code_field("DuocSoHoa"; false; false; ["0", "1"]; part),
  code_field("DuocTaiSuDung"; false; false; ["0", "1", "2"]; part),
  code_field("DuocLayTuKhoDMQG"; false; false; ["0", "1"]; part),
  text_field("MaKetQuaThayThe"; false; false; part);

def fee_faults:
  unknown_fields(["TenPhiLePhi", "MaPhiLePhi", "HinhThucThu", "Gia", "LoaiPhiLePhi"]; part),
  text_field("TenPhiLePhi"; true; false; part),
  text_field("MaPhiLePhi"; true; false; part),
  code_field("HinhThucThu"; true; true; ["1", "2"]; part),
  text_field("Gia"; true; true; 20; digits; "phải là số tiền bằng chữ số"; part),
  code_field("LoaiPhiLePhi"; true; true; ["1", "2"]; part);

def is_whole_number: type == "number" and . == floor;

def paper_faults:
  unknown_fields(["TenGiayTo", "SoLuong", "LoaiGiayTo"]; part),
  text_field("TenGiayTo"; true; true; part),
  (if .SoLuong | is_whole_number | not then wrong("SoLuong"; "phải là số nguyên"; part) else empty end),
  (if .LoaiGiayTo == 1 or .LoaiGiayTo == 2 then empty else wrong("LoaiGiayTo"; "phải là 1 hoặc 2"; part) end);

def supplement_faults:
  unknown_fields(["HoSoBoSungId", "NguoiYeuCauBoSung", "NoiDungBoSung", "NgayBoSung", "NguoiTiepNhanBoSung", "ThongTinTiepNhan",
    "NgayTiepNhanBoSung", "TrangThaiBoSung", "DanhSachGiayToBoSung", "DanhSachLePhiBoSung", "NgayHenTraTruoc", "NgayHenTraMoi"]; part),
  (if .HoSoBoSungId | is_whole_number | not then wrong("HoSoBoSungId"; "phải là số nguyên"; part) else empty end),
  text_field("NguoiYeuCauBoSung"; true; false; part),
  text_field("NoiDungBoSung"; true; false; part),
  time_field("NgayBoSung"; true; true; part),
  text_field("NguoiTiepNhanBoSung"; false; false; part),
  text_field("ThongTinTiepNhan"; false; false; part),
  time_field("NgayTiepNhanBoSung"; false; false; part),
  (.TrangThaiBoSung as $state | if any(0, 1, "0", "1"; . == $state) then empty else wrong("TrangThaiBoSung"; "phải là 0 hoặc 1"; part) end),
  list_field("DanhSachGiayToBoSung"; file_faults; part),
  list_field("DanhSachLePhiBoSung"; fee_faults; part),
  time_field("NgayHenTraTruoc"; false; false; part),
  time_field("NgayHenTraMoi"; false; false; part);

def result_faults:
  unknown_fields(["TenGiayTo", "MaThanhPhanHoSo", "GiayToId", "DuongDanTepTinKetQua", "MaGiayToKetQua"]; part),
  text_field("TenGiayTo"; true; true; 2000; true; ""; part),
  text_field("MaThanhPhanHoSo"; true; false; part),
  text_field("GiayToId"; true; true; part),
  text_field("DuongDanTepTinKetQua"; true; true; null; is_link; "phải là đường dẫn http hoặc https"; part),
  text_field("MaGiayToKetQua"; false; false; part);

# The whole item, in the order of the guide's table.
def dossier_faults:
  unknown_fields(["MaHoSo", "MaTTHC", "TenTTHC", "MaLinhVuc", "TenLinhVuc", "SoBienNhan", "KenhThucHien", "ChuHoSo", "SoGiayToChuHoSo",
    "LoaiDoiTuong", "MaDoiTuong", "DinhDanhCHS", "Email", "SoDienThoai", "Fax", "ThongTinKhac", "TrichYeuHoSo", "NgayNopHoSo", "NgayTiepNhan",
    "NgayHenTra", "TrangThaiHoSo", "NgayTra", "ThongTinTra", "NgayKetThucXuLy", "NgayTuChoi", "HinhThuc", "DonViXuLy", "GhiChu", "NoiNopHoSo",
    "HoSoCoThanhPhanSoHoa", "TaiKhoanDuocXacThucVoiVNeID", "DuocThanhToanTrucTuyen", "DSKetNoiCSDL", "TaiLieuNop", "DanhSachLePhi",
    "DanhSachTepDinhKemKhac", "DanhSachHoSoBoSung", "DanhSachGiayToKetQua"]; part),
  text_field("MaHoSo"; true; true; 60; is_dossier_code; "không đúng cấu trúc mã hồ sơ"; part),
  text_field("MaTTHC"; true; true; 60; is_procedure_code; "không đúng cấu trúc mã thủ tục"; part),
  text_field("TenTTHC"; true; true; part),
  text_field("MaLinhVuc"; true; true; part),
  text_field("TenLinhVuc"; true; true; part),
  text_field("SoBienNhan"; false; false; part),
  code_field("KenhThucHien"; false; false; ["1", "2", "3"]; part),
  text_field("ChuHoSo"; false; false; part),
  text_field("SoGiayToChuHoSo"; false; false; 50; . != "000000001"; "000000001 không phải là số định danh"; part),
  code_field("LoaiDoiTuong"; true; true; ["1", "2", "3", "4"]; part),
  text_field("MaDoiTuong"; false; false; part),
  list_field("DinhDanhCHS"; number_faults; part),
  text_field("Email"; true; false; part),
  text_field("SoDienThoai"; true; false; part),
  text_field("Fax"; false; false; part),
  text_field("ThongTinKhac"; false; false; part),
  text_field("TrichYeuHoSo"; true; true; 1000; true; ""; part),
  time_field("NgayNopHoSo"; false; false; part),
  time_field("NgayTiepNhan"; true; true; part),
  time_field("NgayHenTra"; true; false; part),
  code_field("TrangThaiHoSo"; true; true; statuses; part),
  time_field("NgayTra"; false; false; part),
  text_field("ThongTinTra"; false; false; part),
  time_field("NgayKetThucXuLy"; false; false; part),
  time_field("NgayTuChoi"; false; false; part),
  code_field("HinhThuc"; true; true; ["0", "1"]; part),
  text_field("DonViXuLy"; true; true; part),
  text_field("GhiChu"; false; false; part),
  code_field("NoiNopHoSo"; false; false; ["1", "2"]; part),
  code_field("HoSoCoThanhPhanSoHoa"; false; false; ["0", "1"]; part),
  code_field("TaiKhoanDuocXacThucVoiVNeID"; false; false; ["0", "1"]; part),
  code_field("DuocThanhToanTrucTuyen"; false; false; ["0", "1", "2", "3"]; part),
  list_field("DSKetNoiCSDL"; text_field("MaCSDL"; true; true; part); part),
  list_field("TaiLieuNop"; file_faults; part),
  list_field("DanhSachLePhi"; fee_faults; part),
  list_field("DanhSachTepDinhKemKhac"; paper_faults; part),
  list_field("DanhSachHoSoBoSung"; supplement_faults; part),
  list_field("DanhSachGiayToKetQua"; result_faults; part);

# What is wrong with the items of a call: nothing, or the first fault.
def first_fault(faults):
  asked("data")
  | if type != "array" or length == 0 then "data: phải là danh sách có ít nhất một mục"
    elif all(.[]; type == "object") | not then "data: phải gồm các đối tượng"
    else first(.[] | faults) // null end;
