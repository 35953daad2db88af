# What the stand-in's answers have in common. Nothing here is shared with the mappings that it tests.

# A text of the request's body; empty where it is none.
def asked($key): .body | if isobject then .[$key] else null end | if isstring then . else "" end;

def done($more): {body: ({error_code: "0", result: ""} + $more)};
def failed($code; $sentence): {body: {error_code: $code, result: $sentence}};

def session_lost($db; $now):
  $db.Phien[asked("session")] as $session
  | $session == null or $session.until <= ($now | epoch_ms);

# A day that the calendar has, and the number of days since another one.
def is_day: (try parse_time("%Y-%m-%d") catch null) as $day | $day != null;
def days_since($day): (epoch_ms - ($day | epoch_ms)) / 86400000;

def state_name: {
  "1": "Mới đăng ký", "2": "Được tiếp nhận", "3": "Không được tiếp nhận", "4": "Đang xử lý", "5": "Yêu cầu bổ sung giấy tờ",
  "6": "Yêu cầu thực hiện nghĩa vụ tài chính", "7": "Công dân yêu cầu rút hồ sơ", "8": "Dừng xử lý", "9": "Đã xử lý xong",
  "10": "Đã trả kết quả"
}[.];
