-- Times are milliseconds since 1970 UTC (`_ms`); documents are JSON text as the Rust types write them.

-- What belongs to the store itself: its id, its incarnation, the last reading of its hybrid logical clock.
create table meta (
    name  text primary key,
    value text not null
) strict, without rowid;

-- Every record that was accepted, raw, and what became of it.
create table inbox (
    seq         integer primary key autoincrement,
    adapter     text    not null,
    operation   text    not null,
    observed_ms integer not null,
    raw_hash    text    not null,
    raw         text    not null,
    state       text    not null check (state in ('mapped', 'waiting', 'refused', 'ignored')),
    cause       text,                   -- the fault of a refused row, the reason of a waiting or ignored one
    code        text,                   -- normalised, under which people know the record; found apart from the mapping
    dossier_id  text,
    event_id    text,
    mapping     text    not null        -- version of the mapping that judged it
) strict;
-- A pull that overlaps reads the same bad record every time; it is one dead letter, not thousands.
create unique index inbox_open on inbox (adapter, operation, raw_hash) where state in ('refused', 'waiting');
create index inbox_state on inbox (state, seq);
-- Finds what was refused by its code, for people and for the newer record that closes it.
create index inbox_code on inbox (code, adapter, state) where code is not null;
-- For counting without reading the records.
create index inbox_count on inbox (adapter, state);

-- Events that were said and not yet confirmed by the broker.
create table outbox (
    seq      integer primary key autoincrement,
    event_id text not null unique,
    body     text not null
) strict;

-- Events that were merged: each exactly once.
create table journal (
    event_id    text primary key,
    dossier_id  text    not null,
    received_ms integer not null,
    body        text    not null
) strict, without rowid;
create index journal_dossier on journal (dossier_id);

-- The replica. `version` grows by one with every event that changed the dossier on this store.
create table dossier (
    id         text primary key,
    code       text,
    version    integer not null,
    updated_ms integer not null,
    body       text    not null
) strict, without rowid;
create index dossier_code on dossier (code);

-- (system, code) -> dossier. `code_key` is the normalised code that look-ups use.
create table link (
    system     text not null,
    code_key   text not null,
    dossier_id text not null,
    primary key (system, code_key)
) strict, without rowid;

-- What a system is believed to hold of a dossier, in the form its own inbound mapping yields.
create table shadow (
    adapter    text not null,
    dossier_id text not null,
    body       text not null,
    primary key (adapter, dossier_id)
) strict, without rowid;

-- How far a pull has read.
create table cursor (
    adapter   text not null,
    operation text not null,
    body      text not null,
    primary key (adapter, operation)
) strict, without rowid;

-- The ledger: one row for each (dossier, push), and for each item of a push that has items (item <> '').
create table delivery (
    adapter     text    not null,
    push        text    not null,
    dossier_id  text    not null,
    item        text    not null,
    ordinal     integer not null,       -- order of the items of one dossier; 0 for the dossier itself
    desired     integer not null,       -- the replica's version that the target should have
    applied     integer,                -- the version that it has
    state       text    not null check (state in
                ('applied', 'due', 'waiting', 'in_doubt', 'backing_off', 'parked', 'skipped', 'discarded')),
    until_ms    integer,                -- when a waiting, backing off or doubtful row is looked at again
    requirement text,                   -- what a waiting row waits for
    cause       text,                   -- the fault of a parked row, the reason of a skipped one
    held        integer not null,       -- 1: parked until a person decides, a newer version does not release it
    attempt     integer not null,       -- counts intents; fences late outcomes
    failures    integer not null,       -- failed tries since the last success
    failing_ms  integer,                -- when the first of them was
    holder      text,                   -- process start that committed the open intent
    presence    text    not null check (presence in ('unknown', 'absent', 'present')),
    remote      text,                   -- the record's id in the target
    native_hash text,                   -- of the native record that the target has
    mapping     text,                   -- version of the mapping that made it
    applied_ms  integer,                -- since when the target has it
    created_ms  integer not null,       -- since when the target should have it: what is required is waited for from here
    due_ms      integer not null,       -- since when the row is due; older rows go first
    primary key (adapter, push, dossier_id, item)
) strict, without rowid;
-- Finds the oldest due rows without looking at the others; with `push`, counting needs no row at all.
create index delivery_state on delivery (adapter, state, due_ms, push);
create index delivery_dossier on delivery (dossier_id, adapter);
