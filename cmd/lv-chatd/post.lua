-- An entry comes into a room, once: checked, kept, and published, and what moderation does is done.
-- KEYS: stream, limit, state, bans, ref (empty: none).
-- ARGV: channel, entry, user, kind, messages, window, pause, target.
-- Gives the new id; or a number, the time to wait, or -1 for an unknown target; or a list of the id that it has.
local twin = KEYS[5] ~= '' and redis.call('GET', KEYS[5])
if twin then return { twin } end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local max, window, pause = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
if max > 0 then
	local nth, last = redis.call('LINDEX', KEYS[2], max - 1), redis.call('LINDEX', KEYS[2], 0)
	local wait = nth and nth + window - now or 0
	if last and pause > 0 then wait = math.max(wait, last + pause - now) end
	if wait > 0 then return wait end
	redis.call('LPUSH', KEYS[2], now)
	redis.call('LTRIM', KEYS[2], 0, max - 1)
	redis.call('PEXPIRE', KEYS[2], math.max(window, pause, 1))
end
local kind, said = ARGV[4], { message = 1, emote = 1, sub = 1, gift = 1, raid = 1, held = 1 }
-- Of one message, or of a person, or all: the entries, and the pins that show them.
local function hide(id, user)
	local function goes(i, u) return i == id or u == user or not (id or user) end
	local function shows(pin)
		local m = cjson.decode(pin).message
		return m and goes(m.id, m.user)
	end
	for _, e in ipairs(redis.call('XRANGE', KEYS[1], id or '-', '+')) do
		local is = e[2][6]
		if said[is] and goes(e[1], e[2][4]) or is == 'pin' and shows(e[2][2]) then redis.call('XDEL', KEYS[1], e[1]) end
	end
	local pin = redis.call('HGET', KEYS[3], 'pin')
	if pin and shows(pin) then redis.call('HDEL', KEYS[3], 'pin') end
end
if kind == 'approve' or kind == 'deny' then
	if redis.call('XDEL', KEYS[1], ARGV[8]) == 0 then return -1 end
	if kind == 'approve' then kind = 'message' end
elseif kind == 'delete' then hide(ARGV[8])
elseif kind == 'ban' or kind == 'timeout' then
	redis.call('HSET', KEYS[4], ARGV[8], ARGV[2])
	hide(nil, ARGV[8])
elseif kind == 'unban' then redis.call('HDEL', KEYS[4], ARGV[8])
elseif kind == 'clear' then hide()
elseif kind == 'modes' or kind == 'pin' then redis.call('HSET', KEYS[3], kind, ARGV[2])
elseif kind == 'unpin' then redis.call('HDEL', KEYS[3], 'pin') end
if redis.call('XLEN', KEYS[1]) >= 1000 then
	redis.call('HSET', KEYS[3], 'floor', redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1][1])
end
local id = redis.call('XADD', KEYS[1], 'MAXLEN', 1000, '*', 'e', ARGV[2], 'u', ARGV[3], 'k', kind)
if KEYS[5] ~= '' then redis.call('SET', KEYS[5], id, 'PX', 300000) end
redis.call('PUBLISH', ARGV[1], id .. ' ' .. ARGV[2])
return id
