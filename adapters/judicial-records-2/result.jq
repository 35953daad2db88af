# An answer about a declaration -> where the dossier stands, and the certificate. Convictions (tinhTrangAnTich, thongTinAn,
# dsCDNCV) and who signed are read by nothing here: the certificate says what may be said of them.

# A state on the way to one that cannot be reached from the known one at once. It is said first; the next answer says the rest.
def on_the_way($known):
  if . == "rejected" and ($known | IN("accepted", "payment_requested")) then "in_progress"
  elif . == "completed" and $known == "supplement_requested" then "in_progress"
  else . end;

# What a state says of the dossier that nobody knows yet; nothing where it is as it was. That the declaration has come (1) and was
# taken in (2) there is no news of a dossier that the one-stop has received; and where the one-stop has closed it, only the
# certificate is.
def news:
  on_the_way($asked.status) as $way
  | if IN("registered", "accepted", $asked.said // "") or ($asked.status == "completed" and . != "completed") then null
    elif $way == $asked.said then .
    else $way end;

# Where the declaration stands there.
def state: .trangThaiXuLy | need("trangThaiXuLy") | named("trangThaiXuLy"; to_canonical("status"));

# The day of the certificate.
def issued: .ngayCapPhieu | named("ketQuaXuLy.ngayCapPhieu"; text | if . == "" then null else parse_date("%d/%m/%Y") end);

# A certificate that has its number, with its file once that is there.
def certificate:
  (.soPhieuLLTP | text) as $number
  | (.loaiPhieu | text) as $kind
  | if $number == "" then empty
    else
      {
        code: null,
        number: $number,
        name: (if $kind == "" then "Phiếu lý lịch tư pháp" else "Phiếu lý lịch tư pháp số \($kind)" end),
        files: [.phieuLLTP | select(isobject) | . + {name: "Phieu-LLTP-\($number | split("/") | join("-")).pdf"}]
      }
    end;

[.value | many] as $shown
| [$shown[] | select(.maHoSoMCDT == $asked.maHoSoMCDT)] | first
| if . == null and $shown != [] then
    error({
      code: "another-dossier", field: "value.maHoSoMCDT", found: "another code", expected: "the dossier that was asked for",
      remedy: "ask the operators of the system what it looks for; then retry the delivery"
    })
  elif . == null then ignore("the system does not show the declaration yet")
  else
    state as $state
    | ($state | news) as $news
    | (if $state == "completed" then .ketQuaXuLy // {} else {} end) as $outcome
    | (if $news == "completed" then $outcome | issued else null end) as $day
    | [$outcome | certificate] as $certificates
    | if $news == null and $certificates == [] then ignore("nothing has changed") else . end
    | (if $news == null then {} else {status: ({value: $news, at: $day, raw: (.trangThaiXuLy | tostring)} | given)} end)
    + (if $certificates == [] then {} else {results: $certificates} end)
    # The answer is of now: later than what was known when it was asked for. That somebody works on the declaration
    # contradicts nobody, and counts behind everything that has a time.
    + (if $news == null or ($news == "in_progress" and $state == $news) then {} else {at: $asked.at} | given end)
  end
