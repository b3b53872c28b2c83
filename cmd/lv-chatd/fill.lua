-- What a box has not got yet of a room.
-- KEYS: stream, state, bans.  ARGV: from which id on.
-- Gives the floor, the state, the entries.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local floor = redis.call('HGET', KEYS[2], 'floor')
if not floor then
	floor = string.format('%.0f-0', now - 1)
	redis.call('HSET', KEYS[2], 'floor', floor)
end
local state = {}
for _, k in ipairs({ 'modes', 'pin' }) do
	local e = redis.call('HGET', KEYS[2], k)
	if e then state[#state + 1] = e end
end
local bans = redis.call('HGETALL', KEYS[3])
for i = 2, #bans, 2 do
	local ends = cjson.decode(bans[i])['until']
	if ends and ends < now then redis.call('HDEL', KEYS[3], bans[i - 1])
	else state[#state + 1] = bans[i] end
end
return { floor, state, redis.call('XRANGE', KEYS[1], ARGV[1], '+') }
