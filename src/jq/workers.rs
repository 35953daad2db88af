//! A small pool of threads on which filters run, apart from those that serve connections.
//!
//! The threads have stacks that fit the bounds of a run. Work waits in a queue until a thread is free; the limit counts
//! from when a thread takes it. The bounds of a run end nearly everything long before that limit. What still goes on
//! then is given up: Rust cannot stop a thread, so its place is taken by a new one, and it leaves when it ends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use super::meter;

/// Work that did not come to an end. Its caller pauses what the work was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Stuck {
    /// It ran longer than the limit and was given up.
    #[error("work did not end within {0:?}")]
    TooSlow(Duration),
    /// It panicked, or no thread could be started for it.
    #[error("work broke off")]
    Broken,
}

/// How many given-up threads are replaced at most: beyond it something is wrong that more threads do not mend.
const REPLACED: usize = 16;

/// A piece of work on its way.
struct Job {
    work: Box<dyn FnOnce() + Send>,
    state: Arc<AtomicU8>,
}

/// The states of a job. Whoever leaves `RUNNING` first decides: the thread by ending, the caller by giving up.
const RUNNING: u8 = 0;
const ENDED: u8 = 1;
const GIVEN_UP: u8 = 2;

/// The pool. Clones share it; the threads end when the last clone is gone and the queue is empty.
#[derive(Debug, Clone)]
pub struct Workers(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Threads {
        jobs: Sender<Job>,
        limit: Duration,
        pool: Arc<Pool>,
    },
    Inline,
}

#[derive(Debug)]
struct Pool {
    queue: Mutex<Receiver<Job>>,
    /// Threads whose work was given up and that have been replaced; each leaves when its work ends.
    replaced: AtomicUsize,
}

impl Workers {
    /// Starts the threads, at least one. `limit` is the longest that one piece of work may run.
    #[must_use]
    pub fn new(threads: usize, limit: Duration) -> Self {
        let (jobs, queue) = channel();
        let pool = Arc::new(Pool {
            queue: Mutex::new(queue),
            replaced: AtomicUsize::new(0),
        });
        for _ in 0..threads.max(1) {
            Pool::start(&pool);
        }
        Self(Kind::Threads { jobs, limit, pool })
    }

    /// No threads: work is done where it is asked for, before the caller is given back its turn, and nothing gives it
    /// up. For the simulation, whose runs must be the same every time; [`on_big_stack`](super::on_big_stack) gives it a
    /// thread on which filters need no other one.
    #[must_use]
    pub fn inline() -> Self {
        Self(Kind::Inline)
    }

    /// Runs work on one of the threads and waits for it. Work whose caller stops waiting is done all the same.
    ///
    /// # Errors
    ///
    /// [`Stuck`] if it takes longer than the limit or breaks off.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Stuck> {
        let (jobs, limit, pool) = match &self.0 {
            Kind::Threads { jobs, limit, pool } => (jobs, *limit, pool),
            Kind::Inline => return catch_unwind(AssertUnwindSafe(work)).map_err(|_| Stuck::Broken),
        };
        let (taken, is_taken) = oneshot::channel();
        let (done, is_done) = oneshot::channel();
        let work = move || {
            // Nobody listens if the caller has stopped waiting.
            taken.send(()).ok();
            done.send(work()).ok();
        };
        let state = Arc::new(AtomicU8::new(RUNNING));
        let job = Job {
            work: Box::new(work),
            state: Arc::clone(&state),
        };
        jobs.send(job).map_err(|_| Stuck::Broken)?;
        is_taken.await.map_err(|_| Stuck::Broken)?;
        if let Ok(outcome) = tokio::time::timeout(limit, is_done).await {
            return outcome.map_err(|_| Stuck::Broken);
        }
        Pool::replace(pool, &state);
        Err(Stuck::TooSlow(limit))
    }
}

impl Pool {
    fn start(pool: &Arc<Self>) {
        let pool = Arc::clone(pool);
        let builder = thread::Builder::new()
            .name("jq".to_owned())
            .stack_size(meter::STACK);
        if let Err(error) = builder.spawn(move || pool.serve()) {
            tracing::error!(%error, "no thread for filters could be started");
        }
    }

    fn serve(&self) {
        meter::has_big_stack();
        loop {
            let job = self.queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(job) = job else { return };
            // A panic ends the work, not the thread; the caller learns of it by the broken channel.
            catch_unwind(AssertUnwindSafe(job.work)).ok();
            if job.state.swap(ENDED, Ordering::SeqCst) == GIVEN_UP {
                self.replaced.fetch_sub(1, Ordering::SeqCst);
                return;
            }
        }
    }

    /// Starts a thread in place of the one that this job holds, which leaves when the job ends.
    fn replace(pool: &Arc<Self>, state: &AtomicU8) {
        if pool.replaced.fetch_add(1, Ordering::SeqCst) < REPLACED
            && state
                .compare_exchange(RUNNING, GIVEN_UP, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok()
        {
            Self::start(pool);
        } else {
            pool.replaced.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stuck_work_is_given_up_and_others_go_on() {
        let workers = Workers::new(1, Duration::from_millis(50));
        let (release, gate) = channel::<()>();
        let stuck = workers.run(move || gate.recv().is_ok()).await;
        assert_eq!(stuck, Err(Stuck::TooSlow(Duration::from_millis(50))));
        assert_eq!(workers.run(|| 1 + 1).await, Ok(2));
        release.send(()).unwrap();
        assert_eq!(workers.run(|| 2 + 2).await, Ok(4));
        let Kind::Threads { pool, .. } = &workers.0 else {
            panic!("these workers have threads");
        };
        while pool.replaced.load(Ordering::SeqCst) > 0 {
            tokio::task::yield_now().await;
        }
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
