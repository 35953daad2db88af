# Opens a session for the account of the settings.

if .body.taiKhoan == $settings.user and .body.matKhau == $settings.password then
  {
    body: {maLoi: "0", moTa: "", token: $id},
    rows: {PhienLam: [{token: $id, until: (($now | epoch_ms) + $settings.session * 1000)}]}
  }
else
  {body: {maLoi: "1", moTa: "Sai tài khoản hoặc mật khẩu"}}
end
