//! Fed twice, fed backwards: the sandboxes end as if it had been once and forwards.

use crate::support::{calls, finals, portal, reports, settle_told, tell, tell_all, verdict_for, world};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dossiers_fed_twice_change_nothing_and_cause_no_call() {
    let world = world(None, &[]).await;
    let reports = reports().await;
    for round in &reports {
        tell_all(&world, round).await;
    }
    settle_told(&world).await;
    let verdict = verdict_for(&world, &finals().await);
    assert!(verdict.is_clean(), "{verdict:?}");
    assert_eq!((verdict.expected, verdict.present), (58, 58));
    let (once, before) = (portal(&world), calls(&world));

    for round in &reports {
        for row in round {
            let (status, answer) = tell(&world, row).await;
            assert_eq!((status, &answer["maLoi"]), (200, &"0".into()));
        }
    }
    settle_told(&world).await;
    assert_eq!(portal(&world), once);
    assert_eq!(calls(&world), before, "looked up, stored, progressed");
    world.stop(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_in_reverse_order_end_as_those_in_order_do() {
    let reports = reports().await;
    let forward = world(None, &[]).await;
    for round in &reports {
        tell_all(&forward, round).await;
    }
    settle_told(&forward).await;
    let in_order = portal(&forward);
    forward.stop(false).await;

    let backward = world(None, &[]).await;
    for round in reports.iter().rev() {
        tell_all(&backward, round).await;
        // The portal has the newer state before the older report comes.
        settle_told(&backward).await;
    }
    let in_reverse = portal(&backward);
    assert_eq!(in_reverse.dossiers.len(), 58);
    for (code, row) in &in_order.dossiers {
        assert_eq!(in_reverse.dossiers.get(code), Some(row));
    }
    assert_eq!(in_reverse, in_order);
    let verdict = verdict_for(&backward, &finals().await);
    assert!(verdict.is_clean(), "{verdict:?}");
    backward.stop(false).await;
}
