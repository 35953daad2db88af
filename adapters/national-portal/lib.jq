# What the portal's messages have in common.

# The envelope of every call after the login.
def call($service): {session: $token, madonvi: $settings.agency, service: $service};

# The code under which the portal knows a dossier: its own where it has one, else the official one.
def portal_code($system): .links[$system][0] // .code;

# Date-times are yyyyMMddHHmmss, Vietnamese local time; empty text is "none". A date alone stands at the end of its day:
# an hour that nobody stated must not make a dossier look late.
def portal_time: if length == 10 then format_date("%Y%m%d") + "235959" else format_time("%Y%m%d%H%M%S") end;

# A text, or the empty text where nothing is known: the portal has no null.
def text: . // "";

# A text of at most so many characters; the cut is visible.
def shortened($longest): text | if length > $longest then cut($longest - 1) + "…" else . end;

# Yes and no.
def flag: if . == true then "1" else "0" end;

# A code of a list, or the empty text where the dossier says nothing.
def coded($table): to_native($table) // "";

# Whole đồng as text. What is no such amount is refused: 0 would say that nothing is to be paid.
def price:
  need("Gia")
  | if isnumber and . >= 0 and . <= 1000000000000 and . == floor then floor | tostring
    else
      error({code: "bad-value", field: "Gia", found: "something else", expected: "whole đồng from 0 to 1000000000000",
        remedy: "have the sending system correct the amount of the fee"})
    end;

# A number that is somebody's. 000000001 stands for "unknown" and is never sent out.
def number: if . == null or . == "" or . == "000000001" then empty else . end;

# The numbers under which an item knows its applicant.
def numbers_of: [(.SoGiayToChuHoSo, (.DinhDanhCHS | many | .SoDinhDanh?)) | clean | number];

# Whether two items are about one applicant. Where both know numbers, one must be in both; namesakes are many, so the name
# decides only where a side has no number.
def same_applicant($record):
  numbers_of as $here
  | ($record | numbers_of) as $there
  | if $here == [] or $there == [] then .ChuHoSo | alike($record.ChuHoSo)
    else any($here[]; IN($there[])) end;

# The items of a map, in the order of their keys.
def in_order: . // {} | to_entries | sort_by(.key) | .[].value;
