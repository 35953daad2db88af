//! What the officials of the stand-in do on their own.

use std::sync::Arc;

use tokio::time::{MissedTickBehavior, interval};

use super::Room;
use crate::fault::Fault;

/// Starts a task for each `[[work]]`.
pub(super) fn start(room: &Arc<Room>) {
    for (index, work) in room.plan.works.iter().enumerate() {
        let room = Arc::clone(room);
        let tasks = room.tasks.clone();
        let mut rounds = interval(work.every);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tasks.spawn(async move {
            loop {
                tokio::select! {
                    () = room.stop.cancelled() => break,
                    _ = rounds.tick() => {}
                }
                if let Err(fault) = round(&room, index).await {
                    room.report(fault);
                }
            }
        });
    }
}

/// Does one round of this work.
pub(super) async fn round(room: &Arc<Room>, index: usize) -> Result<(), Fault> {
    let _turn = room.turn.lock().await;
    let now = room.clock.now();
    let outcome = room
        .evaluate(move |room| {
            let rows = room.rows().all();
            room.plan.work(index, now, &rows)
        })
        .await?;
    if !outcome.changes.is_empty() {
        room.store(outcome).await?;
        if let Some(work) = room.plan.works.get(index) {
            room.count(&work.name);
        }
    }
    Ok(())
}
