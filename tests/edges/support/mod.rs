//! What the tests stand on: dossiers, a node inside the test, the program as a process, a target that does as told.

mod bench;
mod daemon;
mod office;
pub(crate) mod rabbit;
mod rows;
mod site;
mod target;
mod watch;
pub(crate) mod wire;

use std::sync::Once;
use std::time::Duration;

use tokio::time::{Instant, sleep};

pub(crate) use bench::{Bench, stand_in};
pub(crate) use daemon::{Daemon, Follower, Province, Ran, ask, cli};
pub(crate) use office::{OFFICE, desk, patch};
pub(crate) use rows::{SECRET, code, post, post_signed, row, sign, worked};
pub(crate) use site::{MANIFEST, SHIPPED, START, Site, contents, contents_of, secret};
pub(crate) use target::{Act, Call, Target};
pub(crate) use watch::Watch;

/// Longest time that anything in these tests may take.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// Waits until there is something to see; fails with `what` if that never comes about.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < deadline, "{what}: that never came about");
        sleep(LOOK).await;
    }
}

/// What `cli::main` does first.
pub(crate) fn install_tls() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}

pub(crate) fn client() -> reqwest::Client {
    install_tls();
    reqwest::Client::builder()
        .timeout(LIMIT)
        .no_proxy()
        .build()
        .unwrap()
}
