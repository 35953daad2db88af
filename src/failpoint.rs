//! Named points at which a test makes this very process die or stand still.
//!
//! A stage passes a point with one line: `failpoint::pass("deliver-answered")`. Without the Cargo feature `failpoints`,
//! which no released program has, that is nothing. With it, `LIENTHONG_FAILPOINT=NAME:NTH:ACT` arms one point: when it is
//! passed for the `NTH` time, `kill` ends the process as a power cut would (SIGKILL), and `stop` freezes it (SIGSTOP)
//! until somebody sends SIGCONT.

/// Passes a point.
#[inline]
pub fn pass(name: &'static str) {
    #[cfg(feature = "failpoints")]
    armed::pass(name);
    #[cfg(not(feature = "failpoints"))]
    let _: &str = name;
}

#[cfg(feature = "failpoints")]
mod armed {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use rustix::process::{Signal, getpid, kill_process};

    struct Armed {
        name: String,
        nth: u64,
        signal: Signal,
        passed: AtomicU64,
    }

    static ARMED: LazyLock<Option<Armed>> = LazyLock::new(|| {
        let told = std::env::var("LIENTHONG_FAILPOINT").ok()?;
        Some(parse(&told).expect("LIENTHONG_FAILPOINT is NAME:NTH:kill or NAME:NTH:stop"))
    });

    fn parse(told: &str) -> Option<Armed> {
        let mut parts = told.split(':');
        let armed = Armed {
            name: parts.next()?.to_owned(),
            nth: parts.next()?.parse().ok()?,
            signal: match parts.next()? {
                "kill" => Signal::KILL,
                "stop" => Signal::STOP,
                _ => return None,
            },
            passed: AtomicU64::new(0),
        };
        parts.next().is_none().then_some(armed)
    }

    pub(super) fn pass(name: &str) {
        let Some(armed) = ARMED.as_ref().filter(|armed| armed.name == name) else {
            return;
        };
        if armed.passed.fetch_add(1, Ordering::Relaxed) + 1 == armed.nth {
            tracing::warn!(name, "fail point");
            kill_process(getpid(), armed.signal).expect("a process may signal itself");
        }
    }
}
