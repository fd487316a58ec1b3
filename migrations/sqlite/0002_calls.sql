-- What was noted about one notice (how its calls ended) is asked for by notice.
create index note_notice on note (campaign, notice, id) where notice is not null;
