-- Notices in doubt about which their provider is asked: how often, and when again.
create table look_up (
    campaign bigint not null,
    notice bigint not null,
    -- The attempt that is in doubt.
    attempt bigint not null,
    tries bigint not null,
    -- When to ask (again); null: it is asked no more.
    due_at bigint,
    -- 1: the policy may send it again, whatever the provider would say later.
    free bigint not null default 0,
    primary key (campaign, notice)
);

-- When each route may be asked next, by whichever worker comes first.
create table look_up_turn (
    route text not null primary key,
    next_at bigint not null
);
