-- Calls that lie on sheets are few beside all notices, and a status asks for them every few seconds.
create index notice_call on notice (campaign, channel, state, id) where channel = 'phone' and state = 'accepted';
