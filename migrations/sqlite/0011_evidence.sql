-- The evidence log: facts as leaves of one Merkle tree over all campaigns, written in the transactions of the facts.

-- What the random names of a campaign's persons in the log are made from; null: destroyed, nobody can be found in it.
alter table campaign add column subjects blob;
update campaign set subjects = randomblob(32);

-- Where in the log a fact stands: batch key * 65536 + place in the batch. Null: it is older than the log.
alter table attempt add column start_leaf bigint;
alter table attempt add column end_leaf bigint;
alter table receipt add column leaf bigint;
alter table approval add column leaf bigint;
alter table note add column leaf bigint;
alter table source add column leaf bigint;
-- What keeps the commitments in the leaf from being guessed.
alter table receipt add column salt blob;
alter table approval add column salt blob;
alter table note add column salt blob;
alter table source add column salt blob;

-- The leaves of one transaction, each behind its length in two octets.
create table leaf_batch (
    id integer primary key,
    -- Random: facts name it before it has an id.
    key bigint not null unique,
    n bigint not null,
    leaves blob not null
);
-- Batches that have no place in the log yet.
create table leaf_pending (batch bigint not null primary key);
create trigger leaf_is_pending after insert on leaf_batch
begin
    insert into leaf_pending (batch) values (new.id);
end;
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
    hashes blob not null,
    primary key (tree, level, idx)
) without rowid;
-- Every signed head of the log.
create table checkpoint (
    size bigint not null primary key,
    root blob not null,
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
    id integer primary key,
    at bigint not null,
    by_name text not null,
    what text not null,
    text text not null,
    leaf bigint not null,
    salt blob not null
);

-- Trees over the persons of a campaign, whose roots are leaves of the log: who is to be told, sealed before anybody is
-- (recipients), and which leaves are about whom (closing). Their tiles stand in tile under this id.
create table person_tree (
    id integer primary key,
    campaign bigint not null,
    kind text not null check (kind in ('recipients', 'closing')),
    -- The persons with these numbers, as far as there are any; one leaf each, in their order.
    first_person bigint not null,
    last_person bigint not null,
    n bigint not null,
    root blob not null,
    at bigint not null,
    -- Leaves of the log before this one are told of in a closing tree.
    size bigint not null,
    -- The leaf that holds the root; null: it is being made.
    leaf bigint
);
create index person_tree_campaign on person_tree (campaign, kind, id);

create trigger leaf_batch_is_append_only_update before update on leaf_batch
begin
    select raise(abort, 'a leaf of the log is never changed');
end;
create trigger leaf_batch_is_append_only_delete before delete on leaf_batch
begin
    select raise(abort, 'leaves of the log are never deleted');
end;
create trigger checkpoint_is_append_only_update before update on checkpoint
begin
    select raise(abort, 'a checkpoint is never changed');
end;
