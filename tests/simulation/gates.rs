//! Gaps: the places at which a step can be held, left behind or overtaken.
//!
//! The doubles of store, broker and transport pass a gap before and after everything they do. Passing may hold the step
//! there: the driver then sees a future that waits for nobody but the scheduler, and the scheduler decides what happens
//! first: this step goes on, another one does, time passes, or the node dies.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use jiff::Timestamp;

use crate::oracle::mishap::Roll;

/// What lies on both sides of a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Gap {
    /// Before a read outside of a transaction.
    Read,
    /// Before a transaction is opened.
    Begin,
    /// In a transaction, before a statement.
    Statement,
    /// Everything is written, nothing is durable.
    Commit,
    /// It is durable, and the step does not know yet.
    Committed,
    /// The request has not left.
    Send,
    /// The system has the request and may have done what it asks; no answer was read.
    Sent,
    /// The answer is read, nothing came of it yet.
    Answered,
    /// Events have not left.
    Publish,
    /// The broker has them, no confirm was read.
    Published,
    /// Events were brought, nothing came of them yet.
    Received,
    /// What became of them is durable, the broker does not know.
    Acknowledge,
    /// The broker knows.
    Acknowledged,
}

/// Of a hundred passes through the favoured gap, how many hold.
const FAVOURED: u8 = 90;

/// A step under way: the number of its slot in the world.
pub(crate) type Task = usize;

/// A step held at a gap.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    /// Tells holds apart.
    pub(crate) id: u64,
    pub(crate) task: Task,
    pub(crate) gap: Gap,
    /// It cannot go on before: an answer takes its time.
    pub(crate) not_before: Option<Timestamp>,
    /// Since when.
    pub(crate) since: Timestamp,
}

struct Hold {
    held: Held,
    open: bool,
    waker: Waker,
}

#[derive(Default)]
struct State {
    now: Timestamp,
    current: Task,
    holds: Vec<Hold>,
    last: u64,
    /// Calls of the real store under way: the driver waits for them.
    calls: usize,
    /// Of a hundred passes, how many hold.
    percent: u8,
    roll: Option<Roll>,
    /// The gap that holds most who pass.
    favoured: Option<Gap>,
    /// The pass at which the matrix wants the step held.
    wanted: Option<(Task, Gap, u32)>,
    /// Steps that wait for what another step has.
    waiting: Vec<Waker>,
    /// Grows with everything that may give an idle step work.
    changes: u64,
    /// Rows that were given out to have their doubt settled.
    doubts: u64,
}

/// All gaps of a world.
#[derive(Default)]
pub(crate) struct Gates(Mutex<State>);

impl Gates {
    /// Gaps of which so many of a hundred hold whoever passes, and one that holds almost all.
    pub(crate) fn new(percent: u8, favoured: Option<Gap>, roll: Roll) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            percent,
            favoured,
            roll: Some(roll),
            ..State::default()
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on nobody is held, but where an answer takes its time.
    pub(crate) fn calm(&self) {
        self.state().percent = 0;
    }

    /// Holds this step when it passes this gap for the `nth` time from now on, counted from 1; nobody else is held.
    pub(crate) fn want(&self, task: Task, gap: Gap, nth: u32) {
        let mut state = self.state();
        state.percent = 0;
        state.wanted = Some((task, gap, nth));
    }

    /// Whether the step was held where [`Gates::want`] said.
    pub(crate) fn is_caught(&self) -> bool {
        self.state().wanted.is_none()
    }

    /// The time, for holds that are over at a time.
    pub(crate) fn tell_time(&self, now: Timestamp) {
        self.state().now = now;
    }

    /// The time as it was told last.
    pub(crate) fn time(&self) -> Timestamp {
        self.state().now
    }

    /// The step that is polled next.
    pub(crate) fn enter(&self, task: Task) {
        self.state().current = task;
    }

    /// Whether the step just polled waits for the real store.
    pub(crate) fn is_calling(&self) -> bool {
        self.state().calls > 0
    }

    /// Who is held, in the order of their coming.
    pub(crate) fn held(&self) -> Vec<Held> {
        self.state()
            .holds
            .iter()
            .filter(|hold| !hold.open)
            .map(|hold| hold.held.clone())
            .collect()
    }

    /// Lets one go on.
    pub(crate) fn open(&self, id: u64) {
        let mut state = self.state();
        if let Some(hold) = state.holds.iter_mut().find(|hold| hold.held.id == id) {
            hold.open = true;
            hold.waker.wake_by_ref();
        }
    }

    /// Something happened that may give an idle step work.
    pub(crate) fn note_change(&self) {
        self.state().changes += 1;
    }

    /// How often something happened.
    pub(crate) fn changes(&self) -> u64 {
        self.state().changes
    }

    /// So many rows were given out to have their doubt settled.
    pub(crate) fn note_doubts(&self, count: usize) {
        self.state().doubts += count as u64;
    }

    /// How many those were.
    pub(crate) fn doubts(&self) -> u64 {
        self.state().doubts
    }

    /// Waits until [`Gates::stir`].
    pub(crate) async fn wait(&self) {
        let mut asked = false;
        poll_fn(|context| {
            if std::mem::replace(&mut asked, true) {
                return Poll::Ready(());
            }
            self.state().waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Lets those look again who wait for what another step has.
    pub(crate) fn stir(&self) {
        let waiting = std::mem::take(&mut self.state().waiting);
        waiting.iter().for_each(Waker::wake_by_ref);
    }

    /// Passes a gap.
    pub(crate) fn pass(self: &Arc<Self>, gap: Gap) -> Pass {
        self.pass_after(gap, None)
    }

    /// Passes a gap, not before a time.
    pub(crate) fn pass_after(self: &Arc<Self>, gap: Gap, not_before: Option<Timestamp>) -> Pass {
        Pass {
            gates: Arc::clone(self),
            gap,
            not_before,
            id: None,
        }
    }

    /// A call of the real store: it ends by itself.
    pub(crate) async fn call<T>(self: &Arc<Self>, call: impl Future<Output = T>) -> T {
        self.state().calls += 1;
        let _under_way = Call(self);
        call.await
    }
}

impl State {
    /// Whether whoever passes here is held.
    fn holds(&mut self, gap: Gap, not_before: Option<Timestamp>) -> bool {
        let task = self.current;
        if let Some((wanted, at, nth)) = &mut self.wanted
            && (*wanted, *at) == (task, gap)
        {
            *nth -= 1;
            if *nth == 0 {
                self.wanted = None;
                return true;
            }
        }
        let percent = match self.percent {
            0 => 0,
            percent if self.favoured == Some(gap) => percent.max(FAVOURED),
            percent => percent,
        };
        let rolled = percent > 0 && self.roll.as_mut().is_some_and(|roll| roll.of_hundred() < percent);
        rolled || not_before.is_some_and(|time| self.now < time)
    }
}

/// A pass through a gap.
pub(crate) struct Pass {
    gates: Arc<Gates>,
    gap: Gap,
    not_before: Option<Timestamp>,
    id: Option<u64>,
}

impl Future for Pass {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let gates = Arc::clone(&self.gates);
        let mut state = gates.state();
        let Some(id) = self.id else {
            if !state.holds(self.gap, self.not_before) {
                return Poll::Ready(());
            }
            state.last += 1;
            let held = Held {
                id: state.last,
                task: state.current,
                gap: self.gap,
                not_before: self.not_before,
                since: state.now,
            };
            self.id = Some(held.id);
            state.holds.push(Hold {
                held,
                open: false,
                waker: context.waker().clone(),
            });
            return Poll::Pending;
        };
        let place = state.holds.iter().position(|hold| hold.held.id == id);
        match place {
            Some(place) if state.holds[place].open => {
                state.holds.remove(place);
                self.id = None;
                Poll::Ready(())
            }
            Some(place) => {
                state.holds[place].waker.clone_from(context.waker());
                Poll::Pending
            }
            None => Poll::Ready(()),
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.gates.state().holds.retain(|hold| hold.held.id != id);
        }
    }
}

struct Call<'a>(&'a Gates);

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.state().calls -= 1;
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.gap)
    }
}

/// How far a step came.
pub(crate) enum Driven<T> {
    /// To its end.
    Done(T),
    /// It waits for the scheduler.
    Waits,
}

/// Drives a step until it ends or waits for the scheduler.
pub(crate) async fn drive<T>(gates: &Gates, task: Task, step: &mut Step<T>) -> Driven<T> {
    poll_fn(|context| {
        gates.enter(task);
        match step.as_mut().poll(context) {
            Poll::Ready(end) => Poll::Ready(Driven::Done(end)),
            Poll::Pending if gates.is_calling() => Poll::Pending,
            Poll::Pending => Poll::Ready(Driven::Waits),
        }
    })
    .await
}

/// A step under way.
pub(crate) type Step<T> = Pin<Box<dyn Future<Output = T> + Send>>;
