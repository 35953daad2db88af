# One dossier by its code.

$db.HoSo[.params.code] as $row
| if $row == null then {body: {maLoi: "4", moTa: "Không tìm thấy hồ sơ", data: null}}
  else {body: {maLoi: "0", moTa: "", data: $row}} end
