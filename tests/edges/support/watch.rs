//! A clock that lets the test do something whenever it is read: between two lines of a step, as it were.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use lienthong::clock::{Clock, ManualClock};
use lienthong::dossier::DossierId;
use lienthong::stage::Shared;
use tokio::runtime::Handle;
use tokio::task::block_in_place;

type Ear = Box<dyn FnMut() + Send>;

/// The clock of the test, and what happens when it is read.
pub(crate) struct Watch {
    clock: ManualClock,
    ear: Mutex<Option<Ear>>,
}

impl Watch {
    pub(crate) fn new(clock: ManualClock) -> Arc<Self> {
        Arc::new(Self {
            clock,
            ear: Mutex::new(None),
        })
    }

    /// As soon as the clock is read while a call about this dossier may be under way, `then` happens, once.
    pub(crate) fn when_intended(
        &self,
        shared: &Arc<Shared>,
        id: DossierId,
        then: impl FnOnce(&ManualClock) + Send + 'static,
    ) {
        let (shared, clock, mut then) = (Arc::downgrade(shared), self.clock.clone(), Some(then));
        let ear = move || {
            let intended = shared.upgrade().is_some_and(|shared| is_intended(&shared, id));
            if intended && let Some(then) = then.take() {
                then(&clock);
            }
        };
        *self.ear.lock().unwrap() = Some(Box::new(ear));
    }
}

/// Whether an intent lies in the store whose outcome does not. To be called from within a step, on a runtime of several
/// threads.
fn is_intended(shared: &Shared, id: DossierId) -> bool {
    let rows = block_in_place(|| Handle::current().block_on(shared.store.deliveries_of(id)));
    rows.unwrap().iter().any(|row| !row.is_certain())
}

impl Clock for Watch {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn uptime(&self) -> Duration {
        // taken out meanwhile: what happens may read the clock too
        let ear = self.ear.lock().unwrap().take();
        if let Some(mut ear) = ear {
            ear();
            *self.ear.lock().unwrap() = Some(ear);
        }
        self.clock.uptime()
    }

    fn boot(&self) -> String {
        self.clock.boot()
    }
}
