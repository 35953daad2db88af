# One action on one dossier, asked for from outside. It is taken only from the states that it may follow.

# The calls: what is done, from which states, and what must be said with it.
def calls: {
  TiepNhanHoSoTrucTuyen: {does: "TiepNhan", from: [1, 5, 6]},
  TuChoiTiepNhanHoSoTrucTuyen: {does: "TuChoi", from: [1, 4, 5], must: ["NoiDung"]},
  ChuyenBuocXuLyHoSo: {does: "ChuyenXuLy", from: [2, 4, 6]},
  YeuCauCongDanBoSung: {does: "YeuCauBoSung", from: [1, 2, 4], must: ["NoiDung"]},
  CongDanGuiBoSung: {does: "NhanBoSung", from: [5]},
  CapNhatKetQua: {does: "CapNhatKetQua", from: [4, 9], must: ["SoKyHieuKetQua"]},
  KetThuc: {does: "KetThuc", from: [2, 4, 6]},
  TraKetQua: {does: "TraKetQua", from: [9]},
  TraLaiHoSo: {does: "TraLai", from: [9], must: ["NoiDung"]}
};

def state_name: [
  "Mới đăng ký", "Được tiếp nhận", "Không được tiếp nhận", "Đang xử lý", "Yêu cầu bổ sung giấy tờ",
  "Yêu cầu thực hiện nghĩa vụ tài chính", "Công dân yêu cầu rút hồ sơ", "Dừng xử lý", "Đã xử lý xong", "Đã trả kết quả"
][. - 1];

def minutes_later($minutes): epoch_ms / 1000 + $minutes * 60 | todate | format_time("%Y%m%d%H%M%S");

# What is wrong with what was sent; nothing if it is sound. $last is the time of the newest step.
def unsound($call; $last; $now):
  if isobject | not then "Nội dung gửi phải là một đối tượng"
  else
    . as $sent
    | first(
        (["CanBo"] + ($call.must // []) | .[] | select($sent[.] // "" | isstring | not) | "\(.) phải là chuỗi ký tự"),
        (["CanBo"] + ($call.must // []) | .[] | select($sent[.] // "" | clean == "") | "\(.) không được để trống"),
        ("DinhKemKetQua" | select($sent[.] != null and ($sent[.] | isstring | not)) | "\(.) phải là chuỗi ký tự"),
        ("ThoiGian", "NgayHenTra", "ThoiHanBoSung"
          | select(($sent[.] // "") != "" and ($sent[.] | is_time | not)) | "\(.) phải có dạng yyyyMMddHHmmss"),
        ($sent.ThoiGian // "" | select(. != "" and . < $last) | "ThoiGian không được trước bước gần nhất (\($last))"),
        ($sent.ThoiGian // "" | select(. > ($now | minutes_later(5))) | "ThoiGian không được sau thời điểm hiện tại"),
        null)
  end;

.params as $params
| .body as $sent
| calls[$params.action] as $call
| $db.HoSo[$params.id] as $row
| ([$row.TienTrinh // [] | .[].ThoiGian] | max // "") as $last
| if $call == null then {status: 404, body: says("404"; "Không có thao tác này")}
  elif $row == null then {body: says("4"; "Không tìm thấy hồ sơ")}
  elif $db.DangMo[$params.id] != null then {body: says("7"; "Hồ sơ đang được cán bộ khác mở; hãy thử lại sau")}
  else
    ($sent | unsound($call; $last; $now)) as $unsound
    | $row.TrangThaiHoSoId as $state
    | actions[$call.does][0] as $to
    | if $unsound != null then {body: says("2"; $unsound)}
      elif $call.from | any(.[]; . == $state) then
        # Its own time, unless the caller says when it was done; time in a history never goes back.
        (if ($sent.ThoiGian // "") != "" then $sent.ThoiGian
         else [$last, ($now | format_time("%Y%m%d%H%M%S"))] | max end) as $at
        | ($sent | {CanBo: (.CanBo | clean), NoiDung, NgayHenTra, ThoiHanBoSung, SoKyHieuKetQua, DinhKemKetQua}
            | with_entries(select((.value // "") != "")))
          + {HanhDong: $call.does, ThoiGian: $at, NguoiGui: $settings.user}
          # Before intake there is nothing to go on with: what the citizen sends waits to be taken in.
          + (if $call.does == "NhanBoSung" and ($row.NgayTiepNhan // "") == "" then {TrangThai: 1} else {} end)
        | . as $line
        | {body: says("0"; ""), rows: {HoSo: [$row | carry_out($line)]}}
      elif $state == $to then {body: says("6"; "Hồ sơ đã ở trạng thái \"\($state | state_name)\"")}
      else {body: says("5"; "Hồ sơ đang ở trạng thái \"\($state | state_name)\": không thực hiện được \($params.action)")} end
  end
