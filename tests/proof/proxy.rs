//! A TCP proxy between the daemon and the oracle: cuts, stalls, delays, refuses, and strikes the daemon in the middle of an
//! exchange. What befalls a connection is drawn by seed and the connection's number.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::node::Address;
use crate::oracle::mishap::Roll;

/// Of a hundred connections, so many are refused.
const REFUSED: u8 = 40;

/// Latest byte of a direction at which it is cut: the first or second exchange of a connection.
const CUT: u64 = 500;

/// Longest delay of a piece.
const DELAY_MS: u64 = 80;

/// What goes wrong on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Way {
    /// Nothing.
    Clear,
    /// Of what the daemon sends, the target gets only the beginning.
    CutRequest,
    /// Of what the target sends, the daemon gets only the beginning.
    CutAnswer,
    /// The answer stands still on the way until the daemon gives up.
    Stall,
    /// Every piece takes its time, in both directions.
    Delay,
    /// The connection is reset at once.
    Refuse,
}

impl Way {
    /// All of them.
    pub(crate) const ALL: [Self; 6] = [
        Self::Clear,
        Self::CutRequest,
        Self::CutAnswer,
        Self::Stall,
        Self::Delay,
        Self::Refuse,
    ];
}

/// Where in an exchange the daemon is struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Moment {
    /// The target has half of a writing request.
    MidRequest,
    /// The answer to a writing request has left the target, and the daemon has not got it.
    Answered,
}

/// A blow at the daemon: at the `nth` time that it comes to this moment.
pub(crate) struct Strike {
    pub(crate) moment: Moment,
    pub(crate) nth: u64,
    pub(crate) signal: Signal,
    /// Whom it meets.
    pub(crate) daemon: Address,
}

impl Strike {
    /// Deals it. Whether the exchange goes on after it: one that is stopped wakes up in the middle of it.
    async fn deal(&self) -> bool {
        self.daemon.strike(self.signal);
        if self.signal == Signal::KILL {
            return false;
        }
        sleep(Duration::from_millis(50)).await;
        while self.daemon.is_stopped() {
            sleep(Duration::from_millis(5)).await;
        }
        true
    }
}

struct Shared {
    seed: u64,
    way: Way,
    target: SocketAddr,
    is_calm: AtomicBool,
    connections: AtomicU64,
    bitten: AtomicU64,
    strike: Option<Strike>,
    moments: AtomicU64,
}

/// The proxy; ends with the test.
pub(crate) struct Proxy {
    /// Where the daemon finds it.
    pub(crate) url: String,
    shared: Arc<Shared>,
    _end: DropGuard,
}

impl Proxy {
    /// Stands before the target at `url`.
    pub(crate) async fn start(url: &str, seed: u64, way: Way, strike: Option<Strike>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shared = Arc::new(Shared {
            seed,
            way,
            target: url.strip_prefix("http://").unwrap().parse().unwrap(),
            is_calm: AtomicBool::new(false),
            connections: AtomicU64::new(0),
            bitten: AtomicU64::new(0),
            strike,
            moments: AtomicU64::new(0),
        });
        let end = CancellationToken::new();
        let proxy = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            shared: Arc::clone(&shared),
            _end: end.clone().drop_guard(),
        };
        let tasks = TaskTracker::new();
        tasks
            .clone()
            .spawn(end.clone().run_until_cancelled_owned(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let passage = pass(stream, Arc::clone(&shared));
                    tasks.spawn(end.clone().run_until_cancelled_owned(passage));
                }
            }));
        proxy
    }

    /// Nothing befalls connections that are made from now on.
    pub(crate) fn calm(&self) {
        self.shared.is_calm.store(true, Ordering::SeqCst);
    }

    /// How many connections met the fault.
    pub(crate) fn bitten(&self) -> u64 {
        self.shared.bitten.load(Ordering::SeqCst)
    }
}

/// What befalls one connection.
struct Fate {
    way: Way,
    /// After so many bytes of the direction that it is about.
    after: u64,
    roll: Mutex<Roll>,
}

async fn pass(near: TcpStream, shared: Arc<Shared>) {
    let number = shared.connections.fetch_add(1, Ordering::SeqCst);
    let mut roll = Roll::new(shared.seed, &format!("connection {number}"));
    let is_calm = shared.is_calm.load(Ordering::SeqCst);
    let way = if is_calm { Way::Clear } else { shared.way };
    // The first is, so that a daemon which needs only one connection meets the fault too.
    if way == Way::Refuse && (number == 0 || roll.of_hundred() < REFUSED) {
        shared.bitten.fetch_add(1, Ordering::SeqCst);
        drop(near.set_zero_linger());
        return;
    }
    let Ok(far) = TcpStream::connect(shared.target).await else {
        // The target is down, and the daemon sees that.
        drop(near.set_zero_linger());
        return;
    };
    let fate = Arc::new(Fate {
        way,
        after: roll.between(1, CUT),
        roll: Mutex::new(roll),
    });
    let is_write = AtomicBool::new(false);
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    // Whichever direction ends takes the other with it, as a cut cable does.
    tokio::select! {
        () = carry(near_in, far_out, Direction::Request, &fate, &shared, &is_write) => {}
        () = carry(far_in, near_out, Direction::Answer, &fate, &shared, &is_write) => {}
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Request,
    Answer,
}

async fn carry(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    direction: Direction,
    fate: &Fate,
    shared: &Shared,
    is_write: &AtomicBool,
) {
    let bite = || shared.bitten.fetch_add(1, Ordering::SeqCst);
    let mut carried = 0_u64;
    let mut buffer = vec![0; 16 << 10];
    while let Ok(length) = from.read(&mut buffer).await
        && length > 0
    {
        let piece = &buffer[..length];
        if direction == Direction::Request && is_start(piece) {
            is_write.store(!piece.starts_with(b"GET "), Ordering::SeqCst);
        }
        let mut rest = piece;
        if let Some(strike) = due(shared, direction, is_write) {
            let half = if direction == Direction::Request {
                length / 2
            } else {
                0
            };
            if to.write_all(&piece[..half]).await.is_err() {
                return;
            }
            rest = &piece[half..];
            if !strike.deal().await {
                return;
            }
        }
        if fate.way == Way::Delay {
            bite();
            let delay = fate.roll.lock().unwrap().between(1, DELAY_MS);
            sleep(Duration::from_millis(delay)).await;
        }
        let cuts = match fate.way {
            Way::CutRequest => direction == Direction::Request,
            Way::CutAnswer | Way::Stall => direction == Direction::Answer,
            Way::Clear | Way::Delay | Way::Refuse => false,
        };
        let left = fate.after.saturating_sub(carried);
        if cuts && rest.len() as u64 > left {
            bite();
            let kept = usize::try_from(left).unwrap_or(0);
            drop(to.write_all(&rest[..kept]).await);
            if fate.way == Way::Stall {
                // The daemon hangs up, which ends the other direction and with it this one.
                std::future::pending::<()>().await;
            }
            return;
        }
        carried += rest.len() as u64;
        if to.write_all(rest).await.is_err() {
            return;
        }
    }
}

fn is_start(piece: &[u8]) -> bool {
    [&b"GET "[..], b"POST ", b"PUT ", b"PATCH "]
        .iter()
        .any(|method| piece.starts_with(method))
}

/// The strike, if this piece is where it falls.
fn due<'a>(shared: &'a Shared, direction: Direction, is_write: &AtomicBool) -> Option<&'a Strike> {
    let strike = shared.strike.as_ref()?;
    let here = match strike.moment {
        Moment::MidRequest => direction == Direction::Request,
        Moment::Answered => direction == Direction::Answer,
    };
    let now = here && is_write.load(Ordering::SeqCst);
    (now && shared.moments.fetch_add(1, Ordering::SeqCst) + 1 == strike.nth).then_some(strike)
}
