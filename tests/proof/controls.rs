//! Negative controls: where a promise is broken, by the target or by the manifest, the judge sees it. Without these the
//! matrix could be green because the judge is blind.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;

use serde_json::Value;

use crate::cell::{Blow, Point};
use crate::checks::eroded;
use crate::oracle::asked::Class;
use crate::oracle::judge::{Violation, void};
use crate::oracle::mishap::{Mishap, Mode, Times};
use crate::proxy::Way;
use crate::stores::tell;
use crate::support::{services, until};
use crate::world::{Design, Left, TIMES, World};

embedded_and_grown! {
    target_that_commits_later_than_its_settle_time_shows_doubles
    search_that_lags_longer_than_the_settle_time_shows_doubles
    manifest_that_resends_what_nobody_can_ask_for_shows_doubles
    manifest_that_says_nothing_of_echoes_shows_worn_dossiers
}

/// The source speaks of three dossiers, and the target goes on as it is until its books show this. What is left.
async fn left(design: Design, shows: impl Fn(&Value) -> bool) -> Left {
    let mut world = World::start(design).await.unwrap();
    let World {
        node, target, source, ..
    } = &mut world;
    let story = async {
        source.speak(3, 3, 1, &AtomicBool::new(true)).await?;
        until("the books show it", async || {
            let books = target.books().await.ok()?;
            shows(&books).then_some(())
        })
        .await
    };
    tokio::select! {
        told = story => told.unwrap(),
        failure = node.live() => panic!("{failure}"),
    }
    world.recover().await.unwrap();
    world.end().await.unwrap()
}

/// Two rows of one key.
fn double(books: &Value) -> bool {
    let rows = books["rows"].as_array().unwrap();
    let keys: BTreeSet<String> = rows.iter().map(|row| row[0].to_string()).collect();
    keys.len() < rows.len()
}

fn always(mishap: Mishap, class: Class) -> Design {
    Design {
        mode: Mode::Only { mishap, percent: 100 },
        ..Design::sound(1, class)
    }
}

/// How often the fault bit, and what the judge saw.
fn told(left: &Left, bites: u64, seen: usize) {
    tell(&format!(
        "{} · control: the fault bit {bites} times, {seen} violations seen",
        services(&*left.store)
    ));
}

fn bites(left: &Left, mishap: Mishap) -> u64 {
    left.oracle.bitten().get(&mishap).copied().unwrap_or(0)
}

fn is_double(violation: &Violation) -> bool {
    matches!(violation, Violation::Doubled { .. })
}

async fn target_that_commits_later_than_its_settle_time_shows_doubles() {
    let left = left(always(Mishap::LateBeyondSettle, Class::Keyed), double).await;
    assert_eq!(void(&left.oracle, &[Mishap::LateBeyondSettle]), []);
    let found = left.violations();
    assert!(found.iter().any(is_double), "the published limit: {found:?}");
    told(&left, bites(&left, Mishap::LateBeyondSettle), found.len());
}

async fn search_that_lags_longer_than_the_settle_time_shows_doubles() {
    // The manifest says less than a second; the search needs two to six minutes, longer than any daemon needs to start and to
    // take over what the killed one had claimed.
    let careless = Design {
        times: Times {
            settle_ms: 1_200_000,
            ..TIMES
        },
        way: Some(Way::Clear),
        strike: Some((Point::Answered, Blow::Kill, 1)),
        ..always(Mishap::SearchLag, Class::Keyed)
    };
    let left = left(careless, double).await;
    assert_eq!(
        (left.kills, void(&left.oracle, &[Mishap::SearchLag])),
        (1, vec![])
    );
    let found = left.violations();
    assert!(found.iter().any(is_double), "{found:?}");
    told(&left, bites(&left, Mishap::SearchLag), found.len());
}

async fn manifest_that_resends_what_nobody_can_ask_for_shows_doubles() {
    let careless = Design {
        edit: Some(("on_doubt = \"park\"", "on_doubt = \"resend\"")),
        mode: Mode::Only {
            mishap: Mishap::CommitThenDrop,
            percent: 50,
        },
        ..Design::sound(1, Class::Append)
    };
    let left = left(careless, |books| books["entries"].as_u64().unwrap() > 9).await;
    assert_eq!(void(&left.oracle, &[Mishap::CommitThenDrop]), []);
    let found = left.violations();
    assert!(found.iter().any(is_double), "{found:?}");
    told(&left, bites(&left, Mishap::CommitThenDrop), found.len());
}

async fn manifest_that_says_nothing_of_echoes_shows_worn_dossiers() {
    let careless = Design {
        edit: Some((
            "echo      = '{dossier: .id, summary: (.text | lower | .[:24])}'",
            "echo      = false",
        )),
        ..Design::sound(1, Class::Reporting)
    };
    let left = left(careless, |_| true).await;
    let worn = eroded(&left).await.unwrap();
    assert!(
        !worn.is_empty(),
        "a copy in upper case, cut short, is news where no echo is expected"
    );
    tell(&format!(
        "{} · control: {} dossiers worn by echoes",
        services(&*left.store),
        worn.len()
    ));
}
