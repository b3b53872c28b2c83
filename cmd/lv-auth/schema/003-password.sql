-- 003: a key that is also the password of a user named as the stream (authmod=adobe), as its hash.
alter table stream_keys add column if not exists adobe text;
