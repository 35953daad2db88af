# One entry of the dossier's progress -> one item of CapNhatTienDoHoSoMC.

{
  MaHoSo: ($dossier | portal_code($system) | text),

  # Who did it. No made-up role where nobody is named: an entry without an officer is not sent.
  NguoiXuLy: (.by | shortened(50)),
  ChucDanh: (.title | text),
  PhongBanXuLy: (.unit | text),

  # What and when.
  ThoiDiemXuLy: (.at | portal_time),
  NoiDungXuLy: (.note | text),
  TrangThai: (.value | coded("status")),
  NgayBatDau: (.started | portal_time),
  NgayKetThucTheoQuyDinh: (.due | portal_time)
}
