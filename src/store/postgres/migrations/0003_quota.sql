-- How often a limit was used up to the end of its time, by the wall clock.
create table quota (
    adapter  text   not null,
    name     text   not null,
    until_ms bigint not null,
    used     bigint not null,
    primary key (adapter, name)
);
