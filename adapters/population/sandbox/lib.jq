# The register's rules, written from its descriptions. Nothing here is shared with the mapping that it tests.

# ---- who asks ----

def bearer: .headers.authorization // "" | if startswith("Bearer ") then .[7:] else null end;

def has_token($db; $now):
  bearer as $token
  | $token != null and ($db.The[$token] as $known | $known != null and $known.until > ($now | epoch_ms));

# What the security server wants to see: the digest over address, account, time and secret, a time that is not old, the
# client and its key.
def has_digest($now):
  .headers as $headers
  | ($headers.timestamp // "") as $at
  | ("\($settings.auth_url)\($settings.user)\($at)\($settings.secret)" | sha256) as $digest
  | $headers.authorization == "Basic \("\($settings.user):\($digest)" | @base64)"
    and $headers["x-road-client"] != null and $headers.apikey == $settings.api_key
    and ($at | test("^[0-9]{13}$")) and (($now | epoch_ms) - ($at | tonumber) | fabs < 300000);

def is_known($db; $now): has_token($db; $now) or has_digest($now);

def nobody: {status: 401, body: {fault: {code: 900901, message: "Invalid Credentials"}}};

# ---- envelopes ----

def soap_ns: "http://schemas.xmlsoap.org/soap/envelope/";
def register_ns: "http://dancuquocgia.bca";

def soap($content; $status):
  {
    status: $status,
    headers: {"content-type": "text/xml; charset=utf-8"},
    body: ({"S:Envelope": {"@xmlns:S": soap_ns, "S:Body": $content}} | to_xml)
  };
def soap($content): soap($content; 200);

# SOAP's own codes are in its namespace, the register's are not.
def fault_of($code; $text):
  {"S:Fault": {faultcode: (if $code | IN("Client", "Server", "VersionMismatch") then "S:\($code)" else $code end), faultstring: $text}};

# ---- questions ----

# The fields of a question in the order of their sequence; a sequence is broken by one that comes too early or is unknown.
def order: [
  "MaYeuCau", "MaDVC", "MaTichHop", "MaCanBo", "MaDonVi", "TaiKhoan", "SoDienThoai", "SoDinhDanh", "SoCMND", "HoVaTen",
  "NgayThangNamSinh"
];

def in_order:
  [keys_unsorted[] | select(startswith("@") | not) | . as $name | order | index($name)] as $places
  | all($places[]; . != null) and $places == ($places | sort);

# An element of the register's namespace that holds nothing but a text; one of another namespace is none.
def is_plain: . == null or type == "string";
def is_text($longest): type == "string" and (gsub("\\s"; "") != "") and length <= $longest;

# A day, or a year where no more is known; never both.
def is_birth_date:
  type == "object"
  and (to_entries == [{key: "NgayThangNam", value: .NgayThangNam}] and (.NgayThangNam | type == "string" and test("^[0-9]{8}$"))
    or to_entries == [{key: "Nam", value: .Nam}] and (.Nam | type == "string" and test("^[0-9]{4}$")));

# What is wrong with a question, in the register's words; nothing if it is sound.
def unsound($service):
  if type != "object" then "thiếu nội dung yêu cầu"
  else
    first(
        (if in_order then empty else "sai thứ tự hoặc tên phần tử" end),
        (to_entries[] | select(.key != "NgayThangNamSinh" and (.key | startswith("@") | not) and (.value | is_plain | not))
          | "\(.key): phần tử lặp lại, có phần tử con hoặc sai không gian tên"),
        (. as $asked
          | (["MaYeuCau", 40], ["MaDVC", 20], ["MaTichHop", 20], ["MaCanBo", 20], ["MaDonVi", 35], ["HoVaTen", 100]) as [$name, $longest]
          | select($asked[$name] | is_text($longest) | not) | "\($name): bắt buộc, tối đa \($longest) ký tự"),
        (if .MaTichHop != $service then "MaTichHop: dịch vụ này là \($service)" else empty end),
        (if .SoDinhDanh == null and .SoCMND == null then "phải có SoDinhDanh hoặc SoCMND" else empty end),
        (if .SoDinhDanh == null or (.SoDinhDanh | test("^[0-9]{12}$")) then empty else "SoDinhDanh: 12 chữ số" end),
        (if .SoCMND == null or (.SoCMND | test("^[0-9]{9}$")) then empty else "SoCMND: 9 chữ số" end),
        (if .NgayThangNamSinh | is_birth_date then empty else "NgayThangNamSinh: NgayThangNam yyyyMMdd hoặc Nam yyyy" end),
        null)
  end;

# ---- answers ----

def plain_name: [.HoVaTen.Ho, .HoVaTen.ChuDem, .HoVaTen.Ten] | map(select(. != null and . != "")) | join(" ") | fold;

# The register folds names, and takes a year for a birth date.
def is_the_one($asked):
  ((.SoDinhDanh != null and .SoDinhDanh == $asked.SoDinhDanh) or (.SoCMND != null and .SoCMND == $asked.SoCMND));

def agrees_with($asked):
  is_the_one($asked)
  and plain_name == ($asked.HoVaTen | fold)
  and (.NgayThangNamSinh as $born
    | $asked.NgayThangNamSinh
    | if .NgayThangNam != null and $born.NgayThangNam != null then .NgayThangNam == $born.NgayThangNam
      else (.Nam // .NgayThangNam[0:4]) == ($born.Nam // $born.NgayThangNam[0:4]) end);

# Which refusal a question meets, if any: [code, text].
def met($asked; $service; $db; $now):
  ($asked | unsound($service)) as $unsound
  | ($now | format_time("%Y%m%d")) as $today
  | if $unsound != null then ["Client", "Yêu cầu không hợp lệ: \($unsound)"]
    elif $db.YeuCau[$asked.MaYeuCau] != null then ["Client", "MaYeuCau đã được sử dụng"]
    elif any($settings.unlicensed[]; . == $asked.MaDVC) then ["004", "Thủ tục chưa được cấp phép khai thác"]
    elif $settings.officers != [] and (any($settings.officers[]; . == $asked.MaCanBo) | not) then
      ["005", "Tài khoản cán bộ chưa được phân quyền"]
    elif [$db.YeuCau[] | select(.MaCanBo == $asked.MaCanBo and .ngay == $today)] | length >= $settings.per_day then
      ["Server", "Vượt hạn mức tra cứu trong ngày"]
    else null end;

# Every question is kept: who has asked, when, about which procedure. Not about whom.
def kept($asked; $now): {MaYeuCau: $asked.MaYeuCau, MaCanBo: $asked.MaCanBo, MaDVC: $asked.MaDVC, MaTichHop: $asked.MaTichHop, ngay: ($now | format_time("%Y%m%d"))};

def content($asked; $service; $db):
  if $service == "037" then
    [$db.CongDan[] | select(is_the_one($asked))] as $found
    | {CongdanCollection: ({"@xmlns": register_ns, "@SoCongDan": ($found | length | tostring)} + if $found == [] then {} else {CongDan: $found} end)}
  else
    {KetQuaXacThucResponse: {"@xmlns": register_ns, TonTai: any($db.CongDan[]; agrees_with($asked))}}
  end;

# What is to be answered in a trial in place of what the register says.
def trouble($asked; $db):
  first(($asked | .SoDinhDanh?, .SoCMND? | select(isstring)), "") as $number | $db.SuCo[$number] | .answer? // null;

# What is wrong with a request as one of SOAP 1.1: [code of the fault, text].
def unlike_soap($operation):
  .headers as $headers
  | .body.Envelope? as $envelope
  | if $headers.soapaction != "\"\"" then ["Client", "SOAPAction phải là \"\""]
    elif $headers["x-road-client"] != null and ($headers["content-type"] // "" | startswith("application/xml") | not) then
      ["Client", "Content-Type phải là application/xml"]
    elif ($envelope | type) != "object" then ["Client", "không phải là phong bì SOAP"]
    elif $envelope["@xmlns"] != soap_ns then ["VersionMismatch", "không gian tên của phong bì phải là \(soap_ns)"]
    elif ($envelope.Body | type) != "object" or $envelope.Body["@xmlns"] != null then ["Client", "phong bì không có Body"]
    elif ($envelope.Body | keys_unsorted) != [$operation] then ["Client", "dịch vụ này là \($operation)"]
    elif ($envelope.Body[$operation] | type) == "object" and $envelope.Body[$operation]["@xmlns"] != register_ns then
      ["Client", "không gian tên của \($operation) phải là \(register_ns)"]
    else null end;

# An answer to a question over SOAP.
def in_soap($operation; $service; $db; $now):
  (.body.Envelope.Body[$operation]? // null) as $asked
  | trouble($asked; $db)
    // ((unlike_soap($operation) // met($asked; $service; $db; $now)) as $refusal
      | if $refusal != null then soap(fault_of($refusal[0]; $refusal[1]); 500)
        else soap(content($asked; $service; $db)) + {rows: {YeuCau: [kept($asked; $now)]}} end);

# The same through the façade, which asks in the name of the province's own unit and knows no envelopes.
def in_text($db; $now):
  .body as $sent
  | ({
      MaYeuCau: $sent.MaYeuCau, MaDVC: $sent.MaDVC, MaTichHop: $sent.MaTichHop, MaCanBo: $sent.MaCanBo, MaDonVi: "H56",
      SoDinhDanh: $sent.SoDinhDanh, SoCMND: $sent.SoCMND, HoVaTen: $sent.HoVaTen,
      NgayThangNamSinh: (if ($sent.NgayThangNam // "") != "" then {NgayThangNam: $sent.NgayThangNam} else {Nam: $sent.Nam} end)
    } | with_entries(select(.value != null and .value != ""))) as $asked
  | ([
      ("HoVaTen", "SoDinhDanh", "SoCMND", "NgayThangNam", "Nam", "MaTichHop", "MaDVC", "MaCanBo", "MaYeuCau") as $name
      | $name | select(in($sent) | not)
    ]) as $missing
  | trouble($asked; $db)
    // (if $missing != [] then ["Client", "Thiếu trường \($missing | join(", "))"] else met($asked; "037"; $db; $now) end
      | . as $refusal
      | if $refusal == null then
          {body: {error_code: "0", message: soap(content($asked; "037"; $db)).body}, rows: {YeuCau: [kept($asked; $now)]}}
        elif $refusal[0] == "004" or $refusal[0] == "005" then {body: {error_code: $refusal[0], message: $refusal[1]}}
        else {body: {error_code: "0", message: soap(fault_of($refusal[0]; $refusal[1])).body}} end);
