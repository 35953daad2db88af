//! One daemon to a socket.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::support::{Province, cli, until};

#[tokio::test(flavor = "multi_thread")]
async fn second_daemon_on_the_same_store_is_refused_and_the_first_goes_on() {
    let province = Province::new(&[]);
    let first = province.start().await;
    let mut second = province.spawn();
    assert_eq!(
        second.end().await.code(),
        Some(2),
        "a matter of configuration: {}",
        second.log()
    );
    let log = second.log();
    assert!(
        log.contains("another process works on") && log.contains("lienthong.db"),
        "{log}"
    );
    assert_first_goes_on(&province).await;
    drop(first);
}

#[tokio::test(flavor = "multi_thread")]
async fn second_daemon_on_the_same_socket_is_refused_and_the_first_goes_on() {
    let province = Province::new(&[]);
    let first = province.start().await;
    province.reconfigure("lienthong.db", "second.db");
    let mut second = province.spawn();
    assert_eq!(
        second.end().await.code(),
        Some(2),
        "a matter of configuration: {}",
        second.log()
    );
    let log = second.log();
    assert!(log.contains(&province.socket().display().to_string()), "{log}");
    assert!(
        log.contains("another node answers there; stop it, or give this one a socket of its own"),
        "{log}"
    );
    assert_first_goes_on(&province).await;
    drop(first);
}

async fn assert_first_goes_on(province: &Province) {
    let status = cli(&province.socket(), &["status"]).await;
    assert_eq!(status["adapters"][0]["name"], json!("one-stop"));
}

#[tokio::test(flavor = "multi_thread")]
async fn daemon_that_waits_for_its_database_says_so_and_ends_when_told() {
    let province = Province::new(&[]);
    // nobody listens there
    province.reconfigure(province.store_url(), "postgres://lienthong@127.0.0.1:9/lienthong");
    let mut daemon = province.spawn();
    let said = until("it has tried twice", async || {
        let log = daemon.log();
        (log.matches("the database cannot be reached").count() > 1).then_some(log)
    })
    .await;
    assert!(said.contains("correct store.url"), "{said}");
    daemon.terminate();
    assert_eq!(daemon.end().await.code(), Some(0), "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_citizens_handed_in_can_be_read_by_the_owner_of_the_store_only() {
    let province = Province::new(&[]);
    let _daemon = province.start().await;
    for file in [
        "lienthong.db",
        "lienthong.db-wal",
        "lienthong.db-shm",
        "lienthong.db.lock",
    ] {
        let path = province.socket().parent().unwrap().join(file);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file} has mode {mode:o}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn socket_that_a_killed_daemon_left_behind_is_taken_over() {
    let province = Province::new(&[]);
    let mut first = province.start().await;
    let before = cli(&province.socket(), &["status"]).await;
    first.kill();
    assert!(province.socket().exists());
    let mut second = province.start().await;
    let after = cli(&province.socket(), &["status"]).await;
    assert_eq!(before["store_id"], after["store_id"], "the same store");
    second.terminate();
    assert_eq!(second.end().await.code(), Some(0));
    assert!(!province.socket().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn file_that_is_no_socket_is_not_taken_away() {
    let province = Province::new(&[]);
    std::fs::write(province.socket(), "somebody's notes").unwrap();
    let mut daemon = province.spawn();
    assert_eq!(daemon.end().await.code(), Some(2), "{}", daemon.log());
    assert_eq!(
        std::fs::read_to_string(province.socket()).unwrap(),
        "somebody's notes"
    );
}
