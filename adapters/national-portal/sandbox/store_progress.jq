# CapNhatTienDoHoSoMC: adds entries to dossiers that are there. Entries have no id, so nothing tells a repetition.

first_fault(progress_faults) as $fault
| if $fault != null then failed("-1"; $fault)
  else
    (first(.body.data[].MaHoSo | select($db.HoSo[.] == null)) // null) as $missing
    | if $missing != null then failed("-1"; "Hồ sơ \($missing) không tồn tại")
      else {body: {error_code: "0", message: "Cập nhật tiến độ thành công"}, rows: {TienDo: .body.data}} end
  end
