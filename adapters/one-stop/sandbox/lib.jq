# What the stand-in's answers have in common. Nothing here is shared with the mapping that it tests.

# The token that a request bears.
def token: .headers.authorization // "" | if startswith("Bearer ") then .[7:] else "" end;

# Whether the request comes without a session that is still good.
def session_lost($db; $now):
  $db.PhienLam[token] as $session
  | $session == null or $session.until <= ($now | epoch_ms);

def no_session: {status: 401, body: {maLoi: "401", moTa: "Phiên làm việc không hợp lệ hoặc đã hết hạn"}};

def whole: reduce (explode | .[]) as $digit (0; . * 10 + $digit - 48);

def digits($length): length == $length and (explode | all(.[]; . >= 48 and . <= 57));
