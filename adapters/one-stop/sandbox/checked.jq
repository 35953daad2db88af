# How the check of a dossier's applicant came out.

["khop", "khop_khong_dau", "khac_biet", "khong_tim_thay", "khong_duoc_phep", "chua_tra_loi", "khong_ap_dung"] as $outcomes
| .params.id as $id
| .body as $sent
| if $db.HoSo[$id] == null then {body: {maLoi: "4", moTa: "Không tìm thấy hồ sơ"}}
  elif ($sent | isobject | not) or $sent.MaHoSo != $id then {body: {maLoi: "2", moTa: "MaHoSo không đúng với hồ sơ được cập nhật"}}
  elif any($outcomes[]; . == $sent.KetQuaXacThuc) | not then
    {body: {maLoi: "2", moTa: "KetQuaXacThuc phải là một trong \($outcomes | join(", "))"}}
  elif ($sent.ThoiDiemXacThuc // "" | isstring and digits(14)) | not then
    {body: {maLoi: "2", moTa: "ThoiDiemXacThuc phải có dạng yyyyMMddHHmmss"}}
  else {body: {maLoi: "0", moTa: ""}, rows: {XacThuc: [$sent]}} end
