-- One exchange between a replica and the shared book: everything in it happens in one step, on the clock of Redis.
--
-- KEYS  1 the last turn of this replica, 2 replicas by heartbeat (ms), 3 the epoch, 4 the count of releases,
--       5 whether somebody waits, 6 when the last exchange was (ms); then per endpoint its leases (member -> when it
--       ends, ms)
--       and its rates (r<slice>: requests, t<slice>: tokens taken in that slice).
-- ARGV  1 the ask, 2 the channel on which releases are announced.
-- A member is replica|tokens|lease id. What is held is always counted from the leases, so no sum can drift.

local FIXED, SLICE_MS, SLICES = 6, 5000, 13
local UNLIMITED = 2 ^ 40
local RATES_TTL_MS, LEAVING = 70000, 2
local AT_ONCE = 1000  -- arguments of one command; the stack of Lua holds 8,000

local replica, turn, lease_ms, epoch, sync, waits, look, limits,
  ended_at, ended, ended_slice, ended_difference, claimed_at, claimed, claimed_tokens, written_at, written, spent =
  unpack(cmsgpack.unpack(ARGV[1]))

-- An ask that was given up on may still arrive, after newer ones.
if turn <= tonumber(redis.call('GET', KEYS[1]) or -1) then
  return redis.error_reply('STALE turn')
end
redis.call('SET', KEYS[1], turn, 'PX', lease_ms + RATES_TTL_MS)

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local slice = math.floor(now / SLICE_MS)
local oldest = slice - SLICES + 1
local ends = string.format('%d', now + lease_ms)
local this = string.format('%d', now)
local alive = '(' .. this
local freed = 0

local function leases_key(position) return KEYS[FIXED + 2 * position - 1] end
local function rates_key(position) return KEYS[FIXED + 2 * position] end
local function limit(value) return value < 0 and UNLIMITED or value end
local function rated(position) return limits[position][3] >= 0 or limits[position][4] >= 0 end

-- Every replica that lives is here within a third of a lease. A clock that is further off was put there: then leases
-- have ended that are still held, or will not end, and the book is one that has lost what it knew.
local before = tonumber(redis.call('GET', KEYS[6]) or now)
if math.abs(now - before) > lease_ms / 2 then redis.call('DEL', KEYS[3]) end
redis.call('SET', KEYS[6], this)

-- What a clock that was put back has left in the future lasts no longer than what begins now.
local function clamp(key, most)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', key, '(' .. most, '+inf')) do redis.call('ZADD', key, most, member) end
end

-- 1. What has ended.
local gone = {}

local function remove(position)
  freed = freed + redis.call('ZREM', leases_key(position), unpack(gone[position]))
  gone[position] = nil
end

for i, position in ipairs(ended_at) do
  local members, difference = gone[position] or {}, ended_difference[i]
  gone[position] = members
  members[#members + 1] = ended[i]
  if #members == AT_ONCE then remove(position) end
  if difference ~= 0 and ended_slice[i] >= oldest then
    local key, field = rates_key(position), 't' .. math.min(slice, ended_slice[i])
    if redis.call('HINCRBY', key, field, difference) < 0 then redis.call('HSET', key, field, 0) end
  end
end
for position = 1, #limits do
  if gone[position] then remove(position) end
end

-- 2. What this replica holds, written as a whole: it mends whatever a lost or doubled ask left behind.
if sync > 0 then
  local mine, prefix = {}, replica .. '|'
  for i, position in ipairs(written_at) do
    mine[written[i]] = true
    redis.call('ZADD', leases_key(position), ends, written[i])
  end
  for position = 1, #limits do
    local key = leases_key(position)
    freed = freed + redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
      if not mine[member] and string.sub(member, 1, #prefix) == prefix then
        freed = freed + redis.call('ZREM', key, member)
      end
    end
    clamp(key, ends)
    redis.call('PEXPIRE', key, lease_ms + RATES_TTL_MS)
  end
  for _, entry in ipairs(spent) do
    local position, requests, tokens = unpack(entry)
    redis.call('HINCRBY', rates_key(position), 'r' .. slice, requests)
    redis.call('HINCRBY', rates_key(position), 't' .. slice, tokens)
    redis.call('PEXPIRE', rates_key(position), RATES_TTL_MS)
  end
  if sync == LEAVING then
    redis.call('ZREM', KEYS[2], replica)
  else
    redis.call('ZADD', KEYS[2], now, replica)
  end
  clamp(KEYS[2], this)
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - lease_ms)
  redis.call('PEXPIRE', KEYS[2], lease_ms + RATES_TTL_MS)
  -- A replica with nothing to say would not look before its next turn: it is told to.
  if redis.call('SET', KEYS[3], epoch, 'NX') then redis.call('PUBLISH', ARGV[2], '') end
end

-- 3. What is taken, counted once per endpoint. Leases that have ended count no more; the next sync removes them.
local counted = {}

local function tokens_held(members)
  local sum = 0
  for _, member in ipairs(members) do
    sum = sum + tonumber(string.match(member, '^[^|]*|(%d+)|'))
  end
  return sum
end

local function rates(key)
  local past = {}
  local taken = { r = 0, t = 0, now_r = 0, now_t = 0 }
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    local kind, number, value = string.sub(fields[i], 1, 1), tonumber(string.sub(fields[i], 2)), tonumber(fields[i + 1])
    if number < oldest or number > slice then past[#past + 1] = fields[i] end
    if number > slice then  -- the clock was put back: it was taken just now, then
      redis.call('HINCRBY', key, kind .. slice, value)
      number = slice
    end
    if number >= oldest then taken[kind] = taken[kind] + value end
    if number == slice then taken['now_' .. kind] = taken['now_' .. kind] + value end
  end
  if #past > 0 then redis.call('HDEL', key, unpack(past)) end
  return taken
end

local function endpoint(position)
  local found = counted[position]
  if found then return found end
  local slots, kv, requests, tokens, requests_cap, tokens_cap = unpack(limits[position])
  local key = leases_key(position)
  found = { kv = UNLIMITED, requests = limit(requests_cap), tokens = limit(tokens_cap), members = {}, taken_tokens = 0 }
  if kv >= 0 then
    local members = redis.call('ZRANGEBYSCORE', key, alive, '+inf')
    found.held, found.kv = #members, kv - tokens_held(members)
  else
    found.held = redis.call('ZCOUNT', key, alive, '+inf')
  end
  found.slots, found.fresh = slots - found.held, found.held == 0
  if requests >= 0 or tokens >= 0 then
    found.rates = rates(rates_key(position))
    found.requests = math.min(found.requests, limit(requests) - found.rates.r)
    found.tokens = math.min(found.tokens, limit(tokens) - found.rates.t)
  end
  counted[position] = found
  return found
end

local function take(position, found)
  local taken = #found.members / 2
  if taken == 0 then return end
  redis.call('ZADD', leases_key(position), unpack(found.members))
  -- Every sync of every replica lengthens it again.
  if found.fresh then redis.call('PEXPIRE', leases_key(position), lease_ms + RATES_TTL_MS) end
  if not found.rates then return end
  local key, before = rates_key(position), found.rates
  redis.call('HSET', key, 'r' .. slice, before.now_r + taken, 't' .. slice, before.now_t + found.taken_tokens)
  if before.now_r == 0 then redis.call('PEXPIRE', key, RATES_TTL_MS) end
end

-- 4. The claims, in order.
local verdicts, refused = {}, false
for i, position in ipairs(claimed_at) do
  local tokens = claimed_tokens[i]
  local found = position > 0 and endpoint(position)
  if found and found.slots >= 1 and found.requests >= 1 and found.tokens >= tokens and found.kv >= tokens then
    verdicts[i] = 1
    found.slots, found.requests = found.slots - 1, found.requests - 1
    found.tokens, found.kv = found.tokens - tokens, found.kv - tokens
    found.held, found.taken_tokens = found.held + 1, found.taken_tokens + tokens
    found.members[#found.members + 1] = ends
    found.members[#found.members + 1] = claimed[i]
  else
    verdicts[i] = 0
    refused = true
  end
end
for position = 1, #limits do
  if counted[position] then take(position, counted[position]) end
end

-- 5. The view, when asked for.
local rows = {}
for position = 1, look do
  local found = endpoint(position)
  rows[position] = { found.held, found.slots, found.requests, found.tokens, found.kv }
end

local free = {}
for position = 1, #limits do
  local found = counted[position] or sync > 0 and endpoint(position)
  free[position] = found and math.max(0, found.slots) or -1
end

-- 6. Who waits learns of room: by an announcement now, or by a timer where only time will make it.
local change_ms = -1
local function changes_at(at) if change_ms < 0 or at - now < change_ms then change_ms = at - now end end
if refused or waits > 0 then
  for position = 1, #limits do
    local first = redis.call('ZRANGEBYSCORE', leases_key(position), alive, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    if first[2] then changes_at(tonumber(first[2])) end
    if rated(position) then changes_at((slice + 1) * SLICE_MS) end
  end
end
local releases
if freed > 0 then
  releases = redis.call('INCRBY', KEYS[4], freed)
  if redis.call('DEL', KEYS[5]) == 1 then redis.call('PUBLISH', ARGV[2], releases) end
else
  releases = tonumber(redis.call('GET', KEYS[4]) or 0)
end
if refused or waits > 0 then redis.call('SET', KEYS[5], 1, 'PX', RATES_TTL_MS) end

return cmsgpack.pack({
  redis.call('GET', KEYS[3]) or '', releases, verdicts, rows, redis.call('ZCOUNT', KEYS[2], now - lease_ms, '+inf'),
  math.ceil(change_ms), slice, free,
})
