# A dossier that came into being in another system: taken once, by its code there, of listed procedures only. It gets a code
# of the agency that handles it (TT 01/2018/TT-VPCP art. 19).

def mandatory: [
  "LoaiDuLieuKetNoi", "MaHoSoNguon", "MaTTHC", "TenTTHC", "DonViId", "TenDonVi", "LoaiDoiTuong", "ChuHoSo", "TrichYeuHoSo"
];

def times: ["NgayNopHoSo", "NgayTiepNhan", "NgayHenTra", "NgayKetThucXuLy", "NgayTra", "NgayTuChoi"];

def texts: mandatory + times + [
  "MaLinhVuc", "TenLinhVuc", "CapThucHien", "MucDo", "KenhThucHien",
  "TinhThanhDiaBan", "QuanHuyenDiaBan", "XaPhuongDiaBan",
  "NgaySinhChuHoSo", "GioiTinhChuHoSo", "SoGiayToChuHoSo", "LoaiGiayToChuHoSo", "SoDienThoai", "Email",
  "TinhThanhChuHoSo", "QuanHuyenChuHoSo", "XaPhuongChuHoSo", "DiaChiChuHoSo",
  "HoTenNguoiUyQuyen", "SoGiayToNguoiUyQuyen", "LoaiGiayToNguoiUyQuyen", "SoDienThoaiNguoiUyQuyen", "DiaChiNguoiUyQuyen"
];

def others: ["UyQuyen", "TrangThaiHoSoId", "HinhThucTra", "ThanhPhanHoSo", "LePhi", "EForm"];

# What each code list has. Where "" is in it, the column may be left open.
def lists: {
  CapThucHien: ["", "province", "district", "commune"],
  MucDo: ["", "toan_trinh", "mot_phan", "thong_tin"],
  KenhThucHien: ["1", "2", "3"],
  HinhThucTra: ["", 0, 1],
  LoaiDoiTuong: ["1", "2", "3", "4"],
  GioiTinhChuHoSo: ["", "Nam", "Nữ"],
  LoaiGiayToChuHoSo: ["", "CCCD", "CMND", "MST", "HC"],
  LoaiGiayToNguoiUyQuyen: ["", "CCCD", "CMND", "MST", "HC"],
  UyQuyen: [false, true],
  TrangThaiHoSoId: [1, 2]
};

def filled: isstring and clean != "";

# The province (H56), then groups of capital letters and digits; or the old form with the province at its end.
def is_agency:
  split(".") as $groups
  | length <= 35 and all($groups[]; . != "" and (explode | all(.[]; (. >= 48 and . <= 57) or (. >= 65 and . <= 90))))
    and any($groups[0], $groups[-1]; length == 3 and (.[1:] | digits(2)) and (digits(3) | not));

def is_birth_date: . == "" or ((try parse_date("%d/%m/%Y") catch null) != null);

# A number that a paper of this kind can have; 000000001 is nobody's.
def fits($kind):
  . != "000000001"
  and if $kind == "CCCD" then digits(12) elif $kind == "CMND" then digits(9) else ($kind == "") == (. == "") end;

def is_paper: isobject and (.MaGiayTo | filled) and (.DuocSoHoa | IN(0, 1));

def is_fee: isobject and (.MaPhiLePhi | filled) and (.HinhThucThu | IN("", 1, 2)) and (.Gia | isnumber and . >= 0 and . == floor);

# What is wrong with what was sent; nothing if it is sound.
def unsound:
  if isobject | not then "Nội dung gửi phải là một đối tượng"
  else
    . as $sent
    | first(
        (keys_unsorted[] | select(IN((texts + others)[]) | not) | "\(.) không có trong cấu trúc hồ sơ"),
        (texts[] | select($sent[.] // "" | isstring | not) | "\(.) phải là chuỗi ký tự"),
        (mandatory[] | select($sent[.] | filled | not) | "\(.) không được để trống"),
        (lists | to_entries[] | . as $list | $sent[.key] | if . == null then "" else . end
          | select(IN($list.value[]) | not) | "\($list.key) không có trong danh mục"),
        (times[] | select(($sent[.] // "") != "" and ($sent[.] | is_time | not)) | "\(.) phải có dạng yyyyMMddHHmmss"),
        (select(.TrangThaiHoSoId == 2 and (.NgayTiepNhan // "") == "") | "NgayTiepNhan không được để trống khi đã tiếp nhận"),
        (select(.DonViId | is_agency | not) | "DonViId phải là mã định danh của cơ quan"),
        (select(.NgaySinhChuHoSo // "" | is_birth_date | not) | "NgaySinhChuHoSo phải có dạng dd/MM/yyyy, MM/yyyy hoặc yyyy"),
        ("ChuHoSo", "NguoiUyQuyen"
          | select(. as $of | $sent["SoGiayTo\($of)"] // "" | fits($sent["LoaiGiayTo\($of)"] // "") | not)
          | "SoGiayTo\(.) không đúng với LoaiGiayTo\(.)"),
        (select(.ThanhPhanHoSo | isarray and all(.[]; is_paper) | not) | "ThanhPhanHoSo không hợp lệ"),
        (select(.LePhi | isarray and all(.[]; is_fee) | not) | "LePhi không hợp lệ"),
        null)
  end;

# The next number of the agency's day. Two digits of the year, month and day; four digits of the number.
def next_code($rows; $now):
  "\(.DonViId)-\($now | format_time("%Y%m%d") | .[2:])-" as $prefix
  | ([$rows[].MaHoSo | select(startswith($prefix)) | .[($prefix | length):] | whole] | max // 0) + 1
  | $prefix + ("000\(.)" | .[-([4, (length - 3)] | max):]);

.body as $sent
| ($sent | unsound) as $unsound
| if $unsound != null then {body: says("2"; $unsound)}
  elif any($settings.intake[$sent.LoaiDuLieuKetNoi] // [] | .[]; . == ($sent.MaTTHC | split(".") | .[:2] | join("."))) | not then
    {body: says("9"; "Thủ tục \($sent.MaTTHC) không thuộc danh mục được đồng bộ từ \($sent.LoaiDuLieuKetNoi)")}
  elif any($db.HoSo[]; came_as($sent.LoaiDuLieuKetNoi; $sent.MaHoSoNguon)) then
    {body: says("8"; "Hồ sơ nguồn \($sent.MaHoSoNguon) (\($sent.LoaiDuLieuKetNoi)) đã được đồng bộ")}
  else
    ($sent | next_code($db.HoSo; $now)) as $code
    | ($now | format_time("%Y%m%d%H%M%S")) as $at
    | {
        body: (says("0"; "") + {data: {MaHoSo: $code}}),
        rows: {HoSo: [$sent + {MaHoSo: $code, MaHoSoKhac: "", NgayCapNhat: $at, TienTrinh: []}]}
      }
  end
