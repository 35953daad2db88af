# DongBoHoSoMC: creates dossiers, or replaces them whole. A call with one wrong item changes nothing.

. as $request
| asked("isUpdating") as $updating
| first_fault(dossier_faults) as $fault
| if $updating != "True" and $updating != "False" then
    failed("-1"; "isUpdating: phải là True hoặc False (national portal guide, DongBoHoSoMC)")
  elif $fault != null then failed("-1"; $fault)
  else
    [.body.data[].MaHoSo] as $codes
    | first($codes[] | select($db.HoSo[.] != null)) // null
    | if ($codes | unique | length) != ($codes | length) then failed("-1"; "data: một mã hồ sơ xuất hiện hai lần")
      elif $updating == "False" and . != null then failed("3"; "Hồ sơ \(.) đã tồn tại")
      elif $updating == "True" and any($codes[]; $db.HoSo[.] == null) then
        failed("-1"; "Hồ sơ \(first($codes[] | select($db.HoSo[.] == null))) không tồn tại")
      else {body: {error_code: "0", message: "Đồng bộ thành công"}, rows: {HoSo: $request.body.data}} end
  end
