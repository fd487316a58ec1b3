-- Routes and receiving domains that a person told to rest. Ended ones stay, as the record of who did what.
create table suspension (
    id bigint generated always as identity primary key,
    kind text not null check (kind in ('route', 'domain')),
    name text not null,
    reason text not null,
    by_name text not null,
    at bigint not null,
    until bigint not null,
    lifted_at bigint,
    lifted_by text,
    check ((lifted_at is null) = (lifted_by is null))
);
create index suspension_open on suspension (until) where lifted_at is null;
