# traKetQua: where one declaration stands, with the certificate once it was issued.

(.body.maHoSoMCDT? // "") as $code
| $db.ToKhai[$code | if isstring then . else "" end] as $row
| if $row == null then failed("Không tìm thấy hồ sơ")
  else
    {body: {status: 1, statusDescription: "", value: [$row | {maHoSoMCDT, trangThaiXuLy, ketQuaXuLy}]}}
  end
