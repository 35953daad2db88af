# An action of ours -> what the one-stop will report of it, in the form of inbound.jq: the columns that the action fills,
# read like those of a report. A time that the one-stop chooses itself is not known, and not stated.

.payload as $sent
| (.state | to_native("status")) as $state

# The columns of the row. What is attached to it stays where nothing else was sent.
| {SoKyHieuKetQua: $sent.SoKyHieuKetQua, DinhKemKetQua: ($sent.DinhKemKetQua // .row.DinhKemKetQua)} as $outcome
| .row + (
    {
      accept: {NgayTiepNhan: (.row.NgayTiepNhan // $sent.ThoiGian), NgayHenTra: $sent.NgayHenTra},
      reject: {NgayTuChoi: $sent.ThoiGian, LyDoTuChoi: $sent.NoiDung},
      supplement: {NgayYeuCauBoSung: $sent.ThoiGian, LyDoBoSung: $sent.NoiDung, ThoiHanBoSung: $sent.ThoiHanBoSung,
        TrangThaiBoSung: "cho_bo_sung"},
      supplement_sent: (
        if $sent.ThoiGian == null then {NgayYeuCauBoSung: null}
        else {NgayBoSung: $sent.ThoiGian, TrangThaiBoSung: "da_gui"} end),
      finish: ({NgayKetThucXuLy: $sent.ThoiGian} + $outcome),
      return: {NgayTra: $sent.ThoiGian},
      result: $outcome
    }[$step] // {})
| given

# Its new step.
| text("LyDoTuChoi") as $reason
| {
    ThoiGian: $sent.ThoiGian, TrangThai: $state, TenNguoiGui: $sent.CanBo, NoiDung: $sent.NoiDung,
    ThaoTac: (if $step == "send_back" then "Trả lại hồ sơ" else null end)
  } as $row
| {
    dossier: needed("MaHoSo"),
    status: [$row | state_after_step($reason)],
    # Words that the deciding system has written down as a step of its work are known; a step that only its state led to is
    # the one-stop's own, and news.
    progress: [$row | work_of_step | . as $work | select(any($dossier.progress[]?; .system != $system and (.note | alike($work.note))))]
  }
+ times + supplements + results
