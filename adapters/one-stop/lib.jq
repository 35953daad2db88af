# What the one-stop's records have in common.

# What a column of the row says. A fault names the column.
def column($column; reading):
  .[$column]
  | try reading catch error(if type == "object" then . + {field: $column} else . end);

def text($column): column($column; clean);

# A column without which a report is no dossier that another system would take.
def needed($column): column($column; clean | need($column));

# Date-times are yyyyMMddHHmmss, Vietnamese local time without a zone mark; empty text is "none".
def time($column): column($column; parse_time("%Y%m%d%H%M%S"));

# The same as a part of the patch, if the row has the column: empty text is then "known to be empty".
def stated($key; $column): if has($column) then {($key): time($column)} else {} end;

def code($column; $table): column($column; if isstring then clean else . end | to_canonical($table));

# What is refused, where `need` and the tables do not say it themselves. The value itself is never shown.
def unfit($expected; $remedy): error({code: "bad-value", found: "something else", expected: $expected, remedy: $remedy});

# Yes or no, as the several makers of clients write it.
def yes($column):
  column($column;
    if isstring then clean else . end
    | if IN(1, "1", true, "true") then true
      elif IN(null, "", 0, "0", false, "false") then false
      else unfit("1 or true, 0 or false"; "have the one-stop say 1 or 0 in \($column); then send the record again") end);

# Whole đồng. A dot in a text is refused: 100.000 may be a hundred or a hundred thousand.
def amount($column):
  column($column;
    need($column)
    | (if isstring then clean | if test("^[0-9]{1,13}$") then tonumber else null end
      elif isnumber then .
      else null end) as $amount
    | if $amount != null and $amount >= 0 and $amount <= 1000000000000 and $amount == ($amount | floor) then $amount | floor
      else
        unfit("whole đồng from 0 to 1000000000000, digits only";
          "have the one-stop state \($column) in whole đồng; then send the record again")
      end);

# The number of a paper under the name of its kind. 000000001 is what the one-stop writes where no number is known; it
# is nobody's number.
def paper($kind; $number):
  code($kind; "paper") as $name
  | if $name == null then
      # A number of nobody knows which kind cannot be sent on, and must not be lost unseen.
      if text($number) | IN(null, "", "000000001") then {} else needed($kind) end
    else {($name): (text($number) | if . == "" or . == "000000001" then null else . end)} end;

# Phone numbers are typed with dots and blanks in them.
def phone($column): text($column) // "" | split(".") | join("") | split(" ") | join("");

# Codes of areas are those of the statistics office. Nothing if the row names none.
def area($province; $district; $commune):
  {province: text($province), district: text($district), commune: text($commune)}
  | given
  | if . == {} then null else . + {code_system: "statistics"} end;

# Whether a file is named by a link, as another system's is, and not by a key of the one-stop's file store.
def is_link: startswith("https://") or startswith("http://");

# A file as a link that can be fetched. In a key letters with accents, blanks and plus signs would break in a URL.
def link: if is_link then . else $settings.files + (split("/") | map(nfc | @uri) | join("/")) end;

# Under which kind the one-stop takes in dossiers of the system that a dossier came from; null: it takes in none.
def kind_of_source: .origin.system | try to_native("source") catch null;

# Whether a row came into being in another system, whose code for it then stands in it.
def came_from_elsewhere: text("MaHoSoNguon") // "" | . != "";

# Parts of a patch. inbound.jq makes them of a report, the echoes of the columns that a call of ours fills: so what the
# one-stop reports of our call is known again.

# Who has the dossier now.
def handling: {handling: ({unit: text("TenDonVi"), officer: text("NguoiDangXuLy"), step: text("BuocHienTai")} | given)};

# The times of the dossier, as far as the row has their columns. An empty column is known to be empty: a due date that was
# taken back goes.
def times:
  {
    schedule: (
      stated("submitted"; "NgayNopHoSo")
      + stated("received"; "NgayTiepNhan")
      + stated("due"; "NgayHenTra")
      + stated("finished"; "NgayKetThucXuLy")
      + stated("returned"; "NgayTra")
      + stated("rejected"; "NgayTuChoi")
    )
  };

# The newest request for supplements; the one-stop's row holds one, earlier ones stay as they were reported.
def supplements:
  if (.NgayYeuCauBoSung // "") == "" then {}
  else
    (code("TrangThaiBoSung"; "supplement-state") == "done") as $done
    | {
      supplements: [{
        requested: time("NgayYeuCauBoSung"),
        unit: text("DonViId"),
        content: text("LyDoBoSung"),
        deadline: time("ThoiHanBoSung"),
        received: (if $done then time("NgayBoSung") else null end),
        done: $done
      } | given]
    }
  end;

# The decision with all its files. Its number may come later than they do: until then it stands under the number "-", and
# goes from there when it has its own.
def results:
  (text("SoKyHieuKetQua") // "" | if . == "" then "-" else . end) as $number
  | [(.DinhKemKetQua // "") | split("##") | .[] | select(. != "")
      | {name: ((split("/") | last) as $name | if is_link then ($name | @urid)? // $name else $name end | clean), link: link}] as $files
  | if $number == "-" and $files == [] then {}
    else
      {
        results: (
          [{code: null, number: $number, name: text("TenTTHC"), files: $files}]
          + if $number == "-" then [] else [{code: null, number: "-", deleted: true}] end
        )
      }
    end;

# A step that sends the dossier back: only so may one that was completed be worked on again.
def sent_back: if text("ThaoTac") == "Trả lại hồ sơ" then "sent_back" else null end;

# A state, with the reason where intake was refused.
def state($value; $at; $raw; $kind; $reason):
  {value: $value, at: $at, raw: ($raw | tostring), note: (if $value == "rejected" then $reason else null end), kind: $kind} | given;

# The state that a step led to.
def state_after_step($reason): state(code("TrangThai"; "status"); time("ThoiGian"); .TrangThai; sent_back; $reason);

# What was written with a step, or what it is called.
def words_of_step: text("NoiDung") as $note | if ($note // "") == "" then text("ThaoTac") else $note end;

# What was done in a step.
def work_of_step:
  text("TenNguoiGui") as $officer
  | {
    value: code("TrangThai"; "status"),
    at: time("ThoiGian"),
    by: (if ($officer // "") == "" then text("NguoiGui") else $officer end),
    note: words_of_step,
    due: time("NgayHetHanBuocXuLy"),
    kind: sent_back
  } | given;

# Steps of the work in the order of their time.
def steps: [.TienTrinh | many | column("ThoiGian"; need("ThoiGian")) as $at | .] | sort_by(.ThoiGian);

# The states: history where there are steps, so that states which nobody saw between two reports are known too, and the
# present one where the newest step does not tell it. Without steps only the present one is known.
def states:
  (needed("TrangThaiHoSoId") as $given | code("TrangThaiHoSoId"; "status")) as $present
  | text("LyDoTuChoi") as $reason
  | [steps[] | state_after_step($reason)] as $history
  | ($history | last) as $newest
  | if $newest == null then
      state($present; time("NgayCapNhat"); .TrangThaiHoSoId; null; $reason)
    elif $newest.value == $present then
      $history
    else
      $history + [state($present; [time("NgayCapNhat"), $newest.at] | max; .TrangThaiHoSoId; $newest.kind; $reason)]
    end;

# What the one-stop's officers do with a dossier, wherever it came from.
def done_here:
  handling + times + supplements + results + {status: states, progress: [steps[] | work_of_step]};
