# What the stand-in's answers have in common. Nothing here is shared with the mapping that it tests.

# The token that a request bears.
def token: .headers.authorization // "" | if startswith("Bearer ") then .[7:] else "" end;

# Whether the request comes without a session that is still good.
def session_lost($db; $now):
  $db.PhienLam[token] as $session
  | $session == null or $session.until <= ($now | epoch_ms);

def no_session: {status: 401, body: {maLoi: "401", moTa: "Phiên làm việc không hợp lệ hoặc đã hết hạn"}};

def says($code; $sentence): {maLoi: $code, moTa: $sentence};

def whole: reduce (explode | .[]) as $digit (0; . * 10 + $digit - 48);

def digits($length): length == $length and (explode | all(.[]; . >= 48 and . <= 57));

# A moment that the calendar has.
def is_time: isstring and digits(14) and ((try parse_time("%Y%m%d%H%M%S") catch null) != null);

# Whether the dossier came from another system of this kind under this code there.
def came_as($kind; $code): .LoaiDuLieuKetNoi == $kind and .MaHoSoNguon == $code;

# What can be done with a dossier, by an official of the script or by a call: the state that it leads to (null: the same)
# and its label in the dossier's history.
def actions: {
  TiepNhan: [2, "Tiếp nhận hồ sơ"],
  TuChoi: [3, "Từ chối tiếp nhận"],
  ChuyenXuLy: [4, "Chuyển xử lý"],
  ThamDinh: [4, "Thẩm định hồ sơ"],
  YeuCauBoSung: [5, "Yêu cầu bổ sung"],
  NhanBoSung: [4, "Nhận bổ sung"],
  YeuCauThanhToan: [6, "Yêu cầu thực hiện nghĩa vụ tài chính"],
  DaThanhToan: [4, "Xác nhận đã thanh toán"],
  Rut: [7, "Rút hồ sơ"],
  Dung: [8, "Dừng xử lý"],
  CapNhatKetQua: [null, "Cập nhật kết quả"],
  KetThuc: [9, "Kết thúc xử lý"],
  TraKetQua: [10, "Trả kết quả"],
  TraLai: [4, "Trả lại hồ sơ"]
};

# A column that the line gives.
def given_by($line; $column): if $line[$column] then {($column): $line[$column]} else {} end;

# The columns that an action fills, beside the state.
def columns($line):
  $line.ThoiGian as $at
  | if $line.HanhDong == "TiepNhan" then
      if (.NgayTiepNhan // "") == "" then {NgayTiepNhan: $at} else {} end + given_by($line; "NgayHenTra")
    elif $line.HanhDong == "TuChoi" then {NgayTuChoi: $at, LyDoTuChoi: ($line.LyDoTuChoi // $line.NoiDung // "")}
    elif $line.HanhDong == "YeuCauBoSung" then
      {NgayYeuCauBoSung: $at, LyDoBoSung: ($line.LyDoBoSung // $line.NoiDung // ""), ThoiHanBoSung: ($line.ThoiHanBoSung // ""),
       TrangThaiBoSung: "cho_bo_sung", NgayBoSung: ""}
    elif $line.HanhDong == "NhanBoSung" then
      {TrangThaiBoSung: "da_gui", NgayBoSung: $at} + given_by($line; "NgayHenTra")
    elif $line.HanhDong == "Rut" or $line.HanhDong == "Dung" then {NgayKetThucXuLy: $at}
    elif $line.HanhDong == "CapNhatKetQua" then given_by($line; "SoKyHieuKetQua") + given_by($line; "DinhKemKetQua")
    elif $line.HanhDong == "KetThuc" then
      {NgayKetThucXuLy: $at} + given_by($line; "SoKyHieuKetQua") + given_by($line; "DinhKemKetQua")
    elif $line.HanhDong == "TraKetQua" then {NgayTra: $at}
    else {} end;

# The dossier after what a line tells: who did what and when, and with which particulars.
def carry_out($line):
  actions[$line.HanhDong] as $action
  | if $action == null then
      error({code: "sandbox-script", field: "HanhDong", found: $line.HanhDong, expected: "an action of the one-stop"})
    else . end
  | ($line.TrangThai // $action[0] // .TrangThaiHoSoId) as $state
  | . + columns($line) + {
      TrangThaiHoSoId: $state,
      NgayCapNhat: $line.ThoiGian,
      TienTrinh: ((.TienTrinh // []) + [{
        MaHoSo: .MaHoSo,
        ThoiGian: $line.ThoiGian,
        TrangThai: $state,
        NguoiGui: ($line.NguoiGui // "cb01"),
        TenNguoiGui: $line.CanBo,
        ThaoTac: $action[1],
        NoiDung: ($line.NoiDung // $action[1])
      }])
    };
