-- The ledger's times (all `_ms` of `delivery` but `applied_ms`) are told by the node's steady clock, which nobody turns;
-- its anchor is in `meta`.

-- Records that are to be taken in anew because what they waited for has come, or will come at a time.
alter table inbox add column again integer not null default 0;
alter table inbox add column until_ms integer;          -- of what is ahead of our clock: when it no longer is
create index inbox_again on inbox (seq) where again = 1;
create index inbox_until on inbox (until_ms) where until_ms is not null;
create index inbox_waiting on inbox (adapter, cause, code) where state = 'waiting';

-- The journal in the order of arrival, so that it can be followed.
alter table journal rename to old_journal;
create table journal (
    seq         integer primary key autoincrement,
    event_id    text    not null unique,
    dossier_id  text    not null,
    received_ms integer not null,
    body        text    not null
) strict;
insert into journal (event_id, dossier_id, received_ms, body)
    select event_id, dossier_id, received_ms, body from old_journal order by received_ms, event_id;
drop table old_journal;
create index journal_dossier on journal (dossier_id, seq);

-- Dossiers that were joined with another one: id -> the dossier that lives on.
create table alias (
    id         text primary key,
    dossier_id text not null
) strict, without rowid;
create index alias_dossier on alias (dossier_id);

-- The code with its agency in the new form: codes of both forms are candidates for one dossier.
alter table link add column modern text;
create index link_modern on link (modern) where modern is not null;

alter table delivery add column span_ms integer;        -- length of the wait that ends at `until_ms`
alter table delivery add column intent text;            -- name of the last intent, as long as its effect is not known
-- Newest version that others than the target's own system have had a part in; of rows from before, nobody knows who had.
alter table delivery add column others integer not null default 0;
update delivery set others = desired;
alter table delivery add column target_state text;      -- where a target that takes actions was last seen to stand
alter table delivery add column looked_ms integer;      -- when it was asked that
alter table delivery add column batch_limit integer;    -- in how large a batch it may go, after one was refused whole
alter table delivery add column recent text;            -- what was sent lately: tells two systems that undo each other
alter table delivery add column judged_by text;         -- version of the mapping that could not make a record of it
create index delivery_open on delivery (adapter) where intent is not null and holder is not null and item = '';
