# danhDauHsThanhCong: these states were read, as they were listed last. What has changed since is listed again.

if .body.infoType? != 2 then refused(wrong("infoType"; "phải là 2 với trạng thái"; "danhDauHsThanhCong"))
elif .body.declarationId? // "" | isstring and . != "" | not then
  refused(wrong("declarationId"; "phải có mã tờ khai, ngăn cách bằng dấu ;"; "danhDauHsThanhCong"))
else
  (.body.declarationId | split(";")) as $ids
  | [$db.ToKhai[] | select(.ID as $id | any($ids[]; . == $id))] as $named
  | if ($named | length) != ($ids | unique | length) then
      refused(wrong("declarationId"; "không có tờ khai này"; "danhDauHsThanhCong"))
    else {body: (said(1; "Đánh dấu thành công") | spelt), rows: {ToKhai: [$named[] | .DaDoc = .DaLiet]}} end
end
