-- The tables of the SQLite store in the types of PostgreSQL. Times are milliseconds since 1970 UTC (`_ms`); documents are
-- JSON text as the Rust types write them, byte by byte. Names and codes are compared as bytes, whatever the language of
-- the database.

-- What belongs to the store itself: its id, the last readings of its nodes' hybrid logical clocks.
create table meta (
    name  text collate "C" primary key,
    value text not null
);

-- Every record that was accepted, raw, and what became of it.
create table inbox (
    seq         bigint generated always as identity primary key,
    adapter     text collate "C" not null,
    operation   text collate "C" not null,
    observed_ms bigint  not null,
    raw_hash    text collate "C" not null,
    raw         text    not null,
    state       text    not null check (state in ('mapped', 'waiting', 'refused', 'ignored')),
    cause       text,                           -- the fault of a refused row, the reason of a waiting or ignored one
    code        text collate "C",               -- normalised, under which people know the record
    dossier_id  uuid,
    event_id    text,
    mapping     text    not null,               -- version of the mapping that judged it
    again       boolean not null default false, -- is to be taken in anew: what it waited for has come
    until_ms    bigint,                         -- or will come at this time
    discarded   boolean not null default false  -- a person gave it up: refused as it was, it is no new dead letter
);
-- A pull that overlaps reads the same bad record every time; it is one dead letter, not thousands.
create unique index inbox_open on inbox (adapter, operation, raw_hash) where state in ('refused', 'waiting');
create index inbox_state on inbox (state, seq);
create index inbox_code on inbox (code, adapter, state) where code is not null;
create index inbox_count on inbox (adapter, state);
create index inbox_again on inbox (seq) where again;
create index inbox_until on inbox (until_ms) where until_ms is not null;
create index inbox_waiting on inbox (adapter, cause, code) where state = 'waiting';
create index inbox_discarded on inbox (adapter, operation, raw_hash) where discarded;
create index inbox_dossier on inbox (dossier_id) where dossier_id is not null;

-- Events that were said and not yet confirmed by the broker.
create table outbox (
    seq      bigint generated always as identity primary key,
    event_id text collate "C" not null unique,
    body     text not null
);

-- Events that were merged, each exactly once, in the order of arrival.
create table journal (
    seq         bigint generated always as identity primary key,
    event_id    text collate "C" not null unique,
    dossier_id  uuid   not null,
    received_ms bigint not null,
    body        text   not null
);
create index journal_dossier on journal (dossier_id, seq);

-- The replica. `version` grows by one with every event that changed the dossier on this store.
create table dossier (
    id         uuid primary key,
    code       text collate "C",
    version    bigint not null,
    updated_ms bigint not null,
    body       text   not null
);
create index dossier_code on dossier (code);

-- Dossiers that were joined with another one: id -> the dossier that lives on; the place in the journal after which.
create table alias (
    id         uuid primary key,
    dossier_id uuid not null,
    seq        bigint
);
create index alias_dossier on alias (dossier_id);

-- (system, code) -> dossier. `code_key` is the normalised code that look-ups use, `modern` the same with its agency in
-- the new form: codes of both forms are candidates for one dossier.
create table link (
    system     text collate "C" not null,
    code_key   text collate "C" not null,
    dossier_id uuid not null,
    modern     text collate "C",
    primary key (system, code_key)
);
create index link_code on link (code_key);
create index link_dossier on link (dossier_id);
create index link_modern on link (modern) where modern is not null;

-- What a system is believed to hold of a dossier, in the form its own inbound mapping yields.
create table shadow (
    adapter    text collate "C" not null,
    dossier_id uuid not null,
    body       text not null,
    primary key (adapter, dossier_id)
);
create index shadow_dossier on shadow (dossier_id);

-- How far a pull has read; the number of a push's last batch.
create table cursor (
    adapter   text collate "C" not null,
    operation text collate "C" not null,
    body      text not null,
    primary key (adapter, operation)
);

-- The ledger: one row for each (dossier, push), and for each item of a push that has items (item <> '').
-- All times but `applied_ms` are told by the steady clock of the nodes, which is set by this database's clock.
create table delivery (
    adapter      text collate "C" not null,
    push         text collate "C" not null,
    dossier_id   uuid    not null,
    item         text collate "C" not null,
    ordinal      bigint  not null,      -- order of the items of one dossier; 0 for the dossier itself
    desired      bigint  not null,      -- the replica's version that the target should have
    others       bigint  not null default 0, -- newest version that others than the target's own system have a part in
    applied      bigint,                -- the version that it has
    state        text    not null check (state in
                 ('applied', 'due', 'waiting', 'in_doubt', 'backing_off', 'parked', 'skipped', 'discarded')),
    until_ms     bigint,                -- when a waiting, backing off or doubtful row is looked at again
    requirement  text collate "C",      -- what a waiting row waits for
    cause        text,                  -- the fault of a parked row, the reason of a skipped one
    held         boolean not null,      -- parked until a person decides, a newer version does not release it
    attempt      bigint  not null,      -- counts intents; fences late outcomes
    failures     bigint  not null,      -- failed tries since the last success
    failing_ms   bigint,                -- when the first of them was
    holder       text collate "C",      -- process start that committed the open intent
    presence     text    not null check (presence in ('unknown', 'absent', 'present')),
    remote       text,                  -- the record's id in the target
    native_hash  text,                  -- of the native record that the target has
    mapping      text,                  -- version of the mapping that made it
    applied_ms   bigint,                -- since when the target has it
    created_ms   bigint  not null,      -- since when the target should have it
    due_ms       bigint  not null,      -- since when the row is due; older rows go first
    intent       text,                  -- name of the last intent, as long as its effect is not known
    target_state text,                  -- where a target that takes actions was last seen to stand
    looked_ms    bigint,                -- when it was asked that
    batch_limit  bigint,                -- in how large a batch it may go, after one was refused whole
    recent       text,                  -- what was sent lately: tells two systems that undo each other
    judged_by    text,                  -- version of the mapping that could not make a record of it
    primary key (adapter, push, dossier_id, item)
);
create index delivery_state on delivery (adapter, state, due_ms, push);
create index delivery_until on delivery (adapter, until_ms) where until_ms is not null;
create index delivery_dossier on delivery (dossier_id, adapter);
create index delivery_open on delivery (adapter) where intent is not null and holder is not null and item = '';

-- What people decided about dead letters. Rows are only added.
create table decision (
    seq        bigint generated always as identity primary key,
    at_ms      bigint not null,         -- by the wall clock
    decided_by text   not null,
    letter     text collate "C" not null, -- id of the dead letter
    dossier_id uuid,
    verb       text   not null check (verb in ('retry', 'discard')),
    reason     text
);
create index decision_letter on decision (letter, seq);
create index decision_dossier on decision (dossier_id, seq) where dossier_id is not null;

-- Which worker works on a dossier for an adapter, and until when it alone may begin a call.
create table claim (
    adapter    text collate "C" not null,
    dossier_id uuid   not null,
    holder     text collate "C" not null,
    until_ms   bigint not null,
    primary key (adapter, dossier_id)
);
create index claim_holder on claim (adapter, holder);

-- Work that one node at a time does for the store: publishing, asking a system what is new.
create table lease (
    name     text collate "C" primary key,
    holder   text collate "C" not null,
    until_ms bigint not null
);
