//! The inbox: records as they came in, what became of them, and which of them are to be taken in anew.

use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::Row;
use sqlx::sqlite::{SqlitePool, SqliteRow};

use super::{document, time};
use crate::store::{EVENT, InboxRow, InboxState, KeptRecord, Said, StoreError};

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

/// The row as the JSON object that the statements read.
pub(super) fn write(row: &InboxRow) -> Value {
    let (state, cause) = match &row.state {
        InboxState::Mapped => ("mapped", None),
        InboxState::Waiting(reason) => ("waiting", Some(reason.clone())),
        InboxState::Refused(fault) => ("refused", Some(json!(fault).to_string())),
        InboxState::Ignored(reason) => ("ignored", Some(reason.clone())),
    };
    json!({
        "adapter": row.adapter, "operation": row.operation, "observed": row.observed.as_millisecond(),
        "raw_hash": row.raw_hash, "raw": row.raw, "state": state, "cause": cause, "code": row.code,
        "dossier": row.dossier, "event": row.event, "mapping": row.mapping,
        "until": row.until.map(Timestamp::as_millisecond),
    })
}

/// What became of a record, from its row.
pub(super) fn state(row: &SqliteRow) -> Result<InboxState, StoreError> {
    let cause: Option<String> = row.try_get("cause")?;
    let cause = cause.unwrap_or_default();
    Ok(match row.try_get::<&str, _>("state")? {
        "mapped" => InboxState::Mapped,
        "waiting" => InboxState::Waiting(cause),
        "refused" => InboxState::Refused(document("cause", &cause)?),
        _ => InboxState::Ignored(cause),
    })
}

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
    rows.iter()
        .map(|row| {
            Ok(KeptRecord {
                seq: row.try_get("seq")?,
                adapter: row.try_get("adapter")?,
                operation: row.try_get("operation")?,
                observed: time(row.try_get("observed_ms")?),
                raw: row.try_get("raw")?,
            })
        })
        .collect()
}
