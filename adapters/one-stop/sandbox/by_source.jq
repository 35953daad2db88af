# The dossiers that came from another system under this code.

(.query.loaiDuLieu // "") as $kind
| (.query.maHoSoNguon // "") as $code
| if $kind == "" or $code == "" then {body: says("2"; "loaiDuLieu và maHoSoNguon không được để trống")}
  else {body: (says("0"; "") + {data: [$db.HoSo[] | select(came_as($kind; $code))]})} end
