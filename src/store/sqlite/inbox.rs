//! The inbox: records as they came in, what became of them, and which of them are to be taken in anew.

use jiff::Timestamp;
use sqlx::sqlite::SqlitePool;

use crate::store::{EVENT, KeptRecord, Said, StoreError, stored};

/// A record that is refused again after a person gave it up stays given up.
pub(super) const PUT: &str = "
    insert into inbox (adapter, operation, observed_ms, raw_hash, raw, state, cause, code, dossier_id, event_id, mapping,
                       until_ms)
    select value ->> 'adapter', value ->> 'operation', value ->> 'observed', value ->> 'raw_hash',
           value ->> 'raw', value ->> 'state', value ->> 'cause', value ->> 'code', value ->> 'dossier',
           value ->> 'event', value ->> 'mapping', value ->> 'until'
    from json_each(?1)
    where value ->> 'state' <> 'refused' or not exists (
        select 1 from inbox as given_up
        where given_up.adapter = value ->> 'adapter' and given_up.operation = value ->> 'operation'
          and given_up.raw_hash = value ->> 'raw_hash' and given_up.discarded = 1)
    on conflict do nothing";

/// `or ignore`: the same bad record may have come in anew meanwhile and be listed already; then this row goes.
pub(super) const SETTLE: [&str; 2] = [
    "update or ignore inbox set
         state = r ->> 'state', cause = r ->> 'cause', code = coalesce(r ->> 'code', inbox.code),
         dossier_id = r ->> 'dossier', event_id = r ->> 'event', mapping = r ->> 'mapping',
         until_ms = r ->> 'until', again = 0
     from (select value as r from json_each(?1)) where seq = r ->> 'seq'",
    "update inbox set state = 'ignored', cause = 'the same record is listed already', again = 0, until_ms = null
     where again = 1 and seq in (select value ->> 'seq' from json_each(?1))",
];

/// A code of `null` stands for all.
pub(super) const RELEASE: &str = "
    update inbox set again = 1
    from (select value as r from json_each(?1))
    where inbox.state = 'waiting' and inbox.adapter = r ->> 'adapter' and inbox.cause = r ->> 'reason'
      and (r ->> 'code' is null or inbox.code = r ->> 'code')";

pub(super) const RELEASE_JUDGED: &str = "
    update inbox set again = 1 where adapter = ?1 and state = 'refused' and mapping <> ?2 and operation <> 'event'";

pub(super) async fn again(
    pool: &SqlitePool,
    said: Said,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<KeptRecord>, StoreError> {
    let rows = sqlx::query(
        "select seq, adapter, operation, observed_ms, raw from inbox where seq in (
             select seq from inbox where again = 1 union select seq from inbox where until_ms <= ?1)
           and (operation = ?2) = (?3 is null) and adapter = coalesce(?3, adapter)
         order by seq limit ?4",
    )
    .bind(now.as_millisecond())
    .bind(EVENT)
    .bind(match said {
        Said::BySystem(adapter) => Some(adapter),
        Said::ByNodes => None,
    })
    .bind(limit)
    .fetch_all(pool)
    .await?;
    rows.iter().map(stored::kept_record).collect()
}
