//! The inbox: records as they came in, what became of them, and when they are taken in anew.

use jiff::Timestamp;
use sqlx::postgres::PgPool;

use super::session::InTime;
use crate::store::{EVENT, KeptRecord, Said, StoreError, stored};

/// A record that is refused again after a person gave it up stays given up.
pub(super) const PUT: &str = "
    insert into inbox (adapter, operation, observed_ms, raw_hash, raw, state, cause, code, dossier_id, event_id, mapping,
                       until_ms)
    select adapter, operation, observed, raw_hash, raw, state, cause, code, dossier, event, mapping, until
    from json_to_recordset($1::json) as r(
        seq bigint, adapter text, operation text, observed bigint, raw_hash text, raw text, state text, cause text,
        code text, dossier uuid, event text, mapping text, until bigint)
    where state <> 'refused' or not exists (
        select 1 from inbox as given_up
        where given_up.adapter = r.adapter and given_up.operation = r.operation and given_up.raw_hash = r.raw_hash
          and given_up.discarded)
    order by seq
    on conflict do nothing";

/// Only what still is to be taken in anew: another node may have done so. The same bad record may have come in anew
/// meanwhile and be listed already; then this row goes.
pub(super) const SETTLE: &str = "
    with settled as (
        select * from json_to_recordset($1::json) as r(
            seq bigint, state text, cause text, code text, dossier uuid, event text, mapping text, until bigint)
    ),
    written as (
        update inbox set
            state = r.state, cause = r.cause, code = coalesce(r.code, inbox.code), dossier_id = r.dossier,
            event_id = r.event, mapping = r.mapping, until_ms = r.until, again = false
        from settled r
        where inbox.seq = r.seq and (inbox.again or inbox.until_ms is not null)
          and (r.state not in ('refused', 'waiting') or not exists (
              select 1 from inbox as listed
              where listed.adapter = inbox.adapter and listed.operation = inbox.operation
                and listed.raw_hash = inbox.raw_hash and listed.state in ('refused', 'waiting')
                and listed.seq <> inbox.seq))
        returning inbox.seq
    )
    update inbox set state = 'ignored', cause = 'the same record is listed already', again = false, until_ms = null
    where again and seq in (select seq from settled except select seq from written)";

/// A code of `null` stands for all. Locked in the order of their places, so that nobody waits in a circle.
pub(super) const RELEASE: &str = "
    update inbox set again = true where seq in (
        select i.seq from json_to_recordset($1::json) as r(adapter text, reason text, code text)
        join inbox i on i.state = 'waiting' and i.adapter = r.adapter and i.cause = r.reason
            and (r.code is null or i.code = r.code)
        order by i.seq for update of i)";

pub(super) const RELEASE_JUDGED: &str = "
    update inbox set again = true where seq in (
        select seq from inbox where adapter = $1 and state = 'refused' and mapping <> $2 and operation <> 'event'
        order by seq for update)";

/// A repetition of what came before the refusal says nothing about what was refused.
pub(super) const CLOSE: &str = "
    update inbox set state = 'ignored', cause = $2 where state = 'refused' and seq in (
        select refused.seq from json_to_recordset($1::json) as r(adapter text, code text, raw_hash text)
        join inbox as refused on refused.code = r.code and refused.adapter = r.adapter and refused.state = 'refused'
        where not exists (
            select 1 from inbox as older
            where older.code = refused.code and older.adapter = refused.adapter and older.raw_hash = r.raw_hash
              and older.seq < refused.seq)
        order by refused.seq for update of refused)";

pub(super) async fn again(
    pool: &PgPool,
    said: Said,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<KeptRecord>, StoreError> {
    let rows = sqlx::query(
        "select seq, adapter, operation, observed_ms, raw from inbox
         where (again or until_ms <= $1)
           and (operation = $2) = ($3::text is null) and ($3 is null or adapter = $3)
         order by seq limit $4",
    )
    .bind(now.as_millisecond())
    .bind(EVENT)
    .bind(match said {
        Said::BySystem(adapter) => Some(adapter),
        Said::ByNodes => None,
    })
    .bind(i64::from(limit))
    .fetch_all(pool)
    .in_time()
    .await?;
    rows.iter().map(stored::kept_record).collect()
}
