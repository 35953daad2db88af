//! A small sound adapter, and ways to break it.

use std::fs;

use tempfile::TempDir;

use crate::adapter::{Adapter, Site};
use crate::fault::Fault;

/// A sound manifest with every kind of operation.
pub(super) const MANIFEST: &str = r#"lienthong = 1
title = "Sổ hồ sơ"
originates = "procedures"
owns = { status = "always", applicant = "origin" }
subscribe = { procedures = ["2.*"] }
needs = ["applicant", "schedule.due", "progress"]
requires = { code = { within = "1d", otherwise = "park" } }
answer = [
  { when = '.code == 7', is = "exists", reason = '.why' },
  { when = '.code == 8', is = "login" },
]
[settings]
agency = "H56"
password = "${BOOK_PASSWORD}"
[connection]
protocol = "http"
url = "https://book.example.vn/api/"
headers = { X-Agency = '\($settings.agency)', Authorization = 'Bearer \($token)' }
settle = "90s"
retry = { first = "1s" }
reason = '.message'
[connection.login]
path = '/login'
send = "form"
body = '{user: "bus", password: $settings.password}'
token = '.token'
valid = '.expires_in'
[webhook.book]
path = "/hooks/book/{office}"
verify = '$headers["x-key"] == $settings.password and $path.office == "a"'
map = 'inbound'
reply = '{accepted: .ok}'
limit = "1 MiB"
[pull.changes]
every = "30s"
path = '/changes'
query = { from = '\($since // "")', page = '\($page // 1)' }
records = '.rows[]'
cursor = '.at'
overlap = "5m"
next = '.next'
map = 'inbound'
[push.dossier]
when = '.schedule.due'
record = '{no: .code, name: .applicant.person.name, office: "a"}'
key = '.no'
mandatory = ["no", "name"]
constant_because = { no = "the code is always there" }
find = { path = '/book/\($key)', records = '.rows[]?', remote = '.id' }
same_when = '.no == $record.no and (.name | alike($record.name))'
create = { path = '/book', body = '. + {request: $id}', remote = '.id' }
update = { method = "PUT", path = '/book/\($remote)', body = '.' }
echo = '{dossier: .no, applicant: {person: {kind: "citizen", name: .name}}}'
[push.step]
after = "dossier"
each = '.progress[]'
record = '{no: $dossier.code, step: $item.value}'
create = { path = '/steps', body = '.' }
on_doubt = "resend"
because = "the book shows steps twice and nobody minds"
echo = false
[push.told]
after = "dossier"
each = '.progress[]'
record = '{id: $item.id, step: $item.value}'
key = '.id'
batch = 10
verdicts = '.rows[] | {key: .id, is: .is, reason: .why}'
create = { path = '/told', body = '{part: $batch.number, rows: .}' }
echo = false
[push.work]
after = "dossier"
find = { path = '/book/\($dossier.code)', records = '.rows[]?', remote = '.id' }
state = '.state'
steps = 'next_step'
echo = '{dossier: $dossier.code, status: {value: (if $step == "accept" then "accepted" else "completed" end)}}'
step.accept = { path = '/book/\($remote)/accept', body = '.' }
step.close = { path = '/book/\($remote)/close', body = '.', idempotent = true }
[pull.changes.acknowledge]
path = '/taken'
keep = '.no'
batch = 50
body = '{rows: map({no: .record, why: .error})}'
"#;

/// How the sound adapter's `push.work` leads a dossier on.
pub(super) const NEXT_STEP: &str = r#"if . == "new" then {step: "accept", record: {for: $dossier.applicant.person.name}}
elif . == "accepted" and $dossier.status.value == "completed" then {step: "close", record: {}}
else empty end"#;

/// A folder with an adapter.
pub(super) struct World {
    pub(super) folder: TempDir,
}

impl World {
    /// The sound adapter.
    pub(super) fn sound() -> Self {
        let world = Self {
            folder: TempDir::new().unwrap(),
        };
        world.write("adapter.toml", MANIFEST);
        world.write(
            "inbound.jq",
            "{dossier: .no, status: {value: (.state | to_canonical(\"state\"))}}",
        );
        world.write("next_step.jq", NEXT_STEP);
        world.write("tables/procedures.csv", "native,canonical\nA,2.000488\n");
        world.write(
            "tables/state.csv",
            "native,canonical\n1,registered\n2,completed\n",
        );
        world
    }

    /// Writes a file of the folder.
    pub(super) fn write(&self, name: &str, content: &str) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// The files of one of its folders: name and content.
    pub(super) fn files(&self, folder: &str) -> Vec<(String, String)> {
        let entries = fs::read_dir(self.folder.path().join(folder)).unwrap();
        let file = |entry: std::io::Result<fs::DirEntry>| {
            let entry = entry.unwrap();
            let content = fs::read_to_string(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), content)
        };
        entries.map(file).collect()
    }

    /// Removes a file of the folder.
    pub(super) fn remove(&self, name: &str) {
        fs::remove_file(self.folder.path().join(name)).unwrap();
    }

    /// Replaces a piece of the manifest that is there exactly once.
    pub(super) fn with(self, from: &str, to: &str) -> Self {
        let path = self.folder.path().join("adapter.toml");
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches(from).count(), 1, "{from:?} is to be there once");
        fs::write(path, text.replace(from, to)).unwrap();
        self
    }

    /// Loads it with sample secrets.
    pub(super) fn load(&self) -> Result<Adapter, Vec<Fault>> {
        Adapter::load(self.folder.path(), &Site::sample("book"))
    }

    /// What is said about it.
    pub(super) fn told(&self) -> Vec<String> {
        told(&self.load().err().unwrap_or_default())
    }
}

/// The messages of faults.
pub(super) fn told(faults: &[Fault]) -> Vec<String> {
    faults.iter().map(ToString::to_string).collect()
}
