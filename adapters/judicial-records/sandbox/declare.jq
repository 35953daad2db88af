# nhanHoSoDangKy: takes a declaration, unless one of its number is there.

. as $request
| (.body | first(declaration_faults) // null) as $fault
| if $fault != null then refused($fault)
  elif $db.ToKhai[.body.idReceivedDec] != null then refused("Mã hồ sơ \(.body.idReceivedDec) đã tồn tại")
  else
    {
      body: (said(1; "Tiếp nhận thành công") + {ID: $id} | spelt),
      rows: {ToKhai: [$request.body + {ID: $id, Lan: 0, DaLiet: 0, DaDoc: 0} | stands(3; null)]}
    }
  end
