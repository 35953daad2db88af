# How the check of the applicant came out, for the officer who handles the dossier: by name the fields that differ, nothing of
# what the register has in them.

{
  MaHoSo: .links[$system][0],
  KetQuaXacThuc: (.identity.outcome | to_native("identity-outcome")),
  TruongKhacBiet: ([.identity.fields | many | to_native("identity-field")] | join(", ")),
  ThoiDiemXacThuc: (.identity.at | format_time("%Y%m%d%H%M%S")),
  MaYeuCau: (.identity.request // "")
}
