# nhanHoSo: takes a declaration, unless one of its code is there.

. as $request
| (.body | first(declaration_faults) // null) as $fault
| if $fault != null then sentence("Gửi hồ sơ không thành công: \($fault)")
  elif $db.ToKhai[.body.maHoSoMCDT] != null then sentence("Hồ sơ \(.body.maHoSoMCDT) đã được tiếp nhận")
  else
    sentence("Gửi hồ sơ thành công")
    + {rows: {ToKhai: [($request.body | del(.authKey)) + {trangThaiXuLy: 1, ketQuaXuLy: null}]}}
  end
