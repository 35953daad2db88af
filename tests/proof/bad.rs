//! One bad record harms itself and nobody else, whatever is bad about it.

use serde_json::{Value, json};

use crate::checks::leaked;
use crate::oracle::asked::Class;
use crate::oracle::books::UNACCEPTABLE;
use crate::oracle::judge::Stand;
use crate::oracle::source::{key, record};
use crate::stores::tell;
use crate::support::services;
use crate::world::{Design, World};

embedded_and_grown! {
    bad_records_are_listed_with_their_cause_and_hold_up_nobody
}

/// So many dossiers, of which a few are bad.
const DOSSIERS: u32 = 40;

/// The target will never take it so.
const REFUSED: u32 = 7;

/// The target will never take it so, until it is mended.
const MENDED: u32 = 19;

/// Its target's mapping finds no name in it.
const NAMELESS: u32 = 23;

/// A record with another value in one field.
fn with(n: u32, field: &str, value: Value) -> Value {
    let mut record = record(n, 1, 0);
    record[field] = value;
    record
}

async fn bad_records_are_listed_with_their_cause_and_hold_up_nobody() {
    for class in [Class::Keyed, Class::Batch] {
        let world = World::start(Design::sound(1, class)).await.unwrap();
        let World { source, .. } = &world;
        for n in 1..=DOSSIERS {
            let judged = match n {
                REFUSED | MENDED => source.say(&with(n, "text", json!(UNACCEPTABLE))).await,
                NAMELESS => source.say(&with(n, "name", Value::Null)).await,
                // in nobody's form: kept as it came, with the reason
                n if n % 10 == 0 => {
                    let judged = source.say(&with(n, "id", json!([n]))).await;
                    assert_eq!(judged.as_deref(), Ok("refused"));
                    continue;
                }
                n => source.tell(n, 1, 0).await.map(|()| "mapped".to_owned()),
            };
            assert_eq!(judged.as_deref(), Ok("mapped"), "dossier {n}");
        }
        let mut world = world;
        world.node.rest().await.unwrap();
        world.source.tell(MENDED, 2, 0).await.unwrap();
        world.recover().await.unwrap();
        let left = world.end().await.unwrap();
        assert_eq!(left.violations(), [], "{class:?}");
        assert!(left.claims.iter().all(|claim| claim.stand == Stand::Applied));
        assert_eq!(leaked(&left.log), [""; 0]);

        let letters = left.store.dead_letters(100).await.unwrap();
        let mut listed: Vec<(String, Option<String>)> = letters
            .into_iter()
            .map(|letter| (letter.cause.code, letter.dossier))
            .collect();
        listed.sort();
        let refused = vec![("wrong-type".to_owned(), None); 4];
        let parked = [("mandatory-empty", NAMELESS), ("refused-by-target", REFUSED)];
        let parked = parked.map(|(code, n)| (code.to_owned(), Some(key(n))));
        let bad = listed.len();
        assert_eq!(listed, [parked.to_vec(), refused].concat(), "{class:?}");
        tell(&format!(
            "{} · {class:?} · {bad} bad records of {DOSSIERS} listed, 1 mended",
            services(&*left.store)
        ));
    }
}
