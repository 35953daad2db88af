//! A wire to a broker, on which something befalls what passes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// What befalls a wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Fate {
    Clear,
    /// Each connection dies after some bytes.
    Cut,
    /// Nothing arrives any more, and nobody is told.
    Swallow,
    /// What the broker says waits on the way.
    Hold,
    /// What the broker brings waits on the way; its confirms arrive.
    Withhold,
}

/// What a message with an event has in it, and nothing else.
const EVENT: &[u8] = b"cloudEvents_";

/// A wire to a broker.
pub(crate) struct Wire {
    pub(super) port: u16,
    fate: Arc<AtomicU8>,
    bitten: Arc<AtomicU64>,
    /// Connections that were made.
    made: Arc<AtomicU64>,
    cuts: watch::Sender<()>,
    _end: DropGuard,
}

impl Wire {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let end = CancellationToken::new();
        let wire = Self {
            port: listener.local_addr().unwrap().port(),
            fate: Arc::default(),
            bitten: Arc::default(),
            made: Arc::default(),
            cuts: watch::Sender::new(()),
            _end: end.clone().drop_guard(),
        };
        let (fate, bitten) = (Arc::clone(&wire.fate), Arc::clone(&wire.bitten));
        let (made, cuts) = (Arc::clone(&wire.made), wire.cuts.clone());
        let tasks = TaskTracker::new();
        tasks
            .clone()
            .spawn(end.clone().run_until_cancelled_owned(async move {
                while let Ok((near, _)) = listener.accept().await {
                    let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else {
                        continue;
                    };
                    let (fate, bitten) = (Arc::clone(&fate), Arc::clone(&bitten));
                    made.fetch_add(1, Ordering::SeqCst);
                    let mut cut = cuts.subscribe();
                    tasks.spawn(end.clone().run_until_cancelled_owned(async move {
                        let (near_in, near_out) = near.into_split();
                        let (far_in, far_out) = far.into_split();
                        tokio::select! {
                            () = carry(near_in, far_out, false, &fate, &bitten) => {}
                            () = carry(far_in, near_out, true, &fate, &bitten) => {}
                            _ = cut.changed() => {}
                        }
                    }));
                }
            }));
        wire
    }

    pub(crate) fn set(&self, fate: Fate) {
        self.fate.store(fate as u8, Ordering::SeqCst);
    }

    /// Cuts every connection that there is.
    pub(crate) fn cut(&self) {
        self.bitten.fetch_add(1, Ordering::SeqCst);
        self.cuts.send_replace(());
    }

    /// How many connections were made.
    pub(crate) fn made(&self) -> u64 {
        self.made.load(Ordering::SeqCst)
    }

    /// How often the fate was met.
    pub(crate) fn bitten(&self) -> u64 {
        self.bitten.load(Ordering::SeqCst)
    }
}

async fn carry(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    is_answer: bool,
    fate: &AtomicU8,
    bitten: &AtomicU64,
) {
    let is = |wanted: Fate| fate.load(Ordering::SeqCst) == wanted as u8;
    let mut left = fastrand::usize(3_000..60_000);
    let mut buffer = vec![0; 4 << 10];
    while let Ok(length) = from.read(&mut buffer).await
        && length > 0
    {
        let is_event = || buffer[..length].windows(EVENT.len()).any(|part| part == EVENT);
        if is_answer && (is(Fate::Hold) || (is(Fate::Withhold) && is_event())) {
            bitten.fetch_add(1, Ordering::SeqCst);
            while is(Fate::Hold) || is(Fate::Withhold) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        if is(Fate::Swallow) {
            bitten.fetch_add(1, Ordering::SeqCst);
            continue;
        }
        if is(Fate::Cut) && length > left {
            bitten.fetch_add(1, Ordering::SeqCst);
            drop(to.write_all(&buffer[..left]).await);
            return;
        }
        left = left.saturating_sub(length);
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
