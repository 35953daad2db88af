# One round of the officials' work. A line waits for its dossier; a dossier has one line a round.

# Each action leads to a state and has a label in the dossier's history.
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
  KetThuc: [9, "Kết thúc xử lý"],
  TraKetQua: [10, "Trả kết quả"],
  TraLai: [4, "Trả lại hồ sơ"]
};

# A column that the line of the script gives.
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
    elif $line.HanhDong == "KetThuc" then
      {NgayKetThucXuLy: $at} + given_by($line; "SoKyHieuKetQua") + given_by($line; "DinhKemKetQua")
    elif $line.HanhDong == "TraKetQua" then {NgayTra: $at}
    else {} end;

def act($line):
  actions[$line.HanhDong] as $action
  | if $action == null then
      error({code: "sandbox-script", field: "HanhDong", found: $line.HanhDong, expected: "an action of the one-stop"})
    else . end
  | . + columns($line) + {
      TrangThaiHoSoId: $action[0],
      NgayCapNhat: $line.ThoiGian,
      TienTrinh: ((.TienTrinh // []) + [{
        MaHoSo: .MaHoSo,
        ThoiGian: $line.ThoiGian,
        TrangThai: $action[0],
        NguoiGui: "cb01",
        TenNguoiGui: $line.CanBo,
        ThaoTac: $action[1],
        NoiDung: ($line.NoiDung // $action[1])
      }])
    };

. as $db
| [.KichBan | group_by(.MaHoSo)[]
    | .[0].MaHoSo as $code
    | ($db.DaLam[$code].SoBuoc // 0) as $done
    | select($db.HoSo[$code] != null and $done < length)
    | {line: .[$done], dossier: $db.HoSo[$code], done: ($done + 1)}
  ] as $round
| {
    rows: {
      HoSo: [$round[] | .line as $line | .dossier | act($line)],
      DaLam: [$round[] | {MaHoSo: .dossier.MaHoSo, SoBuoc: .done}]
    }
  }
