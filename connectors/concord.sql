-- Concord's own tables, the same in every system's database; applied between schema.sql and capture.sql.
-- concord_applied, concord_canary, concord_signal and concord_heartbeat are published, and concord_request where changes
-- are asked for; the others never leave the database.

create table if not exists concord_applied (  -- what an adapter wrote last: its transaction's rows are no edits
    kind        text not null,
    entity_id   text not null,
    local_id    text not null,                -- the system's own id of the entity: the message key
    revision    bigint not null,
    view_hash   text not null,
    applied_at  timestamptz not null default clock_timestamp(),
    primary key (kind, entity_id)
);
create unique index if not exists concord_applied_identity on concord_applied (kind, entity_id, local_id);
create index if not exists concord_applied_local on concord_applied (kind, local_id);

create table if not exists concord_pending (  -- views that wait for a reference they name
    kind       text not null,
    entity_id  text not null,
    revision   bigint not null,
    view       jsonb not null,
    waits_for  text not null,
    primary key (kind, entity_id)
);
create index if not exists concord_pending_waits_for on concord_pending (waits_for);

create table if not exists concord_request (  -- approved change requests and their outcome: sent again = no-op
    request_id  text primary key,
    kind        text not null,
    entity_id   text not null,
    field       text not null,
    outcome     text not null,
    at          timestamptz not null default clock_timestamp()
);
create unique index if not exists concord_request_identity on concord_request (request_id, entity_id);

create table if not exists concord_offset (  -- sink offsets, in the transaction that applied the records
    topic        text not null,
    partition    integer not null,
    topic_id     text not null,
    next_offset  bigint not null check (next_offset >= 0),
    primary key (topic, partition)
);

create table if not exists concord_shape (  -- the columns an adapter writes, as they were when it could write them
    table_name   text not null,
    column_name  text not null,
    type         text not null,
    needed       boolean not null,             -- a row must have a value of the adapter's there
    primary key (table_name, column_name)
);

create table if not exists concord_signal (  -- Debezium reads its commands here
    id    varchar(42) primary key,
    type  varchar(32) not null,
    data  text
);

create table if not exists concord_heartbeat (
    id  integer primary key check (id = 1),
    at  timestamptz not null default now()
);
insert into concord_heartbeat (id) values (1) on conflict do nothing;

create table if not exists concord_canary (  -- `concord guard` counts here each second: what arrives of it is alive
    name  text primary key,
    beat  bigint not null,
    at    timestamptz not null default now()
);

do $$ begin create role concord_canary nologin;
exception when duplicate_object or unique_violation then null; end $$;
revoke all on concord_canary from concord_canary;
grant usage on schema public to concord_canary;
grant select (name, beat), insert (name, beat, at), update (beat, at) on concord_canary to concord_canary;
