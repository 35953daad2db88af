# What the declaration and the answers have in common.

# An answer, or a part of one, with the names of its fields in capitals: some versions of the system write small letters.
def loud: if isstring then fromjson else . end | if isobject then with_entries(.key |= ascii_upcase) else . end;

# Whether an answer says so: STATUS 1, as a number or as text.
def succeeded: loud | (.STATUS | tostring) == "1";

def description: loud | .DESCRIPTION // "";

# A day of Vietnam; a month or a year where no more is known; empty text for none.
def day: format_date("%d/%m/%Y");

def text: . // "";

# A field without which no declaration is taken, and what it is in the dossier.
def must($field; $what):
  if (text | tostring | clean) != "" then .
  else
    error({
      code: "mandatory-empty", field: $field, found: "nothing", expected: $what,
      remedy: "state it where the dossier was recorded; the corrected version is sent by itself"
    })
  end;

def unfit($field; $found; $expected):
  error({
    code: "bad-value", field: $field, found: $found, expected: $expected,
    remedy: "correct it where the dossier was recorded; the corrected version is sent by itself"
  });

# An id of one of the ministry's lists.
def id($table): to_native($table) | if . == null then null else tonumber end;

# Yes or no of the form; null where it does not say.
def flag($field):
  if IN(null, "") then null
  elif IN(1, "1", true) then 1
  elif IN(0, "0", false) then 0
  else unfit($field; "something else"; "1 or 0") end;

# How many copies are asked for.
def copies($field):
  must($field; "the number of copies in the form (soLuongCap)")
  | (if isstring and test("^[0-9]{1,2}$") then tonumber else . end)
  | if isnumber and . == floor and . >= 1 then . else unfit($field; "something else"; "a whole number from 1") end;

# A date that stands in the form as text, checked.
def form_date($field):
  try (parse_date("%d/%m/%Y") | day) catch error(if isobject then . + {field: $field} else . end);

# The best identity paper that a person is known by, with its kind. 000000001 stands for "unknown" and is never sent out.
def paper:
  [("citizen_id", "old_id", "passport") as $kind
    | .[$kind] | select(IN(null, "", "000000001") | not)
    | {idTypeId: ($kind | id("id-type")), identifyNo: .}]
  | first;

# The number under which a declaration is sent: day and sequence of the dossier's code, without its agency.
def received_number: split("-") | .[-2:] | join("");

# Whom a declaration can be about.
def natural_person:
  if .kind == "citizen" then .
  else
    error({
      code: "not-taken", field: "applicant.person.kind", found: (.kind // "nothing"), expected: "citizen",
      remedy: "declare it in the judicial records system by hand; version 1 of its interface takes declarations of persons only"
    })
  end;
