//! The unit with which the daemon is run under systemd.

use std::path::Path;
use std::process::Command;

const UNIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/lienthong.service");

/// What `systemd-analyze security` may call the exposure at most, times ten: 0 is locked up, 100 is a shell as root.
const EXPOSURE: u8 = 19;

fn analyze(words: &[&str]) -> (bool, String) {
    let output = Command::new("systemd-analyze")
        .args(words)
        .env("LC_ALL", "C.UTF-8")
        .output()
        .expect("tests/run sees to it that systemd-analyze is there");
    let told = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&told).into_owned(),
    )
}

fn text() -> String {
    std::fs::read_to_string(UNIT).unwrap()
}

/// Value of a setting of the unit.
fn setting(name: &str) -> String {
    let text = text();
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("the unit sets {name}")).to_owned()
}

#[test]
fn daemon_is_exposed_by_its_unit_to_less_than_two_of_ten() {
    let threshold = format!("--threshold={EXPOSURE}");
    let (is_below, told) = analyze(&["security", "--offline=true", &threshold, UNIT]);
    assert!(is_below, "{told}");
    let bare = tempfile::tempdir().unwrap();
    let bare = bare.path().join("lienthong.service");
    let open = text()
        .replace("NoNewPrivileges=yes", "")
        .replace("CapabilityBoundingSet=", "");
    std::fs::write(&bare, open).unwrap();
    let (is_below, _) = analyze(&["security", "--offline=true", &threshold, bare.to_str().unwrap()]);
    assert!(!is_below, "a unit with fewer locks is told from this one");
}

#[test]
fn unit_has_no_setting_that_systemd_does_not_know() {
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("lienthong.service");
    // The program is not installed where the tests run.
    std::fs::write(
        &unit,
        text().replace("/usr/bin/lienthong", env!("CARGO_BIN_EXE_lienthong")),
    )
    .unwrap();
    let (is_sound, told) = analyze(&["verify", "--man=no", unit.to_str().unwrap()]);
    assert!(is_sound && told.is_empty(), "{told}");
}

#[test]
fn unit_gives_the_daemon_the_folders_that_the_shipped_configuration_names() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/lienthong.toml");
    let config = std::fs::read_to_string(shipped).unwrap();
    for (setting, folder) in [
        (setting("StateDirectory"), "sqlite:///var/lib/"),
        (setting("RuntimeDirectory"), "/run/"),
    ] {
        let place = format!("\"{folder}{setting}/");
        assert!(
            config.contains(&place),
            "the configuration has nothing in {place}"
        );
    }
    for start in ["ExecStartPre", "ExecStart"] {
        assert!(
            setting(start).ends_with(" --config /etc/lienthong/lienthong.toml"),
            "{start}"
        );
    }
}
