# What the register's messages have in common.

# ---- whom to ask about ----

# Is the check still to be made? One that came out stands as long as the applicant does; where nobody was entitled to
# ask, another officer may be.
def is_open: (.identity.outcome // "unavailable") | IN("unavailable", "not_entitled");

# Numbers that are somebody's. 000000001 stands for "unknown".
def known_number: if . == null or . == "" or . == "000000001" then null else . end;
def person_numbers: {citizen: (.applicant.person.citizen_id | known_number), old: (.applicant.person.old_id | known_number)};

# The register has citizens only, and is asked by number, name and birth date (service 037, mandatory fields).
def is_citizen:
  .applicant.person as $person
  | person_numbers as $numbers
  | $person.kind == "citizen" and ($numbers.citizen // $numbers.old) != null
    and ($person.name // "" | clean) != "" and ($person.birth_date // "") != "";

# The officer's account at the register: a look-up is made in somebody's name.
def account: .handling.officer as $officer | $settings.officers[$officer // ""] // $officer // $settings.officer | clean;

def is_askable: is_citizen and account != "";

# Who is no citizen, or of whom too little is known, cannot be asked about. Where only the officer is missing nothing is
# said yet.
def not_asked: if is_open and (is_citizen | not) then {identity: {outcome: "not_applicable"}} else empty end;

# ---- the question ----

# A code as the register takes it. One that is too long is never cut: what is left would be another code, or another officer's
# account.
def whole_code($field; $longest):
  if (. // "") == "" then
    error({
      code: "mandatory-empty", field: $field, found: "nothing", expected: "a code",
      remedy: "state it where the dossier was recorded; the corrected version is sent by itself"
    })
  elif length > $longest then
    error({
      code: "bad-value", field: $field, found: "a longer one", expected: "a code of at most \($longest) characters",
      remedy: "state the code that the register knows; for officers, in settings.officers"
    })
  else . end;

# In the order of the sequence: a server of SOAP refuses any other. The birth date is as precise as it is known; of a month
# the register knows nothing.
def question($service):
  person_numbers as $numbers
  | .applicant.person as $person
  | {
    MaDVC: (.procedure.code | whole_code("MaDVC"; 20)),
    MaTichHop: $service,
    MaCanBo: (account | whole_code("MaCanBo"; 20)),
    MaDonVi: (.agency.code | whole_code("MaDonVi"; 35))
  }
  + (if $numbers.citizen != null then {SoDinhDanh: $numbers.citizen} else {SoCMND: $numbers.old} end)
  + {
    HoVaTen: ($person.name | clean | upper | cut(100)),
    NgayThangNamSinh: (
      $person.birth_date
      | if length == 10 then {NgayThangNam: format_date("%Y%m%d")} else {Nam: cut(4)} end
    )
  };

# The number of a request: at most 40 characters, and never used twice.
def request_number($id): "LT-\($id)" | cut(40);

# The names of the fields with the prefix of the register's namespace, also within a field.
def prefixed: if isobject then with_entries({key: "dan:\(.key)", value: (.value | prefixed)}) else . end;

# The question as the call of a service.
def call($operation; $id):
  {
    "soapenv:Envelope": {
      "@xmlns:soapenv": "http://schemas.xmlsoap.org/soap/envelope/",
      "@xmlns:dan": "http://dancuquocgia.bca",
      "soapenv:Header": null,
      "soapenv:Body": {("dan:\($operation)"): ({MaYeuCau: request_number($id)} + . | prefixed)}
    }
  };

# ---- the answer ----

def envelope: .Envelope? // null | if isobject then . else null end;
def fault: envelope | .Body?.Fault? // null;

# The code of a fault, without the prefix that SOAP may put before it.
def fault_code: fault | .faultcode? // null | if isstring then split(":") | last else null end;

# The code of a fault as a reason may say it: one of SOAP's own, or three digits. Any other may be a text about somebody.
def known_code:
  fault_code // "" | if test("^([0-9]{3}|Client|Server|MustUnderstand|VersionMismatch)$") then . else "without a known code" end;

# Why the register refuses to answer us at all: 004 the procedure, 005 the officer.
def refusal: fault_code | if IN("004", "005") then . else null end;

# The one part of an answer that says something, whatever the names of the elements around it are.
def answered: envelope | .Body?;

# ---- comparing ----

def same_text: clean | upper;

# How a name of the register compares with the one that was asked with: "same", "accents" (only those differ), "other".
def against($asked):
  if same_text == ($asked | same_text) then "same" elif alike($asked) then "accents" else "other" end;

# The whole name: its parts may all stand in one.
def whole_name: [.Ho, .ChuDem, .Ten] | map(select(isstring) | clean | select(. != "")) | join(" ");

# Does the birth date differ, as far as both sides know it?
def differs_from($asked):
  (.NgayThangNam // "" | tostring | clean) as $day
  | (.Nam // "" | tostring | clean | if . == "" then $day | cut(4) else . end) as $year
  | if $day != "" and $asked.NgayThangNam != null then $day != $asked.NgayThangNam
    elif $year != "" then $year != ($asked.NgayThangNam // $asked.Nam | cut(4))
    else false end;

def outcome($outcome; $fields; $id):
  {identity: ({outcome: $outcome, request: request_number($id)} + if $fields == [] then {} else {fields: $fields} end)};

# What the register has under the number that was asked with -> how the check came out. Only the names of fields that differ
# are said, never what the register has in them.
def compared($asked; $id):
  if refusal != null then outcome("not_entitled"; []; $id)
  else
    [
      answered | .CongdanCollection?.CongDan? | many | select(isobject)
      | select((.SoDinhDanh // "") == ($asked.SoDinhDanh // "-") or (.SoCMND // "") == ($asked.SoCMND // "-"))
    ] as $found
    | if $found == [] then outcome("not_found"; []; $id)
      else
        ($found[0].HoVaTen // {} | whole_name | against($asked.HoVaTen)) as $name
        | ($found[0].NgayThangNamSinh // {} | differs_from($asked.NgayThangNamSinh)) as $date
        | [(if $name == "other" then "name" else empty end), (if $date then "birth_date" else empty end)] as $differ
        | if $differ != [] then outcome("mismatch"; $differ; $id)
          elif $name == "accents" then outcome("weak_match"; ["name"]; $id)
          else outcome("match"; []; $id) end
      end
  end;

# ---- the provincial façade ----

# The façade's own code as a reason may say it.
def facade_code: .error_code | tostring | if test("^-?[0-9]{1,3}$") then . else "of another kind" end;

# The question as its call: plain fields, all of them there.
def plain($id):
  {
    HoVaTen,
    SoDinhDanh: (.SoDinhDanh // ""),
    SoCMND: (.SoCMND // ""),
    NgayThangNam: (.NgayThangNamSinh.NgayThangNam // ""),
    Nam: (.NgayThangNamSinh.Nam // ""),
    MaTichHop, MaDVC, MaCanBo,
    MaYeuCau: request_number($id)
  };

# The register's envelope, which the façade hands on as a text; null where there is none.
def told: .message? // null | if isstring then (try from_xml catch null) else null end;
