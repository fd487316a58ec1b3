-- References stand by themselves, and are written in their own order, many at a time: a keyed hash falls anywhere in its
-- index, and one page a row was the dearest part of taking a list in.
create table reference (
    campaign bigint not null,
    -- The keyed hash a person is found by: 128 bits of the customer reference.
    hash bytea not null,
    person bigint not null,
    primary key (campaign, hash)
) partition by list (campaign);

do $$
declare c bigint;
begin
    for c in select no from campaign loop
        execute format('create table reference_%s partition of reference for values in (%s)', c, c);
    end loop;
end $$;

insert into reference (campaign, hash, person) select campaign, ref_hash, no from person;
drop index person_ref;
alter table person drop column ref_hash;

-- Nothing looks for a person by address; whatever will can make its index from the sealed persons.
drop table contact;
