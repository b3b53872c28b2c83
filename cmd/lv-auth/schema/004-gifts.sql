-- 004: gifts are told in the rooms, each by one box: who takes it writes when.  Older ones are past.
do $$ begin
	if not exists (select from information_schema.columns where table_schema = current_schema()
			and table_name = 'gifts' and column_name = 'told_at') then
		alter table gifts add column told_at timestamptz default now();
		alter table gifts alter column told_at drop default;
	end if;
end $$;
create index if not exists gifts_untold on gifts (stream) where told_at is null;
-- The boxes wait on one channel for bans and gifts.
create or replace trigger lv_gifts after insert on gifts
	for each statement execute function lv_wake('lv_bans');
