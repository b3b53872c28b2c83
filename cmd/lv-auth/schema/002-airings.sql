-- 002: how a stream changes hands.  lib/airing.h draws the states; these are the same rules with
-- leases, for several boxes.  Each function is one statement of lv-auth and may be repeated.

create or replace function lv_lease() returns interval language sql immutable as
$$ select interval '15 seconds' $$;

-- Within one lease of its own start the database takes every lease as good: nobody could renew.
create or replace function lv_leased(lease_until timestamptz) returns boolean language sql stable as $$
	select lease_until > clock_timestamp() or clock_timestamp() < pg_postmaster_start_time() + lv_lease()
$$;

create or replace function lv_time(ms bigint) returns timestamptz language sql immutable as
$$ select to_timestamp(ms / 1000.0) $$;

-- The end of a broadcast and of the sessions that had none.
create or replace function lv_close(p_broadcast text, p_at timestamptz, p_reason text) returns void
language sql as $$
	update sessions set ended_at = p_at, reason = p_reason
	where broadcast = p_broadcast and ended_at is null;
	update live_streams set status = 'ended', ended_at = greatest(p_at, started_at), reason = p_reason
	where broadcast = p_broadcast and ended_at is null;
$$;

-- A publisher has shown a good key.  No row when somebody publishes the stream, or may; but with
-- p_takeover another box has to give it up, which hears of it at once.
drop function if exists lv_reserve(text, text, text, text, bigint, int);
create or replace function lv_reserve(p_stream text, p_key text, p_session text, p_box text,
	p_now_ms bigint, p_hold_s int, p_takeover boolean)
returns table (broadcast text, origin_ms bigint, epoch bigint, resumed boolean)
language plpgsql as $$
#variable_conflict use_column
declare
	a airings;
	at timestamptz := clock_timestamp();
	again boolean;
begin
	insert into airings (stream) values (p_stream) on conflict do nothing;
	select * into a from airings where airings.stream = p_stream for update;
	if a.state in ('reserved', 'live') and lv_leased(a.lease_until) then
		if not p_takeover or a.state <> 'live' or a.box = p_box then
			return;
		end if;
		update sessions s set ended_at = at, reason = 'taken over'
		where s.broadcast = a.broadcast and s.ended_at is null;
		perform pg_notify('lv_keys', '');
	end if;
	again := a.state <> 'ended' and not a.fresh and
		(a.lease_until > at or a.seen_at + make_interval(secs => p_hold_s) > at);
	if again then
		update sessions s set ended_at = a.seen_at, reason = 'lost'
		where s.broadcast = a.broadcast and s.ended_at is null;
	else
		perform lv_close(a.broadcast, a.seen_at, 'lost');
		update lv_ids set last_ms = greatest(last_ms + 1, p_now_ms) returning lv_broadcast(last_ms)
		into a.broadcast;
		a.origin_ms := p_now_ms;
	end if;
	update airings set broadcast = a.broadcast, origin_ms = a.origin_ms, epoch = a.epoch + 1,
		state = 'reserved', fresh = not again, session = p_session, key_id = p_key, box = p_box,
		lease_until = at + lv_lease(), seen_at = at
	where airings.stream = p_stream;
	return query select a.broadcast, a.origin_ms, a.epoch + 1, again;
end $$;

-- A session runs: "started", and "live", which may be the first that the database hears of it.
-- The door knows best, but not against a later owner, or a broadcast that began later.  The history is
-- written in any case.
create or replace function lv_publishing(p_stream text, p_broadcast text, p_session text, p_epoch bigint,
	p_origin_ms bigint, p_box text, p_at_ms bigint)
returns table (verdict text, stream text, epoch bigint, origin_ms bigint) language plpgsql as $$
#variable_conflict use_column
declare
	a airings;
	lost boolean;
	owner record;
begin
	select * into a from airings where broadcast = p_broadcast for update;
	if not found then
		if p_stream = '' then
			return;
		end if;
		insert into airings (stream) values (p_stream) on conflict do nothing;
		select * into a from airings where stream = p_stream for update;
		lost := a.broadcast > p_broadcast and a.state <> 'ended';
		if not lost then
			update lv_ids set last_ms = greatest(last_ms, p_origin_ms);
			a.epoch := a.epoch + 1;
			perform lv_close(a.broadcast, a.seen_at, 'lost');
			a.broadcast := p_broadcast;
			a.origin_ms := p_origin_ms;
			a.key_id := null;
		end if;
	else
		lost := not (a.session = p_session or p_epoch >= a.epoch or (p_epoch = 0 and a.box = p_box));
	end if;
	select k.id, k.user_id into owner from stream_keys k
	where k.stream = a.stream order by k.id::text = a.key_id desc nulls last, k.is_active desc, k.id limit 1;
	update live_streams set status = 'ended', ended_at = greatest(lv_time(p_at_ms), started_at),
		reason = 'lost'
	where status = 'live' and not lost and broadcast <> p_broadcast and
		(stream = a.stream or stream_key_id = owner.id);
	insert into live_streams (user_id, stream_key_id, started_at, status, stream, broadcast)
	values (owner.user_id, owner.id, lv_time(p_at_ms), case when lost then 'ended' else 'live' end, a.stream,
		p_broadcast)
	on conflict (broadcast) do update set status = 'live', ended_at = null, reason = null,
		stream_key_id = excluded.stream_key_id
	where not lost;
	insert into sessions (broadcast, session, stream, epoch, box, started_at)
	values (p_broadcast, p_session, a.stream, greatest(p_epoch, case when lost then 0 else a.epoch end),
		p_box, lv_time(p_at_ms))
	on conflict on constraint sessions_pkey do update set ended_at = null, reason = null where not lost;
	if lost then
		return query select 'lost', a.stream, a.epoch, a.origin_ms;
		return;
	end if;
	a.epoch := greatest(a.epoch, p_epoch);
	update airings set broadcast = a.broadcast, origin_ms = a.origin_ms, key_id = a.key_id,
		epoch = a.epoch, state = 'live', fresh = false, session = p_session, box = p_box,
		lease_until = clock_timestamp() + lv_lease(), seen_at = clock_timestamp()
	where stream = a.stream;
	return query select 'ok', a.stream, a.epoch, a.origin_ms;
end $$;

-- The session is over, or never was: "ended", "abandoned".
drop function if exists lv_session_over(text, text, bigint);
create or replace function lv_session_over(p_broadcast text, p_session text, p_box text, p_at_ms bigint)
returns text language plpgsql as $$
declare
	a airings;
begin
	update sessions set ended_at = greatest(lv_time(p_at_ms), started_at), reason = 'ended'
	where session = p_session and (broadcast = p_broadcast or (p_broadcast = '' and box = p_box)) and
		ended_at is null;
	select * into a from airings
	where session = p_session and (broadcast = p_broadcast or (p_broadcast = '' and box = p_box)) and
		state in ('reserved', 'live')
	for update;
	if not found then
		return 'unknown';
	end if;
	update airings set state = case when a.fresh then 'ended' else 'held' end, session = '', fresh = false,
		lease_until = clock_timestamp() + lv_lease(), seen_at = clock_timestamp()
	where stream = a.stream;
	return 'ok';
end $$;

-- Its program was reaped.  Whoever was let in again before we heard of it keeps the broadcast.
create or replace function lv_broadcast_over(p_broadcast text, p_epoch bigint, p_box text, p_at_ms bigint)
returns text language plpgsql as $$
declare
	a airings;
begin
	select * into a from airings where broadcast = p_broadcast for update;
	if found and (a.state = 'reserved' or
		not (p_epoch >= a.epoch or a.box = p_box or not lv_leased(a.lease_until))) then
		return 'ok';
	end if;
	perform lv_close(p_broadcast, lv_time(p_at_ms), 'ended');
	update airings set state = 'ended', session = '', fresh = false, seen_at = clock_timestamp()
	where broadcast = p_broadcast;
	return 'ok';
end $$;

-- All that a box airs has been named: what was its own and was not named has gone.
create or replace function lv_sync(p_box text, p_broadcasts text[]) returns void language sql as $$
	update sessions s set ended_at = a.seen_at, reason = 'lost' from airings a
	where s.broadcast = a.broadcast and s.ended_at is null and a.box = p_box and
		a.state = 'live' and a.broadcast <> all (p_broadcasts);
	update airings set state = case when fresh then 'ended' else 'held' end, session = '', fresh = false
	where box = p_box and state in ('reserved', 'live') and broadcast <> all (p_broadcasts);
$$;

-- Every five seconds: what a box holds stays its own.  Tells what is not, and what it should end.
create or replace function lv_renew(p_streams text[], p_broadcasts text[], p_epochs bigint[])
returns table (stream text, why text) language plpgsql as $$
#variable_conflict use_column
begin
	update airings a set lease_until = clock_timestamp() + lv_lease(), seen_at = clock_timestamp()
	from unnest(p_broadcasts, p_epochs) m (broadcast, epoch)
	where a.broadcast = m.broadcast and a.epoch = m.epoch and a.state <> 'ended';
	return query
		select a.stream, 'lost' from airings a
		join unnest(p_streams, p_epochs) m (stream, epoch) using (stream) where a.epoch > m.epoch
		union all
		select a.stream, 'revoked' from airings a
		join unnest(p_streams, p_epochs) m (stream, epoch) using (stream)
		where a.epoch = m.epoch and a.state = 'live' and not exists (
			select from stream_keys k where k.stream = a.stream and k.is_active);
end $$;

-- What nobody renews: off the air at once, over when it was not resumed within the time.
create or replace function lv_reap(p_hold_s int) returns void language plpgsql as $$
declare
	a airings;
	over boolean;
begin
	for a in select * from airings where state <> 'ended' and not lv_leased(lease_until)
		for update skip locked
	loop
		over := a.fresh or a.seen_at + make_interval(secs => p_hold_s) < clock_timestamp();
		continue when a.state = 'held' and not over;
		update sessions set ended_at = a.seen_at, reason = 'lost'
		where broadcast = a.broadcast and ended_at is null;
		update airings set state = case when over then 'ended' else 'held' end, session = '', fresh = false
		where stream = a.stream;
		if over then
			perform lv_close(a.broadcast, a.seen_at, 'lost');
		end if;
	end loop;
	update live_streams l set status = 'ended', ended_at = greatest(now(), started_at), reason = 'lost'
	where status = 'live' and not exists (
		select from airings o where o.broadcast = l.broadcast and o.state <> 'ended');
end $$;

-- A leaving lv-auth: what is in grace may be resumed by anybody for a while; reservations are void.
create or replace function lv_leave(p_broadcasts text[], p_epochs bigint[]) returns void language sql as $$
	update airings a set lease_until = clock_timestamp(), seen_at = clock_timestamp(),
		state = case when a.fresh then 'ended' else 'held' end, session = '', fresh = false
	from unnest(p_broadcasts, p_epochs) m (broadcast, epoch)
	where a.broadcast = m.broadcast and a.epoch = m.epoch and a.state in ('held', 'reserved');
$$;

-- Whoever waits for changes is woken; all of them look by themselves as well.
create or replace function lv_wake() returns trigger language plpgsql as $$
begin
	perform pg_notify(tg_argv[0], '');
	return null;
end $$;
create or replace trigger lv_keys after insert or update or delete on stream_keys
	for each statement execute function lv_wake('lv_keys');
create or replace trigger lv_bans after insert or update or delete on chat_bans
	for each statement execute function lv_wake('lv_bans');
