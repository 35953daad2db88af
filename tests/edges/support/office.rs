//! A second system that tells: what it posts is a patch as it stands.

use serde_json::{Value, json};

use super::{Site, client};

/// An office where dossiers come into being too, and that may write everything.
pub(crate) const OFFICE: &str = r#"lienthong = 1
title = "Sở của bài thử"
originates = ["*"]
[owns]
procedure = "always"
agency = "always"
channel = "always"
summary = "always"
note = "always"
applicant = "always"
schedule = "always"
status = "always"
progress = "always"
results = "always"
links = "always"
[connection]
protocol = "http"
url = "http://127.0.0.1:9"
[webhook.dossier]
path = "/hooks/office"
verify = '$headers["x-key"] == "k"'
map = '.'
code = '.dossier.native? // .dossier'
"#;

/// The same where no dossier comes into being.
pub(crate) fn desk() -> String {
    OFFICE
        .replace("originates = [\"*\"]\n", "")
        .replace("/hooks/office", "/hooks/desk")
}

/// What an office says of the dossier `n` of the one-stop, whose applicant it knows by the same number.
pub(crate) fn patch(native: &str, n: u32) -> Value {
    json!({
        "dossier": { "native": native },
        "at": "2026-03-05T02:00:00Z",
        "procedure": { "code": "2.000488", "name": "Cấp Phiếu lý lịch tư pháp" },
        "applicant": { "person": { "kind": "citizen", "name": "VU THI THU", "citizen_id": format!("0380600{n:05}") } }
    })
}

impl Site {
    /// A system posts a patch to its hook; the node's word for what became of it.
    pub(crate) async fn says(&self, hook: &str, patch: &Value) -> String {
        let request = client().post(self.hook(hook)).header("x-key", "k").json(patch);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        answer["code"].as_str().unwrap_or_default().to_owned()
    }
}
