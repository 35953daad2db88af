# What the licence system's records and messages have in common.

# The envelope of every call after the login.
def call($service): {session: $token, service: $service, donViXuLy: $settings.unit};

# What an answer says in words, if it does.
def said: if isstring then . else "" end;

# What a field says. A fault names the field.
def field($field; reading):
  .[$field]
  | try reading catch error(if type == "object" then . + {field: $field} else . end);

def text($field): field($field; clean);

# A field without which a record is no dossier that another system would take.
def needed($field): field($field; clean | need($field));

def code($field; $table): field($field; if isstring then clean else . end | to_canonical($table));

# Days, without an hour.
def day($field): field($field; parse_time("%Y-%m-%d"));

# The day of a time of the dossier, which may have an hour.
def as_day: if . == null or length == 10 then . else format_time("%Y-%m-%d") end;

# What is refused, where `need` and the tables do not say it themselves. The value itself is never shown.
def unfit($expected; $remedy): error({code: "bad-value", found: "something else", expected: $expected, remedy: $remedy});

# What the settings say of a code.
def described($section; $code):
  $settings[$section][$code] as $entry
  | if $entry != null then $entry
    else
      error({
        code: "setting-missing", field: "settings.\($section)", found: $code, expected: "an entry of this code",
        remedy: "add [adapter.\($system).settings.\($section).\"\($code)\"] to lienthong.toml; then retry the record"
      })
    end;

# The papers of a record, each numbered among those of its type, with the path of its file in the licence system's store.
def papers:
  [.hoSoDinhKem | many | {type: needed("magiayto"), name: text("tengiayto"), path: (.filedinhkem // "" | if isstring then . else "" end)}]
  | to_entries as $all
  | $all[]
  | .key as $place
  | .value as $paper
  | $paper + {ordinal: ([$all[] | select(.key <= $place and .value.type == $paper.type)] | length)};
