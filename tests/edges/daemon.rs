//! One daemon to a socket.

use serde_json::json;

use crate::support::{Province, cli};

#[tokio::test(flavor = "multi_thread")]
async fn second_daemon_on_the_same_socket_is_refused_and_the_first_goes_on() {
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
    assert!(log.contains(&province.socket().display().to_string()), "{log}");
    assert!(
        log.contains("another node answers there; stop it, or give this one a socket of its own"),
        "{log}"
    );
    let status = cli(&province.socket(), &["status"]).await;
    assert_eq!(status["adapters"][0]["name"], json!("one-stop"));
    drop(first);
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
