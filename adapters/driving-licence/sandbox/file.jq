# One file of a dossier of the desk, by its path.

asked("duongdanteptin") as $path
| if any($db.HoSo[] | select(.maDonVi == $settings.unit) | .hoSoDinhKem // [] | .[]; .filedinhkem == $path) | not then
    failed("-7"; "Không tìm thấy tệp")
  else
    done({
      TepTinDinhKem: [{
        Base64: ($db.Tep[$path].base64 // "JVBERi0xLjQK"),
        DuongDan: $path,
        TenTaiLieu: ($path | split("/") | last)
      }]
    })
  end
