//! One broken manifest per kind of fault, the whole message expected.

use super::world::{World, told};
use crate::adapter::{Adapter, Site};

#[test]
fn a_sound_manifest_loads() {
    assert_eq!(World::sound().told(), Vec::<String>::new());
}

#[test]
fn each_break_is_told_with_place_and_remedy() {
    let blocks = include_str!("broken.txt")
        .split("\n\n")
        .skip(1)
        .filter(|block| !block.trim().is_empty());
    let mut differing = Vec::new();
    for block in blocks {
        let (mut from, mut to, mut expected) = (String::new(), String::new(), Vec::new());
        for line in block.trim().lines() {
            match line.split_once(' ') {
                Some(("-", text)) => from = text.replace("\\n", "\n"),
                Some(("+", text)) => to = text.replace("\\n", "\n"),
                _ if line == "+" => {}
                _ => expected.push(line.to_owned()),
            }
        }
        let told = World::sound().with(&from, &to).told();
        if told != expected {
            differing.push(format!(
                "- {}\n+ {}\n{}\n",
                from.replace('\n', "\\n"),
                to.replace('\n', "\\n"),
                told.join("\n")
            ));
        }
    }
    assert!(differing.is_empty(), "\n{}", differing.join("\n"));
}

#[test]
fn a_secret_that_is_not_set_is_told_to_a_site_that_runs() {
    let world = World::sound();
    let faults = Adapter::load(world.folder.path(), &Site::new("book", |_| None)).unwrap_err();
    assert_eq!(
        told(&faults),
        [
            "adapter.toml:14: [secret-missing] settings.password: found BOOK_PASSWORD is not set; next set BOOK_PASSWORD, \
          or BOOK_PASSWORD_FILE to the file that holds it, in the environment"
        ]
    );
}

#[test]
fn a_setting_that_the_manifest_does_not_have_is_told() {
    let world = World::sound();
    let settings = serde_json::json!({"agancy": "H57"}).as_object().unwrap().clone();
    let site = Site::sample("book").with_settings(settings).with_url("nowhere");
    assert_eq!(
        told(&Adapter::load(world.folder.path(), &site).unwrap_err()),
        [
            "lienthong.toml: [unknown-setting] adapter.book.settings.agancy: expected `agency`; next correct the name",
            "lienthong.toml: [bad-url] adapter.book.url: found \"nowhere\"; expected http:// or https:// with a host, \
             without `?` and `#`; next correct the address; what follows the host belongs into `path` and `query`",
        ]
    );
}

#[test]
fn faults_beside_the_manifest_are_told_with_their_file() {
    let inbound = "{dossier: .no, status: {value: (.state | to_canonical(\"sttae\"))}}";
    let rows = [
        ("spare.jq", ".", "spare.jq: [filter-unused]"),
        ("inbound.jq", inbound, "inbound.jq:1: [table-missing]"),
        (
            "inbound.jq",
            "\n{dossier: $settings.password}",
            "inbound.jq:2: [secret-in-mapping]",
        ),
        (
            "inbound.jq",
            "{dossier:\n  (.no | foo)}",
            "inbound.jq:2: [unknown-function]",
        ),
        (
            "inbound.jq",
            "{dossier: $token}",
            "inbound.jq:1: [unknown-variable]",
        ),
        (
            "tables/state.csv",
            "native,canonical\n1,\n",
            "tables/state.csv:2: [table-empty-code]",
        ),
    ];
    for (file, content, expected) in rows {
        let world = World::sound();
        world.write(file, content);
        let told = world.told();
        assert!(
            told.iter().any(|line| line.starts_with(expected)),
            "{file}: {told:?}"
        );
    }
}

#[test]
fn a_faulty_filter_and_a_faulty_table_hide_no_fault_of_the_manifest() {
    let world = World::sound().with("when = '.schedule.due'", "when = 'shedule'");
    world.write("inbound.jq", "{dossier: .no");
    world.write("tables/state.csv", "native,canonical\n1,\n");
    let told = world.told();
    for expected in [
        "[unknown-function]",
        "inbound.jq:1: [jq-syntax]",
        "tables/state.csv:2: [table-empty-code]",
    ] {
        assert!(
            told.iter().any(|line| line.contains(expected)),
            "{expected}: {told:?}"
        );
    }
}

#[test]
fn a_folder_without_manifest_is_told() {
    let folder = tempfile::TempDir::new().unwrap();
    let faults = Adapter::load(folder.path(), &Site::sample("book")).unwrap_err();
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].code, "manifest-missing");
}

#[test]
fn a_manifest_in_another_encoding_is_told() {
    let world = World::sound();
    std::fs::write(
        world.folder.path().join("adapter.toml"),
        b"title = \"S\xe6 h\xe5 s\xac\"",
    )
    .unwrap();
    assert_eq!(
        world.told(),
        [
            "adapter.toml: [manifest-encoding] found stream did not contain valid UTF-8; expected a file in UTF-8; next save the file as UTF-8"
        ]
    );
}

#[test]
fn many_faults_are_told_at_once_in_the_order_of_lines() {
    let world = World::sound()
        .with("title = \"Sổ hồ sơ\"\n", "")
        .with("every = \"30s\"", "every = \"30 seconds\"")
        .with("is = \"exists\"", "is = \"there\"")
        .with("key = '.no'", "key = '.no | foo'")
        .with("settle = \"90s\"", "setle = \"90s\"")
        .with(
            "[push.step]\nafter = \"dossier\"",
            "[push.step]\nafter = \"nothing\"",
        );
    let faults = world.load().unwrap_err();
    let told: Vec<_> = faults
        .iter()
        .map(|fault| (fault.line.unwrap(), fault.code.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (1, "missing-key"),
            (8, "unknown-verdict"),
            (14, "missing-key"),
            (18, "unknown-key"),
            (34, "bad-duration"),
            (45, "unknown-function"),
            (54, "after-unknown"),
        ]
    );
}
