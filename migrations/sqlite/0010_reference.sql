-- References stand by themselves, and are written in their own order, many at a time: a keyed hash falls anywhere in its
-- index, and one page a row was the dearest part of taking a list in.
create table reference (
    campaign bigint not null,
    -- The keyed hash a person is found by: 128 bits of the customer reference.
    hash blob not null,
    person bigint not null,
    primary key (campaign, hash)
) without rowid;
insert into reference (campaign, hash, person) select campaign, ref_hash, no from person order by campaign, ref_hash;
drop index person_ref;
alter table person drop column ref_hash;

-- Nothing looks for a person by address; whatever will can make its index from the sealed persons.
drop table contact;

-- One tree instead of a table and an index beside it.
create table sealed (
    campaign bigint not null,
    no bigint not null,
    -- The person's own key, wrapped; destroying it destroys the person.
    wrapped_key blob not null,
    sealed blob not null,
    primary key (campaign, no)
) without rowid;
insert into sealed (campaign, no, wrapped_key, sealed)
select campaign, no, wrapped_key, sealed from sealed_person order by campaign, no;
drop table sealed_person;
alter table sealed rename to sealed_person;
