//! A small pool of threads on which filters run, apart from those that serve connections.
//!
//! The threads have stacks that fit the bounds of a run. They are started when there is work for them and leave when
//! there has been none for a while, so a pool that nobody uses costs nothing. Work waits in a queue until a thread is
//! free; the limit counts from when a thread takes it. The bounds of a run end nearly everything long before that
//! limit. What still goes on then is given up: Rust cannot stop a thread, so its place is taken by a new one, and it
//! leaves when it ends. Only so many threads are given up; beyond it the pool takes no more work until one has ended.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::meter;

/// Work that did not come to an end. Its caller pauses what the work was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Stuck {
    /// It ran longer than the limit and was given up.
    #[error("work did not end within {0:?}")]
    TooSlow(Duration),
    /// It panicked.
    #[error("work broke off")]
    Broken,
    /// It was not begun: the system gives no thread, or too many threads were given up that still run.
    #[error("no thread could be had for the work")]
    NoThread,
}

/// How many given-up threads may still run in a pool. Each of them may take a processor for itself.
const GIVEN_UP: usize = 4;

/// How long a thread waits for work before it leaves.
const IDLE: Duration = Duration::from_secs(30);

/// The pool. Clones share it; the threads end when the last clone is gone and the queue is empty.
#[derive(Debug, Clone)]
pub struct Workers(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Threads { limit: Duration, pool: Arc<Owner> },
    Inline,
}

/// Closes the pool when the last [`Workers`] is gone. The threads themselves hold the pool, not this.
#[derive(Debug)]
struct Owner(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    state: Mutex<State>,
    /// Rung for waiting threads.
    bell: Condvar,
    /// Most threads that take work.
    most: usize,
}

#[derive(Default)]
struct State {
    queue: VecDeque<(u64, Job)>,
    /// The work under way, by number, and when a thread took it. What was given up is no longer here.
    running: BTreeMap<u64, Instant>,
    /// Threads that take work.
    threads: usize,
    /// Of those, how many wait for some, or have just been started.
    idle: usize,
    /// Threads whose work was given up; each leaves when its work ends.
    given_up: usize,
    /// Pieces of work so far.
    count: u64,
    closed: bool,
}

type Job = Box<dyn FnOnce() + Send>;

impl Workers {
    /// A pool of at most so many threads, at least one. `limit` is the longest that one piece of work may run.
    #[must_use]
    pub fn new(threads: usize, limit: Duration) -> Self {
        let pool = Arc::new(Pool {
            state: Mutex::default(),
            bell: Condvar::new(),
            most: threads.max(1),
        });
        Self(Kind::Threads {
            limit,
            pool: Arc::new(Owner(pool)),
        })
    }

    /// No threads: work is done where it is asked for, before the caller is given back its turn, and nothing gives it
    /// up. For the simulation, whose runs must be the same every time; [`on_big_stack`](super::on_big_stack) gives it a
    /// thread on which filters need no other one.
    #[must_use]
    pub fn inline() -> Self {
        Self(Kind::Inline)
    }

    /// Another pool of this kind, which shares no thread with it.
    #[must_use]
    pub fn another(&self) -> Self {
        match &self.0 {
            Kind::Threads { limit, pool } => Self::new(pool.0.most, *limit),
            Kind::Inline => Self::inline(),
        }
    }

    /// The longest that one piece of work may run.
    pub(super) fn limit(&self) -> Duration {
        match &self.0 {
            Kind::Threads { limit, .. } => *limit,
            Kind::Inline => Duration::MAX,
        }
    }

    /// Runs work on one of the threads and waits for it. Work whose caller stops waiting is done all the same.
    ///
    /// # Errors
    ///
    /// [`Stuck`] if it takes longer than the limit, breaks off or cannot be begun.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Stuck> {
        let (limit, pool) = match &self.0 {
            Kind::Threads { limit, pool } => (*limit, &pool.0),
            Kind::Inline => return catch_unwind(AssertUnwindSafe(work)).map_err(|_| Stuck::Broken),
        };
        let (taken, mut is_taken) = oneshot::channel();
        let (done, mut is_done) = oneshot::channel();
        let number = Pool::put(
            pool,
            Box::new(move || {
                // Nobody listens if the caller has stopped waiting.
                taken.send(()).ok();
                done.send(work()).ok();
            }),
        )?;
        loop {
            match tokio::time::timeout(limit, &mut is_taken).await {
                Ok(Ok(())) => break,
                Ok(Err(_)) => return Err(Stuck::NoThread),
                // Who waits sees to the work before it: nobody may be waiting for that any more.
                Err(_) => Pool::give_up(pool, |_, since| since.elapsed() >= limit),
            }
        }
        // In two halves: a process that was stopped for a while finds one of them gone when it wakes, and no work done.
        for _ in 0..2 {
            if let Ok(outcome) = tokio::time::timeout(limit / 2, &mut is_done).await {
                return outcome.map_err(|_| Stuck::Broken);
            }
        }
        Pool::give_up(pool, |running, _| running == number);
        Err(Stuck::TooSlow(limit))
    }
}

impl Pool {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nobody panics while holding the lock with the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues work and sees that there is a thread for it. The number of the work.
    fn put(pool: &Arc<Self>, job: Job) -> Result<u64, Stuck> {
        let mut state = pool.state();
        let number = state.count;
        state.count += 1;
        state.queue.push_back((number, job));
        let dropped = Self::staff(pool, &mut state);
        drop(state);
        pool.bell.notify_one();
        if dropped.is_empty() {
            Ok(number)
        } else {
            Err(Stuck::NoThread)
        }
    }

    /// Gives up the work under way of which this holds: its threads no longer count, others are started in their place.
    fn give_up(pool: &Arc<Self>, which: impl Fn(u64, Instant) -> bool) {
        let mut state = pool.state();
        let before = state.running.len();
        state.running.retain(|number, since| !which(*number, *since));
        let given_up = before - state.running.len();
        state.threads -= given_up;
        state.given_up += given_up;
        let dropped = Self::staff(pool, &mut state);
        drop(state);
        drop(dropped);
    }

    /// Starts threads for the work that waits, as far as the pool may have more. What waits where there is no thread and
    /// none can be had is given back, to be dropped: its callers learn of it.
    fn staff(pool: &Arc<Self>, state: &mut State) -> VecDeque<(u64, Job)> {
        while state.queue.len() > state.idle && state.threads < pool.most && state.given_up < GIVEN_UP {
            let serving = Arc::clone(pool);
            let builder = thread::Builder::new()
                .name("jq".to_owned())
                .stack_size(meter::STACK);
            if let Err(error) = builder.spawn(move || serving.serve()) {
                tracing::error!(%error, "no thread for filters could be started");
                break;
            }
            state.threads += 1;
            state.idle += 1;
        }
        if state.threads == 0 {
            return std::mem::take(&mut state.queue);
        }
        VecDeque::new()
    }

    fn serve(&self) {
        meter::has_big_stack();
        let mut state = self.state();
        state.idle -= 1;
        loop {
            if let Some((number, job)) = state.queue.pop_front() {
                state.running.insert(number, Instant::now());
                drop(state);
                // A panic ends the work, not the thread; the caller learns of it by the broken channel.
                catch_unwind(AssertUnwindSafe(job)).ok();
                state = self.state();
                if state.running.remove(&number).is_none() {
                    state.given_up -= 1;
                    return;
                }
                continue;
            }
            if state.closed {
                state.threads -= 1;
                return;
            }
            state.idle += 1;
            let (woken, wait) = self
                .bell
                .wait_timeout(state, IDLE)
                .unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if wait.timed_out() && state.queue.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.state().closed = true;
        self.0.bell.notify_all();
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("waiting", &self.queue.len())
            .field("running", &self.running.len())
            .field("threads", &self.threads)
            .field("given_up", &self.given_up)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(50);

    fn pool(workers: &Workers) -> &Pool {
        match &workers.0 {
            Kind::Threads { pool, .. } => &pool.0,
            Kind::Inline => panic!("these workers have threads"),
        }
    }

    /// Work that ends when its gate is opened or dropped.
    fn gated() -> (std::sync::mpsc::Sender<()>, impl FnOnce() + Send + 'static) {
        let (release, gate) = channel::<()>();
        let wait = move || {
            gate.recv().ok();
        };
        (release, wait)
    }

    #[tokio::test]
    async fn stuck_work_is_given_up_and_others_go_on() {
        let workers = Workers::new(1, LIMIT);
        let (release, stuck) = gated();
        assert_eq!(workers.run(stuck).await, Err(Stuck::TooSlow(LIMIT)));
        assert_eq!(workers.run(|| 1 + 1).await, Ok(2));
        drop(release);
        assert_eq!(workers.run(|| 2 + 2).await, Ok(4));
        while pool(&workers).state().given_up > 0 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn stuck_work_that_nobody_waits_for_is_given_up_by_those_behind_it() {
        let workers = Workers::new(1, LIMIT);
        let (release, stuck) = gated();
        let gone = tokio::time::timeout(LIMIT / 5, workers.run(stuck)).await;
        assert!(gone.is_err(), "its caller went away");
        assert_eq!(workers.run(|| 3).await, Ok(3));
        drop(release);
    }

    #[tokio::test]
    async fn pool_with_too_many_stuck_threads_takes_no_work_until_one_has_ended() {
        let workers = Workers::new(2, LIMIT);
        let mut gates = Vec::new();
        for _ in 0..GIVEN_UP {
            let (release, stuck) = gated();
            gates.push(release);
            assert_eq!(workers.run(stuck).await, Err(Stuck::TooSlow(LIMIT)));
        }
        assert_eq!(workers.run(|| 3).await, Err(Stuck::NoThread));
        assert_eq!(
            workers.another().run(|| 3).await,
            Ok(3),
            "another pool is none the worse"
        );
        gates.pop();
        while pool(&workers).state().given_up == GIVEN_UP {
            tokio::task::yield_now().await;
        }
        assert_eq!(workers.run(|| 3).await, Ok(3));
    }

    #[tokio::test]
    async fn threads_come_with_the_work_and_never_more_than_allowed() {
        let workers = Workers::new(2, Duration::from_secs(5));
        assert_eq!(pool(&workers).state().threads, 0, "nobody has asked for work yet");
        let (first, blocked) = gated();
        let (second, blocked_too) = gated();
        let late = async {
            drop((first, second));
            workers.run(|| 7).await
        };
        let all = tokio::join!(
            workers.run(blocked),
            workers.run(blocked_too),
            workers.run(|| 6),
            late
        );
        assert_eq!(all, (Ok(()), Ok(()), Ok(6), Ok(7)));
        assert_eq!(pool(&workers).state().threads, 2);
    }

    #[tokio::test]
    async fn panic_of_work_reaches_its_caller_only() {
        for workers in [Workers::new(1, Duration::from_secs(5)), Workers::inline()] {
            assert_eq!(
                workers.run(|| assert_eq!(1, 2, "on purpose")).await,
                Err(Stuck::Broken)
            );
            assert_eq!(workers.run(|| 3).await, Ok(3));
        }
    }

    #[tokio::test]
    async fn inline_work_is_done_on_the_thread_of_its_caller() {
        let caller = thread::current().id();
        let worker = Workers::inline().run(|| thread::current().id()).await;
        assert_eq!(worker, Ok(caller));
    }
}
