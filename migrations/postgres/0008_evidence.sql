-- The evidence log: facts as leaves of one Merkle tree over all campaigns, written in the transactions of the facts.

-- What the random names of a campaign's persons in the log are made from; null: destroyed, nobody can be found in it.
alter table campaign add column subjects bytea;
update campaign set subjects = decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex');

-- Where in the log a fact stands: batch key * 65536 + place in the batch. Null: it is older than the log.
alter table attempt add column start_leaf bigint;
alter table attempt add column end_leaf bigint;
alter table receipt add column leaf bigint;
alter table approval add column leaf bigint;
alter table note add column leaf bigint;
alter table source add column leaf bigint;
-- What keeps the commitments in the leaf from being guessed.
alter table receipt add column salt bytea;
alter table approval add column salt bytea;
alter table note add column salt bytea;
alter table source add column salt bytea;

-- The leaves of one transaction, each behind its length in two octets.
create table leaf_batch (
    id bigint generated always as identity primary key,
    -- Random: facts name it before it has an id.
    key bigint not null unique,
    n bigint not null,
    leaves bytea not null
);
-- Written once and read once: not worth compressing.
alter table leaf_batch alter column leaves set storage external;
-- Batches that have no place in the log yet.
create table leaf_pending (batch bigint not null primary key);
create function leaf_is_pending() returns trigger language plpgsql as $$
begin
    insert into leaf_pending (batch) values (new.id);
    return null;
end $$;
create trigger leaf_is_pending after insert on leaf_batch
for each row execute function leaf_is_pending();
-- The index in the log of each batch's first leaf.
create table leaf_place (
    first bigint not null primary key,
    batch bigint not null unique,
    n bigint not null
);
-- Hashes of the trees, 256 a tile (C2SP tlog-tiles). Tree 0 is the log.
create table tile (
    tree bigint not null,
    level bigint not null,
    idx bigint not null,
    hashes bytea not null,
    primary key (tree, level, idx)
);
alter table tile alter column hashes set storage external;
-- Every signed head of the log.
create table checkpoint (
    size bigint not null primary key,
    root bytea not null,
    at bigint not null,
    -- The signed note (C2SP signed-note, tlog-checkpoint).
    note text not null
);
-- How many leaves have places, and how many of them are hashed and signed. Whoever moves it on says what it was before.
create table log_head (
    one bigint not null primary key check (one = 1),
    placed bigint not null,
    signed bigint not null
);
insert into log_head (one, placed, signed) values (1, 0, 0);

-- What was done to the log itself, which belongs to no campaign.
create table log_note (
    id bigint generated always as identity primary key,
    at bigint not null,
    by_name text not null,
    what text not null,
    text text not null,
    leaf bigint not null,
    salt bytea not null
);

-- Trees over the persons of a campaign, whose roots are leaves of the log: who is to be told, sealed before anybody is
-- (recipients), and which leaves are about whom (closing). Their tiles stand in tile under this id.
create table person_tree (
    id bigint generated always as identity primary key,
    campaign bigint not null,
    kind text not null check (kind in ('recipients', 'closing')),
    -- The persons with these numbers, as far as there are any; one leaf each, in their order.
    first_person bigint not null,
    last_person bigint not null,
    n bigint not null,
    root bytea not null,
    at bigint not null,
    -- Leaves of the log before this one are told of in a closing tree.
    size bigint not null,
    -- The leaf that holds the root; null: it is being made.
    leaf bigint
);
create index person_tree_campaign on person_tree (campaign, kind, id);

create function log_is_append_only() returns trigger language plpgsql as $$
begin
    raise exception 'what stands in the evidence log is never changed';
end $$;
create trigger leaf_batch_is_append_only before update or delete on leaf_batch
for each row execute function log_is_append_only();
create trigger checkpoint_is_append_only before update on checkpoint
for each row execute function log_is_append_only();
