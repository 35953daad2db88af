# Whether a row of the one-stop is the dossier of $record: it came from there, and procedure and applicant agree.

def root: .MaTTHC // "" | split(".") | .[:2];

def said($column): .[$column] // "" | clean;

# One number decides where both rows have one of the same kind. Else the name does, if the dates of birth do not differ.
def same_applicant($other):
  if said("SoGiayToChuHoSo") != "" and ($other | said("SoGiayToChuHoSo")) != "" and .LoaiGiayToChuHoSo == $other.LoaiGiayToChuHoSo then
    said("SoGiayToChuHoSo") == ($other | said("SoGiayToChuHoSo"))
  else
    (.ChuHoSo | alike($other.ChuHoSo))
    and ([said("NgaySinhChuHoSo"), ($other | said("NgaySinhChuHoSo"))] | any(.[]; . == "") or .[0] == .[1])
  end;

.LoaiDuLieuKetNoi == $record.LoaiDuLieuKetNoi
and .MaHoSoNguon == $record.MaHoSoNguon
and root == ($record | root)
and same_applicant($record)
