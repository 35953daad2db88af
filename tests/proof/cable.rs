//! The cable between a daemon and its database. When it goes silent, what was connected hears nothing any more, not even an
//! end, as when the machine at its other end is gone and another one has taken over its address.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// The cable; ends with the test.
pub(crate) struct Cable {
    /// Host and port of its near end.
    pub(crate) address: String,
    server: Arc<Mutex<String>>,
    orders: watch::Sender<u64>,
    silenced: Arc<AtomicU64>,
    _end: DropGuard,
}

impl Cable {
    /// Leads to the server at this host and port.
    pub(crate) async fn lay(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (orders, server) = (watch::Sender::new(0), Arc::new(Mutex::new(server.to_owned())));
        let silenced = Arc::new(AtomicU64::new(0));
        let end = CancellationToken::new();
        let cable = Self {
            address,
            server: Arc::clone(&server),
            orders: orders.clone(),
            silenced: Arc::clone(&silenced),
            _end: end.clone().drop_guard(),
        };
        let tasks = TaskTracker::new();
        tasks
            .clone()
            .spawn(end.clone().run_until_cancelled_owned(async move {
                while let Ok((near, _)) = listener.accept().await {
                    let silence = orders.subscribe();
                    let server = server.lock().unwrap().clone();
                    let passage = pass(near, server, silence, Arc::clone(&silenced));
                    tasks.spawn(end.clone().run_until_cancelled_owned(passage));
                }
            }));
        cable
    }

    /// New connections lead to this server from now on.
    pub(crate) fn lead_to(&self, server: &str) {
        server.clone_into(&mut self.server.lock().unwrap());
    }

    /// Silences every connection that there is; those that are made from now on are well.
    pub(crate) fn silence(&self) {
        self.orders.send_modify(|count| *count += 1);
    }

    /// How many connections were silenced.
    pub(crate) fn silenced(&self) -> u64 {
        self.silenced.load(Ordering::SeqCst)
    }
}

async fn pass(
    mut near: TcpStream,
    server: String,
    mut silence: watch::Receiver<u64>,
    silenced: Arc<AtomicU64>,
) {
    silence.mark_unchanged();
    let Ok(mut far) = TcpStream::connect(server).await else {
        return;
    };
    tokio::select! {
        _ = copy_bidirectional(&mut near, &mut far) => return,
        _ = silence.changed() => {}
    }
    silenced.fetch_add(1, Ordering::SeqCst);
    drop(far);
    std::future::pending::<()>().await;
}
