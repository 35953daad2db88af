# The dossiers changed since a time, oldest change first, page by page.

(.query.tuNgay // "") as $since
| (.query.trang // "1") as $page
| if ($since == "" or ($since | digits(14))) | not then
    {body: {maLoi: "2", moTa: "tuNgay phải có dạng yyyyMMddHHmmss"}}
  elif ($page | length > 0 and length <= 6 and (explode | all(.[]; . >= 48 and . <= 57)) and whole > 0) | not then
    {body: {maLoi: "2", moTa: "trang phải là số nguyên dương"}}
  else
    [$db.HoSo[] | select(.NgayCapNhat >= $since)]
    | sort_by([.NgayCapNhat, .MaHoSo])
    | ($page | whole) as $n
    | $settings.page_size as $size
    | {
        body: {
          maLoi: "0",
          moTa: "",
          data: .[(($n - 1) * $size):($n * $size)],
          trang: $n,
          tongTrang: ((length + $size - 1) / $size | floor)
        }
      }
  end
