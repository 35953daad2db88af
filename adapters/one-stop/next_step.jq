# Where a dossier stands at the one-stop -> its next action there, for what other systems have decided. No output: the
# one-stop has it all.
#
# The states that moved the dossier on stand in one row, whoever stated them. Where the one-stop stands in that row is
# known by its own last state and the steps since; what stands behind is to be done, in its order. What stands before is
# not made up for: the one-stop has gone past it.

# The action that leads from where the one-stop stands to the state of a move; null: there is none.
def action($standing):
  if .value == "accepted" then "accept"
  elif .value == "rejected" then "reject"
  elif .value == "supplement_requested" then "supplement"
  elif .value == "registered" and $standing == "supplement_requested" then "supplement_sent"
  elif .value == "in_progress" then
    {supplement_requested: "supplement_sent", completed: "send_back"}[$standing] // "forward"
  elif .value == "completed" and .kind != "revoked" then "finish"
  elif .value == "returned" then "return"
  else null end;

# Moves that are left once the one-stop has gone these steps: {standing, moves}. A step that leads to the state of a move
# has done that move and those before it.
def gone($steps):
  reduce $steps[].value as $value (.;
    if $value == .standing then .
    else
      ([.moves | to_entries[] | select(.value.value == $value) | .key] | first) as $at
      | .standing = $value
      | if $at == null then . else .moves |= .[$at + 1:] end
    end);

# Without those at the front that need no action (the one-stop is there already), and those for which there is none, as
# long as more came after them.
def to_do($standing):
  if length == 0 then .
  elif .[0].value == $standing or (length > 1 and (.[0] | action($standing)) == null) then .[1:] | to_do($standing)
  else . end;

# When an entry counts from, as text that can be compared: a day at its end. Without a time: last.
def ends:
  .at // ""
  | if . == "" then "9999"
    elif length == 10 then . + "T16:59:59Z"
    elif length == 7 then . + "-31T16:59:59Z"
    elif length == 4 then . + "-12-31T16:59:59Z"
    else . end;

def is_exact: (.at // "" | length) > 10;
def native_time: if is_exact then .at | format_time("%Y%m%d%H%M%S") else null end;

# What every action sends: when it was decided, who did, what was written. The time is left out where it is not known to
# the second, or where the one-stop has gone on since: it then takes its own.
def said($newest; $words):
  native_time as $at
  | {
      ThoiGian: (if $at != null and $at >= ($newest // {} | native_time // "") then $at else null end),
      CanBo: (.by // "" | clean | if . == "" then $settings.officer else . end),
      NoiDung: $words
    } | given;

# Words without which the one-stop does not refuse, ask or send back: the citizen reads them.
def reason:
  if (. // "" | clean) != "" then .
  else
    error({
      code: "no-reason", field: "note", found: "nothing", expected: "the reason for the decision",
      remedy: "have an officer do it at the one-stop and write the reason; the delivery then goes on by itself"
    })
  end;

# Words of the work that were already told: each row of the one-stop stands for one of them.
def untold($rows):
  reduce .[] as $word ({$rows, untold: []};
    ([.rows | to_entries[] | select(.value | alike($word.note)) | .key] | first) as $at
    | if $at == null then .untold += [$word] else .rows |= .[:$at] + .[$at + 1:] end)
  | .untold;

# The files of a result as links. What is attached at the one-stop stays, unless it goes with a result that was taken back.
def attached($row):
  ($row.SoKyHieuKetQua // "" | clean) as $held
  | if ($row.DinhKemKetQua // "") == "" or ($held != "" and $held != .number) then
      .files // [] | map(select(as_link != null)) | if . == [] then null else as_links("##") end
    else null end;

# The result that another system has given and the one-stop does not show. Its row holds one: an empty one is filled, one
# that was taken back is replaced, one whose files came later gets them, any other is the one-stop's own matter.
def result($row):
  ($row.SoKyHieuKetQua // "" | clean) as $held
  | [$dossier.results[] | select(.system != $system and .number != "-")] as $given
  | if $held == "" or any($dossier.deleted.results[]?; endswith("#" + $held)) then
      [$given[] | select(.number != $held)] | first
    elif ($row.DinhKemKetQua // "") == "" then
      [$given[] | select(.number == $held and attached($row) != null)] | first
    else null end;

# The step of a move, with the words that go with it. $request: the request for supplements that the move speaks of.
def move_step($move; $note; $standing; $newest; $row; $request):
  ($move | action($standing)) as $action
  | if $action == null then
      error({
        code: "no-action", field: "status", found: $move.value,
        expected: "a state that an action of the one-stop leads to",
        remedy: "have an officer do it at the one-stop; the delivery then goes on by itself"
      })
    elif $action == "accept" then
      {
        words: ($note // "Tiếp nhận hồ sơ"),
        more: {NgayHenTra: (if ($row.NgayHenTra // "") == "" then {at: $dossier.schedule.due} | native_time else null end)},
        row: ($row | {MaHoSo, NgayTiepNhan})
      }
    elif $action == "reject" or $action == "send_back" then {words: ($note | reason)}
    elif $action == "forward" then {words: ($note // "Chuyển xử lý")}
    elif $action == "return" then {words: ($note // "Trả kết quả")}
    elif $action == "supplement" then
      {
        words: ($note // $request.content | reason),
        more: {ThoiHanBoSung: ({at: $request.deadline} | native_time)},
        row: ($row | {MaHoSo, DonViId})
      }
    elif $action == "supplement_sent" then
      {
        words: ($note // "Nhận bổ sung"),
        state: (if ($row.NgayTiepNhan // "") == "" then "registered" else "in_progress" end),
        row: ($row | {MaHoSo, DonViId, NgayYeuCauBoSung, LyDoBoSung, ThoiHanBoSung})
      }
    else
      result($row) as $result
      | {
        words: ($note // "Kết thúc xử lý"),
        more: {SoKyHieuKetQua: $result.number, DinhKemKetQua: ($result | attached($row))},
        row: ($row | if $result == null then {MaHoSo} else {MaHoSo, TenTTHC, DinhKemKetQua} end)
      }
    end
  | . as $act
  | {
      step: $action,
      record: {
        payload: (($move | said($newest; $act.words)) + ($act.more // {} | given)),
        state: ($act.state // $move.value),
        row: ($act.row // ($row | {MaHoSo}) | given)
      }
    };

# Words of the work, told as a step that stays in the same state.
def words_step($standing; $newest; $row):
  {step: "forward", record: {payload: said($newest; .note), state: $standing, row: ($row | {MaHoSo})}};

# A result that came without a state.
def result_step($standing; $row):
  {
    step: "result",
    record: {
      payload: (({} | said(null; "Cập nhật kết quả")) + ({SoKyHieuKetQua: .number, DinhKemKetQua: attached($row)} | given)),
      state: $standing,
      row: ($row | {MaHoSo, TenTTHC, DinhKemKetQua} | given)
    }
  };

if . == null then
  error({
    code: "not-at-the-one-stop", field: "MaHoSo", found: "no such dossier",
    expected: "the dossier under the code that links it with the one-stop",
    remedy: "look for the dossier at the one-stop; correct the link, or discard the delivery"
  })
else . end
| .row as $row
| .steps as $steps
| ($steps | last) as $newest

# The moves, and the last that the one-stop has stated itself.
| ([$dossier.status_log[] | select(.moved != null)] | sort_by(.moved)) as $moves
| ([$moves | to_entries[] | select(.value.system == $system) | .key] | last // -1) as $own
| (if $own < 0 then null else $moves[$own] end) as $stated

# Its steps since then: those of its own that the bus has not seen yet, and those that we led it through.
| (if $stated == null then $steps
  else
    ([$steps | to_entries[] | select(.value.value == $stated.value and .value.at == $stated.at) | .key] | last) as $at
    | if $at != null then $steps[$at + 1:] else [$steps[] | select(.at > $stated.at)] end
  end) as $since

# The next move, and what was written with it.
| ({standing: $stated.value, moves: $moves[$own + 1:]} | gone($since)) as $left
| $left.standing as $standing
| ($left.moves | to_do($standing) | first) as $move
| [$dossier.progress[] | select(.system != $system and (.note // "") != "")] as $words
| ($move | if . == null then null
    else
      . as $move
      | .note // ([$words[] | select(.system == $move.system and .value == $move.value and .at == $move.at) | .note] | first)
    end) as $note

# Words of the work that came without a move. They can be told while the dossier is worked on.
| ([$words[]
    | . as $word
    | select(.value == "in_progress")
    | select(any($moves[]; .system == $word.system and .value == $word.value and .at == $word.at) | not)]
  | untold([$steps[] | select(.value == "in_progress") | .note // ""]) | first) as $word

| if $word != null and $standing == "in_progress" and ($move == null or ($word | ends) <= ($move | ends)) then
    $word | words_step($standing; $newest; $row)
  elif $move != null then
    # The request that the move speaks of: of its time, or else the newest that is open.
    ([$dossier.supplements[] | select(.system != $system)]
      | ([.[] | select(.requested == $move.at)] | first) // ([.[] | select(.done != true)] | last)) as $request
    | move_step($move; $note; $standing; $newest; $row; $request)
  elif $standing == "in_progress" or $standing == "completed" then
    result($row) | values | result_step($standing; $row)
  else empty end
