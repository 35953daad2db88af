# Opens a session for the account of the settings. The header dstcode says for which destination.

if .headers.dstcode == null then failed("-1"; "dstcode: thiếu tiêu đề bắt buộc")
elif $settings.dstcode != "" and .headers.dstcode != $settings.dstcode then failed("-1"; "dstcode: không có hệ thống đích này")
elif asked("username") != $settings.username or asked("password") != $settings.password then
  failed("-1"; "Sai tài khoản hoặc mật khẩu")
else
  {
    body: {error_code: "0", message: "Thành công", session: $id},
    rows: {Phien: [{session: $id, until: (($now | epoch_ms) + $settings.session * 1000)}]}
  }
end
