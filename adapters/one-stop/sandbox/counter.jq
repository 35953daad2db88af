# What a clerk corrects in a dossier at the counter: columns, as they are to be.

.params.id as $id
| .body as $sent
| $db.HoSo[$id] as $row
| ($now | format_time("%Y%m%d%H%M%S")) as $at
| if $row == null then {body: says("4"; "Không tìm thấy hồ sơ")}
  elif ($sent | isobject | not) or $sent == {} then {body: says("2"; "Nội dung gửi phải là một đối tượng")}
  else
    # The code is the dossier's own, the time of the change the one-stop's; states are led to by actions.
    first(
      $sent | keys[]
      | select(. as $column | IN("MaHoSo", "NgayCapNhat", "TrangThaiHoSoId", "TienTrinh") or ($row | has($column) | not)), null
    ) as $fixed
    | if $fixed != null then {body: says("2"; "\($fixed) không sửa được tại quầy")}
      else {body: says("0"; ""), rows: {HoSo: [$row + $sent + {NgayCapNhat: ([$row.NgayCapNhat // "", $at] | max)}]}} end
  end
