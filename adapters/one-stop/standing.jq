# What the one-stop shows of a dossier -> where the dossier stands there: the states that its steps led to, oldest first
# and ending with the present one, and the columns that decide on what an action sends.

code("TrangThaiHoSoId"; "status") as $present
| ([.TienTrinh | many] | sort_by(.ThoiGian)
    | map({value: code("TrangThai"; "status"), at: time("ThoiGian"), note: words_of_step})) as $steps
| {
    steps: (
      if ($steps | last | .value) == $present then $steps
      else $steps + [{value: $present, at: time("NgayCapNhat"), note: null}] end
    ),
    row: {
      MaHoSo, TenTTHC, DonViId, NgayTiepNhan, NgayHenTra, NgayYeuCauBoSung, LyDoBoSung, ThoiHanBoSung, SoKyHieuKetQua,
      DinhKemKetQua
    }
  }
