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

def code($column; $table): column($column; to_canonical($table));

# The number of a paper under the name of its kind. 000000001 is what the one-stop writes where no number is known; it
# is nobody's number.
def paper($kind; $number):
  code($kind; "paper") as $name
  | if $name == null then {}
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
