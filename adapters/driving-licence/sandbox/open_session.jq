# Opens a session for the account of the settings.

if asked("username") == $settings.username and asked("password") == $settings.password then
  done({session: $id}) + {rows: {Phien: [{session: $id, until: (($now | epoch_ms) + $settings.session * 1000)}]}}
else
  failed("-5"; "Sai tài khoản hoặc mật khẩu")
end
