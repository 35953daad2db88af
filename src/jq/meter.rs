//! What one run may use: steps, memory, stack. Whoever goes beyond is stopped at once.
//!
//! A run is stopped by unwinding (without a panic message), because neither the engine's iterators nor Rust's
//! operators can hand a refusal on, and because no `try` of a mapping shall be able to swallow it. The engine holds
//! nothing that outlives a run, so nothing is left half done.
//! The program must therefore be built with `panic = "unwind"`, Rust's default.

use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Once;
use std::thread;

/// What one run of a filter may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Steps: terms evaluated, plus one for every 64 elements or bytes that one term goes through. Default 4,000,000,
    /// about a second; a mapping of a large dossier takes some ten thousand.
    pub steps: u64,
    /// Bytes that a run may allocate in all, freed ones included. Default 256 MiB.
    pub memory: u64,
    /// Size of the input and the variables together, and of any single value that is made. Default 32 MiB.
    pub size: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            steps: 4_000_000,
            memory: 256 << 20,
            size: 32 << 20,
        }
    }
}

/// Deepest nesting of lists and objects; beyond it, freeing a value could overflow the stack.
pub(super) const DEPTH: u32 = 256;

/// Stack of a thread that runs filters. Address space only: pages that are never touched cost nothing.
pub(super) const STACK: usize = 512 << 20;

/// Part of [`STACK`] that evaluation may use; the rest is for freeing what was built.
const STACK_FOR_TERMS: usize = 192 << 20;

/// Why a run was stopped, if not by an error of the mapping.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Too many steps, or recursion too deep.
    Long,
    /// A value, or all of them together, too big.
    Big,
    /// The mapping leaves the record out on purpose.
    Ignored(String),
    /// The engine panicked. Its message could quote values and is withheld.
    Broken,
    /// The system has no thread to give.
    NoThread,
}

thread_local! {
    static RUNNING: Cell<bool> = const { Cell::new(false) };
    static BIG_STACK: Cell<bool> = const { Cell::new(false) };
    static STOPPED: Cell<bool> = const { Cell::new(false) };
    static STEPS: Cell<u64> = const { Cell::new(u64::MAX) };
    static MEMORY: Cell<u64> = const { Cell::new(u64::MAX) };
    static SIZE: Cell<u64> = const { Cell::new(u64::MAX) };
    static STACK_BASE: Cell<usize> = const { Cell::new(0) };
}

/// Stops the run. Outside of a run it panics, which no caller does.
pub(super) fn stop(why: Stop) -> ! {
    resume_unwind(Box::new(why))
}

/// Counts the evaluation of one term, wherever the engine stands.
pub(super) fn term() {
    step(1);
    // The stack grows downwards on every platform that Rust's standard library supports.
    if STACK_BASE.get().saturating_sub(stack_pointer()) > STACK_FOR_TERMS {
        stop(Stop::Long);
    }
}

/// Counts work that goes through this many elements or bytes.
pub(super) fn work(elements: usize) {
    step(elements as u64 / 64);
}

fn step(count: u64) {
    match STEPS.get().checked_sub(count) {
        Some(left) => STEPS.set(left),
        None => stop(Stop::Long),
    }
}

/// Counts memory that is about to be allocated.
pub(super) fn charge(bytes: usize) {
    match MEMORY.get().checked_sub(bytes as u64) {
        Some(left) => MEMORY.set(left),
        None => stop(Stop::Big),
    }
    work(bytes);
}

/// Judges a value before it is made.
pub(super) fn judge(weight: u64, depth: u32) {
    if weight > SIZE.get() || (depth > DEPTH && RUNNING.get()) {
        stop(Stop::Big);
    }
}

/// Runs `work` within bounds, on a stack that is big enough for them.
pub(super) fn within<T: Send>(bounds: Bounds, work: impl FnOnce() -> T + Send) -> Result<T, Stop> {
    let outcome = on_big_stack(|| {
        quiet_panics();
        STEPS.set(bounds.steps);
        MEMORY.set(bounds.memory);
        SIZE.set(bounds.size);
        STACK_BASE.set(stack_pointer());
        RUNNING.set(true);
        let result = catch_unwind(AssertUnwindSafe(work));
        RUNNING.set(false);
        STEPS.set(u64::MAX);
        MEMORY.set(u64::MAX);
        SIZE.set(u64::MAX);
        result.map_err(|payload| payload.downcast::<Stop>().map_or(Stop::Broken, |why| *why))
    });
    let outcome = outcome.unwrap_or(Err(Stop::NoThread));
    if let Err(Stop::Long | Stop::Big) = &outcome {
        STOPPED.set(true);
    }
    outcome
}

/// Forgets that runs were stopped on this thread.
pub(super) fn forget_stops() {
    STOPPED.set(false);
}

/// Whether a run that this thread asked for has gone beyond its bounds since.
pub(super) fn was_stopped() -> bool {
    STOPPED.get()
}

/// Marks this thread as one that has [`STACK`].
pub(super) fn has_big_stack() {
    BIG_STACK.set(true);
}

/// Runs on this thread if it has the stack that filters want (as those of the [`super::Workers`] have), else on a
/// borrowed one that has it. Filters run by `work` then borrow none themselves.
///
/// # Errors
///
/// The system has no thread to give.
pub fn on_big_stack<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    if BIG_STACK.get() {
        return Ok(work());
    }
    thread::scope(|scope| {
        let work = || {
            has_big_stack();
            work()
        };
        let builder = thread::Builder::new().name("jq".to_owned()).stack_size(STACK);
        let thread = builder.spawn_scoped(scope, work)?;
        Ok(thread.join().unwrap_or_else(|payload| resume_unwind(payload)))
    })
}

/// A panic of the engine is caught and told as a fault; its message could quote a person's data and must not reach
/// the log by way of the default hook.
fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !RUNNING.get() {
                previous(info);
            }
        }));
    });
}

#[inline(never)]
fn stack_pointer() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(&here).addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Bounds = Bounds {
        steps: 100,
        memory: 1000,
        size: 500,
    };

    #[test]
    fn each_bound_stops_the_work_and_is_gone_after_it() {
        assert_eq!(within(SMALL, || (0..101).for_each(|_| term())), Err(Stop::Long));
        assert_eq!(within(SMALL, || work(64 * 101)), Err(Stop::Long));
        assert_eq!(within(SMALL, || charge(1001)), Err(Stop::Big));
        assert_eq!(within(SMALL, || judge(501, 0)), Err(Stop::Big));
        assert_eq!(within(SMALL, || judge(0, DEPTH + 1)), Err(Stop::Big));
        assert_eq!(within(SMALL, || (0..100).for_each(|_| term())), Ok(()));
        charge(usize::MAX);
    }

    #[test]
    fn panic_of_the_engine_is_caught() {
        assert_eq!(
            within(SMALL, || assert!(stack_pointer() == 0, "Nguyễn Văn A")),
            Err(Stop::Broken)
        );
    }
}
