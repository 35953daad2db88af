//! The ledger: the statements that claim, pick and write what may be worked on.

use serde_json::json;

use super::batch;
use crate::store::Look;

/// How many rows are looked at for each that may be taken: a dossier may have several.
const LOOKED_AT: u32 = 16;

/// One row per dossier and look (`$2`): that of the dossier itself before its items, items in their order. Nothing of a
/// dossier that another worker than `$4` has claimed; if `$5` is there, of these dossiers only.
macro_rules! picked {
    () => {
        "look as (
            select * from json_to_recordset($2::json) as l(pushes json, most bigint, looked_at bigint)
        ),
        picked as (
            select p.* from look cross join lateral (
                with free as not materialized (
                    select d.* from delivery d
                    where d.adapter = $1 and d.push in (select json_array_elements_text(look.pushes))
                      and ($5::uuid[] is null or d.dossier_id = any($5))
                      and not exists (
                          select 1 from claim c
                          where c.adapter = d.adapter and c.dossier_id = d.dossier_id and c.holder <> $4
                            and c.until_ms > $3)
                      -- an item waits for the open items before it: a target sees them in their order; questions are free of each other
                      and not exists (
                          select 1 from delivery e
                          where d.item <> '' and d.push not like 'lookup.%' and e.adapter = d.adapter and e.push = d.push
                            and e.dossier_id = d.dossier_id and e.item <> '' and e.ordinal < d.ordinal
                            and e.state in ('due', 'waiting', 'backing_off', 'in_doubt'))
                      -- a call that may still take effect: nothing else is said about this dossier meanwhile
                      and not exists (
                          select 1 from delivery e
                          where e.adapter = d.adapter and e.dossier_id = d.dossier_id
                            and e.state = 'in_doubt' and e.until_ms > $3)
                ),
                ready as (
                    (select * from free where state = 'due' order by due_ms limit look.looked_at)
                    union all
                    (select * from free where state in ('waiting', 'backing_off', 'in_doubt') and until_ms <= $3
                     order by until_ms limit look.looked_at)
                ),
                numbered as (
                    select *, row_number() over (partition by dossier_id order by item <> '', push, ordinal) as place
                    from ready
                )
                select * from numbered where place = 1 order by due_ms limit look.most
            ) as p
        )"
    };
}

pub(super) const DUE: &str = concat!("with ", picked!(), " select * from picked order by due_ms");

/// What the worker has asked for and got. What it had and no longer asks for is anybody's, and so is what is over.
pub(super) const CLAIM: &str = concat!(
    "with ",
    picked!(),
    ", given_up as (
        -- who is about to take one of them is not waited for: he may wait for one that we have just taken
        delete from claim where (adapter, dossier_id) in (
            select c.adapter, c.dossier_id from claim c
            where c.adapter = $1 and (c.holder = $4 or c.until_ms <= $3)
              and c.dossier_id not in (select dossier_id from picked)
            for update of c skip locked)
    )
    insert into claim (adapter, dossier_id, holder, until_ms)
    select distinct $1, dossier_id, $4, $6::bigint from picked order by dossier_id
    on conflict (adapter, dossier_id) do update set holder = excluded.holder, until_ms = excluded.until_ms
    where claim.holder = excluded.holder or claim.until_ms <= $3
    returning dossier_id"
);

/// The looks as the JSON that the statements read.
pub(super) fn looks(looks: &[Look<'_>]) -> String {
    batch(looks.iter().map(|look| {
        json!({"pushes": look.pushes, "most": look.most, "looked_at": look.most.saturating_mul(LOOKED_AT)})
    }))
}

pub(super) const OF_DOSSIER: &str =
    "select * from delivery where dossier_id = $1 order by adapter, push, ordinal, item";

/// Open items of the push and dossier of row `$1..$4`, the next in their order. One whose time has not come ends the line:
/// a target sees them in their order.
pub(super) const MATES: &str = "
    select * from delivery d
    where adapter = $1 and push = $2 and dossier_id = $3 and item <> '' and ordinal > $4
      and (state = 'due' or (state in ('waiting', 'backing_off', 'in_doubt') and until_ms <= $6))
      and not exists (
          select 1 from delivery e
          where e.adapter = d.adapter and e.push = d.push and e.dossier_id = d.dossier_id and e.item <> ''
            and e.ordinal > $4 and e.ordinal < d.ordinal and e.state in ('waiting', 'backing_off', 'in_doubt')
            and (e.until_ms is null or e.until_ms > $6))
    order by ordinal limit $5";

/// When the next row that waits for a time comes due.
pub(super) const NEXT_DUE: &str = "
    select min(until_ms) from delivery
    where adapter = $1 and state in ('waiting', 'backing_off', 'in_doubt') and until_ms > $2";

/// An intent is written under its holder's claim, which nobody can take as long as this transaction is open.
pub(super) const SAVE: &str = "
    with outcome as (
        select * from json_to_recordset($1::json) as r(
            adapter text, push text, dossier uuid, item text, version bigint, fence bigint, intended boolean,
            applied bigint, state text, until bigint, requirement text, cause text, held boolean, attempt bigint,
            failures bigint, failing bigint, holder text, presence text, remote text, native_hash text, mapping text,
            applied_at bigint, intent text, target_state text, batch_limit bigint, looked bigint, recent text,
            judged_by text)
    ),
    claimed as materialized (
        select c.adapter, c.dossier_id from claim c
        where (c.adapter, c.dossier_id, c.holder) in (select adapter, dossier, holder from outcome where intended)
        order by c.adapter, c.dossier_id for share
    )
    update delivery d set
        applied = r.applied,
        state = case
            when d.desired > r.version
                 and (r.state in ('applied', 'waiting', 'skipped') or (r.state = 'parked' and not r.held)) then 'due'
            else r.state end,
        until_ms = r.until, requirement = r.requirement, cause = r.cause, held = r.held, attempt = r.attempt,
        failures = r.failures, failing_ms = r.failing, holder = r.holder, presence = r.presence, remote = r.remote,
        native_hash = r.native_hash, mapping = r.mapping, applied_ms = r.applied_at, intent = r.intent,
        target_state = r.target_state, looked_ms = r.looked, batch_limit = r.batch_limit, recent = r.recent,
        judged_by = r.judged_by,
        -- a newer version that came meanwhile is looked at from now on, as one that comes later
        created_ms = case when r.state = 'skipped' and r.applied is null and d.desired > r.version then $2 else d.created_ms end,
        due_ms = case when d.state = 'due' then d.due_ms else $2 end
    from outcome r
    where d.adapter = r.adapter and d.push = r.push and d.dossier_id = r.dossier and d.item = r.item
      and d.attempt = r.fence
      and (not r.intended or (r.adapter, r.dossier) in (select adapter, dossier_id from claimed))
    returning d.dossier_id, d.push, d.item";

/// Has the newest version of these dossiers delivered. What is in the ledger keeps what must be kept.
pub(super) const WANT: &str = "
    insert into delivery as d (adapter, push, dossier_id, item, ordinal, desired, others, state, held, attempt,
                               failures, presence, created_ms, due_ms)
    select adapter, push, dossier, '', 0, max(version), max(case when own then 0 else version end), 'due', false,
           0, 0, 'unknown', $2, $2
    from json_to_recordset($1::json) as r(adapter text, push text, dossier uuid, version bigint, own boolean)
    group by adapter, push, dossier order by adapter, push, dossier
    on conflict (adapter, push, dossier_id, item) do update set
        desired = greatest(d.desired, excluded.desired),
        others = greatest(d.others, excluded.others),
        -- doubt is settled first, a sick target keeps its schedule, what a person holds stays held
        state = case when d.state in ('in_doubt', 'backing_off', 'discarded') or d.held then d.state else 'due' end,
        until_ms = case when d.state in ('in_doubt', 'backing_off') or d.held then d.until_ms end,
        requirement = null,
        cause = case when d.state = 'discarded' or d.held then d.cause end,
        judged_by = null,
        -- a parked row that a newer version releases begins anew
        failures = case when d.state = 'parked' and not d.held then 0 else d.failures end,
        failing_ms = case when d.state = 'parked' and not d.held then null else d.failing_ms end,
        -- before, the target should not have had it
        created_ms = case when d.state = 'skipped' and d.applied is null then excluded.created_ms else d.created_ms end,
        due_ms = case when d.state = 'due' then d.due_ms else excluded.due_ms end";

/// Adds items. What is there keeps its state, but not its place: an item that came late may belong before it.
pub(super) const PUT_ITEMS: &str = "
    with r as (
        select distinct on (adapter, push, dossier, item) *
        from json_to_recordset($1::json) as r(
            adapter text, push text, dossier uuid, item text, ordinal bigint, version bigint, again boolean)
        order by adapter, push, dossier, item, ordinal desc
    ),
    there as (
        select r.* from r join delivery k
            on k.adapter = r.adapter and k.push = r.push and k.dossier_id = r.dossier and k.item = r.item
        where not r.again and (k.held or k.state not in ('parked', 'skipped'))
    ),
    placed as (
        update delivery k set ordinal = there.ordinal from there
        where k.adapter = there.adapter and k.push = there.push and k.dossier_id = there.dossier
          and k.item = there.item and k.ordinal <> there.ordinal
    )
    insert into delivery as d (adapter, push, dossier_id, item, ordinal, desired, state, held, attempt, failures,
                               presence, created_ms, due_ms)
    select adapter, push, dossier, item, ordinal, version, 'due', false, 0, 0, 'unknown', $2::bigint, $2::bigint
    from r
    where not exists (
        select 1 from there
        where there.adapter = r.adapter and there.push = r.push and there.dossier = r.dossier and there.item = r.item)
    order by adapter, push, dossier, item
    on conflict (adapter, push, dossier_id, item) do update set
        ordinal = excluded.ordinal,
        desired = greatest(d.desired, excluded.desired),
        -- a question that waits for its next time may be another one by now
        state = case
            when d.state in ('applied', 'parked', 'skipped') and not d.held then 'due'
            when d.state = 'waiting' and d.push like 'lookup.%' then 'due'
            else d.state end,
        cause = case when d.state in ('applied', 'parked', 'skipped') and not d.held then null else d.cause end,
        until_ms = case when d.state = 'waiting' and d.push like 'lookup.%' then null else d.until_ms end,
        requirement = case when d.state = 'waiting' and d.push like 'lookup.%' then null else d.requirement end";
