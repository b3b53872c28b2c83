-- 005: each ban and time-out is a row of its own, which ends where the next of the same person begins: who
-- decided what, and why, is not lost by it.
create or replace function lv_ban_over() returns trigger language plpgsql as $$
begin
	update chat_bans set lifted_at = least(now(), until)
	where stream = new.stream and user_id = new.user_id and lifted_at is null;
	return new;
end $$;
create or replace trigger lv_ban_over before insert on chat_bans
	for each row when (new.lifted_at is null) execute function lv_ban_over();
