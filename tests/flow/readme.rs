//! What README.md has its reader paste works, from the demo to the last dead letter. Where it builds the program, the built
//! one is called.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::{binary, within_patience};

const PROGRAM: &str = env!("CARGO_BIN_EXE_lienthong");

/// How the README calls the program.
const CALLED: &str = "cargo run --release --";

/// The fenced blocks of "Try it", in order.
fn blocks() -> Vec<&'static str> {
    let (_, rest) = include_str!("../../README.md").split_once("## Try it\n").unwrap();
    let (section, _) = rest.split_once("\n## ").unwrap();
    let fenced = section.split("\n```").skip(1).step_by(2);
    fenced.map(|block| block.strip_prefix("sh\n").unwrap()).collect()
}

/// What a shell says that somebody has pasted this into; where one command fails, it stops with it.
async fn paste(exports: &str, block: &str) -> String {
    let script = format!("{exports}\n{}", block.replace(CALLED, PROGRAM));
    let mut shell = Command::new("bash");
    for (name, _) in binary().get_envs() {
        shell.env_remove(name);
    }
    shell
        .args(["-euo", "pipefail", "-c", &script])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || shell.output()).await;
    let output = output.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}\n{said}\n{errors}");
    said
}

/// The demo, left running; all that it says once it does.
struct Demo {
    child: Child,
    said: Vec<String>,
    _folder: TempDir,
}

impl Demo {
    async fn start(line: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = binary();
        command
            .args(line.trim().strip_prefix(CALLED).unwrap().split_whitespace())
            .env("TMPDIR", folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let started = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().unwrap();
            let mut said = Vec::new();
            for line in BufReader::new(child.stderr.take().unwrap()).lines() {
                said.push(line.unwrap());
                if said.last().unwrap().starts_with("Ctrl-C") {
                    break;
                }
            }
            (child, said)
        });
        let (child, said) = started.await.unwrap();
        Self {
            child,
            said,
            _folder: folder,
        }
    }

    /// Ctrl-C; its exit code.
    async fn interrupt(&mut self) -> Option<i32> {
        let kill = format!("kill -INT {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        within_patience(async || self.child.try_wait().unwrap().is_some()).await;
        self.child.wait().unwrap().code()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn nothing_that_a_shell_would_take_for_arguments_stands_behind_a_command() {
    // zsh takes a comment in what is pasted for arguments.
    let blocks = include_str!("../../README.md").split("\n```").skip(1).step_by(2);
    let lines = blocks.filter_map(|block| block.strip_prefix("sh\n"));
    let commented: Vec<&str> = lines
        .flat_map(str::lines)
        .filter(|line| line.starts_with('#') || line.contains(" #"))
        .collect();
    assert_eq!(commented, [""; 0]);
}

#[tokio::test]
async fn tour_ends_without_a_dead_letter() {
    let blocks = blocks();
    let first = blocks
        .iter()
        .position(|block| block.contains("demo --keep"))
        .unwrap();
    let [demo, look, correct, discard] = blocks[first..first + 4] else {
        panic!("{blocks:?}")
    };
    let mut demo = Demo::start(demo).await;
    let pasted: Vec<&str> = demo
        .said
        .iter()
        .map(String::as_str)
        .skip_while(|line| !line.starts_with("export "))
        .take_while(|line| !line.is_empty())
        .collect();
    let exports = *pasted.first().unwrap_or_else(|| panic!("{:?}", demo.said));
    assert!(paste("", &pasted.join("\n")).await.contains("key-taken"));

    let letters = |said: &str| {
        ["mandatory-empty", "key-taken", "not-taken"].map(|cause| said.contains(&format!("[{cause}]")))
    };
    assert_eq!(letters(&paste(exports, look).await), [true, true, true]);
    paste(exports, correct).await;
    // On a slow machine it takes longer than the reader is told to wait.
    let list = format!("{CALLED} dead-letter list");
    within_patience(async || letters(&paste(exports, &list).await) == [false, true, true]).await;
    let show = correct
        .lines()
        .rfind(|line| line.contains("dossier show"))
        .unwrap();
    let shown = paste(exports, show).await;
    let declared = shown.lines().find(|line| line.contains("judicial-records  yes"));
    assert!(declared.is_some_and(|line| line.contains("nothing")), "{shown}");
    // The number is her own: the officers at the one-stop are told that the register knows her by it.
    let check = correct
        .lines()
        .find(|line| line.contains("/quay/XacThuc/"))
        .unwrap();
    within_patience(async || {
        let said = paste(exports, check).await;
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        said["data"]["KetQuaXacThuc"] == "khop"
    })
    .await;
    let said = paste(exports, discard).await;
    assert!(said.trim_end().ends_with("no dead letters"), "{said}");
    assert_eq!(demo.interrupt().await, Some(0));
}

#[tokio::test]
async fn grown_demo_is_a_line_once_its_services_are_there() {
    let blocks = blocks();
    let block = blocks.iter().find(|block| block.contains("--broker")).unwrap();
    // The services go, whatever becomes of the demo.
    let said = paste("set +e", block).await;
    let version = std::env::var("LIENTHONG_TEST_RABBITMQ_VERSION").unwrap();
    for expected in [
        &*format!("broker RabbitMQ {version}"),
        "store PostgreSQL",
        "once and true",
    ] {
        assert!(said.contains(expected), "{said}");
    }
}
