# How the check of a dossier's applicant came out, as an officer sees it.

$db.XacThuc[.params.id] as $check
| if $check == null then {body: {maLoi: "4", moTa: "Hồ sơ chưa có kết quả xác thực", data: null}}
  else {body: {maLoi: "0", moTa: "", data: $check}} end
