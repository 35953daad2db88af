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

# The key under which the one-stop's file store gives a file, as a link that can be fetched: letters with accents,
# blanks and plus signs would break in a URL.
def link: $settings.files + (split("/") | map(nfc | @uri) | join("/"));
