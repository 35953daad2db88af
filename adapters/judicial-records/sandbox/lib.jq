# What the stand-in's answers have in common. Nothing here is shared with the mapping that it tests.

# ---- the gateway ----

# The token that a request bears.
def bearer: .headers.authorization // "" | if startswith("Bearer ") then .[7:] else "" end;

def token_lost($db; $now):
  $db.The[bearer] as $token
  | $token == null or $token.until <= ($now | epoch_ms);

def gate_closed: {status: 401, body: {fault: {code: 900901, message: "Invalid Credentials"}}};

# ---- answers ----

# Names of fields as this version writes them.
def spelt: if $settings.small_letters then with_entries(.key |= ascii_downcase) else . end;

def said($status; $description): {STATUS: $status, DESCRIPTION: $description};

def refused($description): {body: (said(0; $description) | spelt)};

# ---- the work ----

def state_name: {"3": "Đã tiếp nhận", "4": "Đang xử lý", "5": "Đã có Phiếu lý lịch tư pháp"}[tostring];

# A declaration in another state, since a day where one is told.
def stands($state; $day):
  . + {
    DEC_STATUS_ID: $state,
    DEC_STATUS_NAME: ($state | state_name),
    APPROVE_DATE: (if $state == 5 then $day else "" end),
    ISSUE_DATE: (if $state == 5 then $day else "" end),
    Lan: (.Lan + 1)
  };

# What an official does with a declaration: begins to work on it, or issues the certificate on a day.
def carry_out($line):
  if $line.HanhDong == "XuLy" and .DEC_STATUS_ID == 3 then stands(4; null)
  elif $line.HanhDong == "CapPhieu" and .DEC_STATUS_ID == 4 and ($line.Ngay | isstring) then stands(5; $line.Ngay)
  else
    error({
      code: "sandbox-script", field: "HanhDong", found: $line.HanhDong,
      expected: "XuLy of a received declaration, then CapPhieu with Ngay"
    })
  end;

# ---- text and the calendar ----

def is_text: isstring;
def filled: is_text and clean != "";
def digits: length > 0 and (explode | all(.[]; . >= 48 and . <= 57));
def digits($length): digits and length == $length;
def whole: reduce (explode | .[]) as $digit (0; . * 10 + $digit - 48);

def days_in($year; $month):
  if $month == 2 then
    if ($year % 4 == 0 and $year % 100 != 0) or $year % 400 == 0 then 29 else 28 end
  elif $month == 4 or $month == 6 or $month == 9 or $month == 11 then 30
  else 31 end;

def is_year: digits(4) and whole >= 1900;

# yyyy, MM/yyyy or dd/MM/yyyy, as the calendar has them.
def is_year_or_more:
  split("/") as $parts
  | ($parts | length) as $n
  | $n <= 3 and ($parts[-1] | is_year)
    and ($n < 2 or ($parts[-2] | digits(2) and whole >= 1 and whole <= 12))
    and ($n < 3 or ($parts[0] | digits(2) and whole >= 1 and whole <= days_in($parts[2] | whole; $parts[1] | whole)));

def is_day: length == 10 and is_year_or_more;

# The number that a one-stop gives: the day of receipt and the sequence of that day.
def is_received_number: digits and length >= 10 and length <= 12 and ("\(.[4:6])/\(.[2:4])/20\(.[:2])" | is_day);

# ---- saying what is wrong ----

def wrong($field; $message; $function): "\($field): \($message) (LGSP guide, \($function))";
def wrong($field; $message): wrong($field; $message; "nhanHoSoDangKy");

# A rule is a stream of what is wrong with an object; $form is the name of the object.
def text_field($form; $field; $must; valid; $message):
  .[$field] as $value
  | if $value == null or $value == "" then
      if $must then wrong("\($form)\($field)"; "thiếu trường bắt buộc") else empty end
    elif $value | is_text | not then wrong("\($form)\($field)"; "phải là chuỗi ký tự")
    elif $must and ($value | filled | not) then wrong("\($form)\($field)"; "không được để trống")
    elif $value | valid | not then wrong("\($form)\($field)"; $message)
    else empty end;

def text_field($form; $field; $must): text_field($form; $field; $must; true; "");

def number_field($form; $field; $must; valid; $message):
  .[$field] as $value
  | if $value == null then if $must then wrong("\($form)\($field)"; "thiếu trường bắt buộc") else empty end
    elif $value | isnumber and . == floor | not then wrong("\($form)\($field)"; "phải là số nguyên")
    elif $value | valid | not then wrong("\($form)\($field)"; $message)
    else empty end;

def code_field($form; $field; $must; $codes):
  number_field($form; $field; $must; . as $code | any($codes[]; . == $code); "phải là một trong \($codes | map(tostring) | join(", "))");

# An id of a list of the ministry; -1 where it is not known.
def id_field($form; $field; $must):
  number_field($form; $field; $must; . > 0 or ($must | not) and . == -1; "không có trong danh mục");

# Stricter than the system, which passes over what it does not know: a misspelt field would be lost there unseen.
def unknown_fields($form; $known):
  keys[] | . as $field | select(any($known[]; . == $field) | not) | wrong("\($form)\($field)"; "không có trường này");

# An identity paper and its number: twelve digits of a citizen's card, nine of an old one, whatever a foreign one has. The
# dummy number of those who know none is nobody's.
def paper_faults($form; $must):
  code_field($form; "idTypeId"; $must; if $must then [0, 1, 2, 3] else [-1, 0, 1, 2, 3] end),
  text_field($form; "identifyNo"; $must; . != "000000001"; "000000001 không phải là số giấy tờ"),
  (if .idTypeId == 3 and (.identifyNo | digits(12) | not) then wrong("\($form)identifyNo"; "căn cước công dân phải có 12 chữ số")
   elif .idTypeId == 1 and (.identifyNo | digits(9) | not) then wrong("\($form)identifyNo"; "chứng minh nhân dân phải có 9 chữ số")
   else empty end);

def person_faults:
  "declarationWSForm." as $form
  | unknown_fields($form; ["fullName", "genderId", "birthDateStr", "birthPlace", "nationalityId", "ethnicId", "residence", "reRegionId",
      "residenceTemporary", "rtRegionId", "idTypeId", "identifyNo", "idIssueDate", "idIssuePlace", "dadName", "dadDob", "momName", "momDob",
      "partnerName", "partnerDob", "otherName", "phone", "email", "ministryJusticeId", "declareDate", "declareTypeId", "requestQty",
      "requestQtyAdd", "objectRequestId", "agencyRequestId", "regionRequestId", "formType", "isBanPosition", "delivery", "deliveryAddress",
      "deliveryDistrict", "note", "purpose", "receiveNo", "declarationPortalID"]),
    text_field($form; "fullName"; true),
    code_field($form; "genderId"; true; [0, 1]),
    text_field($form; "birthDateStr"; true; is_year_or_more; "phải là dd/MM/yyyy, MM/yyyy hoặc yyyy"),
    text_field($form; "birthPlace"; false),
    id_field($form; "nationalityId"; true),
    id_field($form; "ethnicId"; false),
    text_field($form; "residence"; false),
    id_field($form; "reRegionId"; false),
    text_field($form; "residenceTemporary"; false),
    id_field($form; "rtRegionId"; false),
    paper_faults($form; true),
    text_field($form; ("idIssueDate", "dadDob", "momDob", "partnerDob"); false; is_year_or_more; "phải là dd/MM/yyyy, MM/yyyy hoặc yyyy"),
    text_field($form; ("idIssuePlace", "dadName", "momName", "partnerName", "otherName", "email"); false),
    text_field($form; "phone"; true; digits; "phải gồm các chữ số"),
    id_field($form; "ministryJusticeId"; false),
    text_field($form; "declareDate"; true; is_day; "phải là dd/MM/yyyy"),
    code_field($form; "declareTypeId"; true; [3844, 3845, 3846, 3847]),
    number_field($form; "requestQty"; true; . >= 1; "phải từ 1"),
    number_field($form; "requestQtyAdd"; false; . >= 0; "phải từ 0"),
    code_field($form; "objectRequestId"; true; [71, 72, 73, 74]),
    id_field($form; ("agencyRequestId", "regionRequestId"); false),
    code_field($form; "formType"; true; [1, 2]),
    code_field($form; ("isBanPosition", "delivery"); false; [0, 1]),
    text_field($form; ("deliveryAddress", "deliveryDistrict", "note", "purpose", "receiveNo", "declarationPortalID"); false);

def residence_faults:
  "residenceWSForm." as $form
  | unknown_fields($form; ["fromDateStr", "toDateStr", "residencePlace", "jobName", "workPlace"]),
    text_field($form; "fromDateStr"; true; is_year_or_more; "phải là MM/yyyy"),
    text_field($form; "toDateStr"; true; . == "nay" or is_year_or_more; "phải là MM/yyyy hoặc nay"),
    text_field($form; "residencePlace"; true),
    text_field($form; ("jobName", "workPlace"); false);

def mandator_faults:
  "mandatorWSForm." as $form
  | unknown_fields($form; ["fullName", "genderId", "birthDateStr", "birthPlaceId", "residence", "regionId", "idTypeId", "identifyNo",
      "idIssueDate", "idIssuePlace", "mandatorRelation", "mandatorDate"]),
    text_field($form; "fullName"; true),
    code_field($form; "genderId"; false; [-1, 0, 1]),
    text_field($form; ("birthDateStr", "idIssueDate", "mandatorDate"); false; is_year_or_more; "phải là dd/MM/yyyy, MM/yyyy hoặc yyyy"),
    id_field($form; ("birthPlaceId", "regionId"); false),
    paper_faults($form; false),
    text_field($form; ("residence", "idIssuePlace", "mandatorRelation"); false);

# The whole body, in the order of the guide's tables.
def declaration_faults:
  if type != "object" then wrong("body"; "phải là một đối tượng")
  else
    unknown_fields(""; ["idMinistryJustice", "idReceivedDec", "dateReceivedDec", "datePromissoryDec", "idMoneyReceipt", "declarationWSForm",
      "residenceWSForm", "mandatorWSForm"]),
    number_field(""; "idMinistryJustice"; true; . > 0; "không có trong danh mục"),
    text_field(""; "idReceivedDec"; true; is_received_number; "phải là yyMMdd và số thứ tự"),
    text_field(""; "dateReceivedDec"; true; is_day; "phải là dd/MM/yyyy"),
    text_field(""; "datePromissoryDec"; false; is_day; "phải là dd/MM/yyyy"),
    text_field(""; "idMoneyReceipt"; false),
    (.declarationWSForm | if type == "object" then person_faults else wrong("declarationWSForm"; "thiếu trường bắt buộc") end),
    (.residenceWSForm // [] | if type != "array" then wrong("residenceWSForm"; "phải là danh sách")
      else .[] | if type == "object" then residence_faults else wrong("residenceWSForm"; "phải gồm các đối tượng") end end),
    (.declarationWSForm.declareTypeId as $kind
      | .mandatorWSForm
      | if . != null then if type == "object" then mandator_faults else wrong("mandatorWSForm"; "phải là một đối tượng") end
        elif $kind == 3845 then wrong("mandatorWSForm"; "thiếu trường bắt buộc khi ủy quyền")
        else empty end)
  end;
