# TraCuuHoSo: the dossier of that code, or none. Progress is not shown.

asked("mahoso") as $code
| if ($code | filled) | not then failed("-1"; "mahoso: không được để trống")
  else {body: {error_code: "0", message: "Thành công", result: [$db.HoSo[$code] // empty]}} end
