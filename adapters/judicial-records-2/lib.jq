# What the declaration, the result and the answers have in common.

# ---- answers ----

# What an answer says in words: the sentence that it is, or the one that it holds. A page for people is no word of the system.
def words:
  if isstring then clean | if startswith("<") then "" else . end
  elif isobject then .statusDescription // "" | if isstring then . else "" end
  else "" end;

# Whether a sentence says that the declaration is there, from this call or from an earlier one.
def taken:
  words
  | (says("thành công") and (says("không thành công") or says("chưa thành công") | not))
    or says("đã được tiếp nhận") or says("đã tồn tại");

# Whether it refuses us and not what we sent.
def key_refused: words | says("authKey");

# ---- the dossier ----

# The question about a dossier: its code, where it stands, the time of the newest state that has one, and what the system has
# said of it last.
def question:
  {
    maHoSoMCDT: .code,
    status: .status.value,
    at: ([.status_log[].at | values] | last),
    said: ([.status_log[] | select(.system == $system) | .value] | last)
  };

# Whether there is more to ask about a dossier: the declaration is there, and the dossier has neither ended nor its certificate,
# kept here.
def open:
  .links[$system] != null
  and (.status.value | IN("rejected", "withdrawn", "stopped", "returned") | not)
  and (.status.value == "completed" and any(.results // {} | .[] | .files // [] | .[]; .["$file"] != null) | not);

# Whom a declaration can be about.
def natural_person:
  if .kind == "citizen" then .
  else
    error({
      code: "not-taken", field: "applicant.person.kind", found: (.kind // "nothing"), expected: "citizen",
      remedy: "ask for the certificate in the judicial records system by hand; declarations are of persons only"
    })
  end;

# The best identity paper that a person is known by, with its kind. 000000001 stands for "unknown" and is never sent out.
def paper:
  [("citizen_id", "old_id", "passport") as $kind
    | .[$kind] | select(IN(null, "", "000000001") | not)
    | {kind: ($kind | to_native("paper")), number: .}]
  | first;

# The members of a map, in the order of their keys.
def in_order: . // {} | to_entries | sort_by(.key) | .[].value;

# ---- texts ----

# Everything in a declaration is text; the empty one says that nothing is known.
def text: if . == null then "" elif isstring then clean else tostring end;

# A day of Vietnam; a month or a year where no more is known.
def day: format_date("%d/%m/%Y") // "";

# What a reading gives. A fault names the field.
def named($field; reading): try reading catch error(if isobject then . + {field: $field} else . end);

# A date that stands in the form as text, checked.
def form_date($field): named($field; parse_date("%d/%m/%Y") | day);

# A field without which no declaration is taken, and what it is in the dossier.
def must($field; $what):
  if (text | clean) != "" then .
  else
    error({
      code: "mandatory-empty", field: $field, found: "nothing", expected: $what,
      remedy: "state it where the dossier was recorded; the corrected version is sent by itself"
    })
  end;

def unfit($field; $expected):
  error({
    code: "bad-value", field: $field, found: "something else", expected: $expected,
    remedy: "correct it where the dossier was recorded; the corrected version is sent by itself"
  });

# A code of one of the system's lists, as text.
def code($field; $table): named($field; text | if . == "" then . else to_native($table) end);

# Yes or no of the form; empty where it does not say.
def flag($field):
  if IN(null, "") then ""
  elif IN(1, "1", true) then "1"
  elif IN(0, "0", false) then "0"
  else unfit($field; "1 or 0") end;

# How many copies are asked for.
def copies($field):
  must($field; "the number of copies in the form (soLuongCap)")
  | text
  | if test("^[1-9][0-9]?$") then . else unfit($field; "a whole number from 1 to 99") end;
