# How one dossier of the desk stands; an empty list where there is none of this code.

asked("mahoso") as $code
| $db.HoSo[$code] as $row
| ({MaTrangThai: "2", HinhThucNhanKQ: "1", NgayNop: ""} + ($db.TinhTrang[$code] // {})) as $state
| if $code == "" then failed("-6"; "mahoso không được để trống")
  elif $row == null or $row.maDonVi != $settings.unit then done({data: []})
  else
    done({
      data: [{
        MaTTHC: "1.002809",
        MaDVC: $row.maDangKyDvc,
        TenDVC: "Đổi giấy phép lái xe",
        MaHoSo: $code,
        HoTenNguoiNop: $row.hoTen,
        MaTrangThai: $state.MaTrangThai,
        TrangThaiHoSo: ($state.MaTrangThai | state_name),
        DonViXuLy: "Phòng Quản lý phương tiện và người lái",
        MaDonViXuLy: $row.maDonVi,
        NgayNop: $state.NgayNop,
        NgayTiepNhan: (($row.ngayNhanHoSo | parse_time("%Y-%m-%d") | format_date("%d/%m/%Y")) + " 08:00:00"),
        NgayHenTra: (
          ($row.ngayHenTraGplx // "") | if . == "" then "" else (parse_time("%Y-%m-%d") | format_date("%d/%m/%Y")) + " 17:00:00" end
        ),
        HinhThucNhanKQ: $state.HinhThucNhanKQ
      }]
    })
  end
