# The dossiers of the desk that were received from one day to another, both included.

asked("ngayNhan1") as $from
| asked("ngayNhan2") as $to
| if ($from | is_day | not) or ($to | is_day | not) then failed("-6"; "ngayNhan1, ngayNhan2 phải có dạng yyyy-MM-dd")
  elif $from > $to then failed("-6"; "ngayNhan1 không được sau ngayNhan2")
  elif ($to | days_since($from)) >= $settings.days then failed("-6"; "Khoảng thời gian không được quá \($settings.days) ngày")
  else
    done({
      data: (
        [$db.HoSo[] | select(.maDonVi == $settings.unit and .ngayNhanHoSo >= $from and .ngayNhanHoSo <= $to)]
        | sort_by([.ngayNhanHoSo, .maHoSo])
      )
    })
  end
