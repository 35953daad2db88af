# An answer of TraCuuHoSo -> how the dossier stands. It tells the state of now and not since when.

# A step on the way to a state that cannot be reached from the known one at once: who has the result in hand was done before,
# and who was done had sent what was asked for. It is said first; the next answer says the rest.
def on_the_way($known):
  if . == "returned" and $known != "completed" then "completed" | on_the_way($known)
  elif . == "completed" and $known == "supplement_requested" then "in_progress"
  else . end;

# A time with its hour. The day is the list's: where this is another one it is left, or list and answer would change it in turn.
def hour($field; $known):
  field($field; parse_time("%d/%m/%Y %H:%M:%S"))
  | if . == null or $known == null or as_day == $known then . else null end;

.data[0] as $shown
| if $shown == null then ignore("the licence system does not show the dossier")
  elif $shown.MaHoSo != $asked.maHoSo then
    error({
      code: "another-dossier", field: "MaHoSo", found: "another code", expected: "the dossier that was asked for",
      remedy: "ask the operators of the licence system what TraCuuHoSo looks for"
    })
  else
    $shown
    | (needed("MaTrangThai") as $given | code("MaTrangThai"; "status")) as $state
    | {
      status: ({
        value: ($state | on_the_way($asked.status)),
        raw: .MaTrangThai,
        kind: (if $state == "in_progress" and $asked.status == "completed" then "sent_back" else null end)
      } | given)
    }
    + {
      schedule: (
        {
          submitted: field("NgayNop"; parse_time("%d/%m/%Y %H:%M:%S")),
          received: hour("NgayTiepNhan"; $asked.received),
          due: hour("NgayHenTra"; $asked.due)
        }
        | given
      )
    }
    + ({return_mode: code("HinhThucNhanKQ"; "return-mode")} | given)
  end
