//! The ledger: the statements that pick what may be worked on, and those that change its rows.

/// One row per dossier: that of the dossier itself before its items, items in their order. `?4` rows are looked at, so
/// that a step's price does not grow with the backlog.
pub(super) const DUE: &str = "
    with free as not materialized (
        select d.* from delivery d
        where adapter = ?1 and push in (select value from json_each(?5))
          -- an item waits for the open items before it: a target sees them in their order; questions are free of each other
          and not exists (
              select 1 from delivery e
              where d.item <> '' and d.push not like 'lookup.%' and e.adapter = d.adapter and e.push = d.push and e.dossier_id = d.dossier_id
                and e.item <> '' and e.ordinal < d.ordinal
                and e.state in ('due', 'waiting', 'backing_off', 'in_doubt'))
          -- a call that may still take effect: nothing else is said about this dossier meanwhile
          and not exists (
              select 1 from delivery e
              where e.adapter = d.adapter and e.dossier_id = d.dossier_id
                and e.state = 'in_doubt' and e.until_ms > ?2)
    ),
    ready as (
        select * from (select * from free where state = 'due' order by due_ms limit ?4)
        union all
        select * from (
            select * from free where state in ('waiting', 'backing_off', 'in_doubt') and until_ms <= ?2
            order by until_ms limit ?4)
    ),
    numbered as (
        select *, row_number() over (partition by dossier_id order by item <> '', push, ordinal) as place from ready
    )
    select * from numbered where place = 1 order by due_ms limit ?3";

/// How many rows are looked at for each that may be taken: a dossier may have several.
pub(super) const LOOKED_AT: u32 = 16;

pub(super) const OF_DOSSIER: &str =
    "select * from delivery where dossier_id = ?1 order by adapter, push, ordinal";

/// Open items of the push and dossier of row `?1..?4`, the next in their order. One whose time has not come ends the line:
/// a target sees them in their order.
pub(super) const MATES: &str = "
    select * from delivery d
    where adapter = ?1 and push = ?2 and dossier_id = ?3 and item <> '' and ordinal > ?4
      and (state = 'due' or (state in ('waiting', 'backing_off', 'in_doubt') and until_ms <= ?6))
      and not exists (
          select 1 from delivery e
          where e.adapter = d.adapter and e.push = d.push and e.dossier_id = d.dossier_id and e.item <> ''
            and e.ordinal > ?4 and e.ordinal < d.ordinal and e.state in ('waiting', 'backing_off', 'in_doubt')
            and (e.until_ms is null or e.until_ms > ?6))
    order by ordinal limit ?5";

/// When the next row that waits for a time comes due.
pub(super) const NEXT_DUE: &str = "
    select min(until_ms) from delivery
    where adapter = ?1 and state in ('waiting', 'backing_off', 'in_doubt') and until_ms > ?2";

/// Rows that are to bring their target to this version.
pub(super) const WANT: &str = "
    insert into delivery (adapter, push, dossier_id, item, ordinal, desired, others, state, held, attempt,
                          failures, presence, created_ms, due_ms)
    select value ->> 'adapter', value ->> 'push', value ->> 'dossier', '', 0, value ->> 'version',
           iif(value ->> 'own', 0, value ->> 'version'), 'due', 0, 0, 0, 'unknown', ?2, ?2
    from json_each(?1) where true
    on conflict (adapter, push, dossier_id, item) do update set
        desired = max(desired, excluded.desired),
        others = max(others, excluded.others),
        -- doubt is settled first, a sick target keeps its schedule, what a person holds stays held
        state = case when state in ('in_doubt', 'backing_off', 'discarded') or held then state else 'due' end,
        until_ms = case when state in ('in_doubt', 'backing_off') or held then until_ms end,
        requirement = null,
        cause = case when state = 'discarded' or held then cause end,
        judged_by = null,
        -- a parked row that a newer version releases begins anew
        failures = case when state = 'parked' and not held then 0 else failures end,
        failing_ms = case when state = 'parked' and not held then null else failing_ms end,
        -- before, the target should not have had it
        created_ms = iif(state = 'skipped' and applied is null, excluded.created_ms, created_ms),
        due_ms = case when state = 'due' then due_ms else excluded.due_ms end";

/// What is there keeps its state, but not its place: an item that came late may belong before it.
pub(super) const PLACE_ITEMS: &str = "
    update delivery set ordinal = value ->> 'ordinal' from json_each(?1)
    where adapter = value ->> 'adapter' and push = value ->> 'push' and dossier_id = value ->> 'dossier'
      and item = value ->> 'item' and ordinal <> value ->> 'ordinal'";

/// Rows of items that are to be told, or, with `again`, told anew.
pub(super) const PUT_ITEMS: &str = "
    insert into delivery (adapter, push, dossier_id, item, ordinal, desired, state, held, attempt, failures,
                          presence, created_ms, due_ms)
    select value ->> 'adapter', value ->> 'push', value ->> 'dossier', value ->> 'item', value ->> 'ordinal',
           value ->> 'version', 'due', 0, 0, 0, 'unknown', ?2, ?2
    from json_each(?1)
    where (value ->> 'again') or not exists (
        select 1 from delivery
        where adapter = value ->> 'adapter' and push = value ->> 'push'
          and dossier_id = value ->> 'dossier' and item = value ->> 'item'
          and (held or state not in ('parked', 'skipped')))
    on conflict (adapter, push, dossier_id, item) do update set
        ordinal = excluded.ordinal,
        desired = max(desired, excluded.desired),
        -- a question that waits for its next time may be another one by now
        state = case
            when state in ('applied', 'parked', 'skipped') and not held then 'due'
            when state = 'waiting' and push like 'lookup.%' then 'due'
            else state end,
        cause = case when state in ('applied', 'parked', 'skipped') and not held then null else cause end,
        until_ms = iif(state = 'waiting' and push like 'lookup.%', null, until_ms),
        requirement = iif(state = 'waiting' and push like 'lookup.%', null, requirement)";

/// Outcomes: only where nobody has taken the row since (`fence`).
pub(super) const SAVE: &str = "
    update delivery set
        applied = r ->> 'applied',
        state = case
            when desired > (r ->> 'version')
                 and (r ->> 'state' in ('applied', 'waiting', 'skipped')
                      or (r ->> 'state' = 'parked' and not (r ->> 'held'))) then 'due'
            else r ->> 'state' end,
        until_ms = r ->> 'until', requirement = r ->> 'requirement', cause = r ->> 'cause',
        held = r ->> 'held', attempt = r ->> 'attempt', failures = r ->> 'failures',
        failing_ms = r ->> 'failing', holder = r ->> 'holder', presence = r ->> 'presence',
        remote = r ->> 'remote', native_hash = r ->> 'native_hash', mapping = r ->> 'mapping',
        applied_ms = r ->> 'applied_at', span_ms = (r ->> 'until') - ?2, intent = r ->> 'intent',
        target_state = r ->> 'target_state', looked_ms = r ->> 'looked', batch_limit = r ->> 'batch_limit', recent = r ->> 'recent',
        judged_by = r ->> 'judged_by',
        -- a newer version that came meanwhile is looked at from now on, as one that comes later
        created_ms = iif(r ->> 'state' = 'skipped' and r ->> 'applied' is null and desired > (r ->> 'version'), ?2, created_ms),
        due_ms = case when state = 'due' then due_ms else ?2 end
    from (select value as r from json_each(?1))
    where adapter = r ->> 'adapter' and push = r ->> 'push' and dossier_id = r ->> 'dossier'
      and item = r ->> 'item' and attempt = r ->> 'fence'
    returning dossier_id, push, item";
