-- One exchange about what keys have used: everything in it happens in one step, on the clock of Redis.
--
-- KEYS  1 the last turn of this replica; per position: rates (r<slice>: requests, t<slice>: tokens taken in that slice),
--       and nano-dollars spent in a span.
-- ARGV  1: turn, limits by position {requests, tokens, budget (-1: none), spent as last heard},
--          corrections {position, slice, tokens, nano}, takes {position, requests, tokens, nano}.
-- What is reserved is spent at once, and a correction gives back what was not used: a replica that dies leaves its
-- reservations spent, and no sum depends on anybody coming back.

local SLICE_MS, SLICES, RATES_TTL_MS = 5000, 13, 70000
local SPENT_TTL_MS = 40 * 86400 * 1000
local turn, limits, corrections, takes = unpack(cmsgpack.unpack(ARGV[1]))

-- An ask that was given up on may still arrive after newer ones; one whose answer was lost is sent again.
local last = tonumber(redis.call('GET', KEYS[1]) or -1)
if turn < last then return redis.error_reply('STALE turn') end
if turn == last then corrections = {} end
redis.call('SET', KEYS[1], turn, 'PX', 86400000)

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local slice = math.floor(now / SLICE_MS)
local oldest = slice - SLICES + 1

local function rates_key(position) return KEYS[2 * position] end
local function spent_key(position) return KEYS[2 * position + 1] end

local function whole(number) return string.format('%.0f', number) end

-- 1. A Redis that has lost its memory is told what was last heard from it.
for position, limit in ipairs(limits) do
  if limit[3] >= 0 and limit[4] > 0 then
    redis.call('SET', spent_key(position), whole(limit[4]), 'NX', 'PX', whole(SPENT_TTL_MS))
  end
end

-- 2. Corrections.
for _, each in ipairs(corrections) do
  local position, at, tokens, nano = unpack(each)
  if tokens ~= 0 and at >= oldest then
    local key, field = rates_key(position), 't' .. whole(math.min(slice, at))
    if redis.call('HINCRBY', key, field, whole(tokens)) < 0 then redis.call('HSET', key, field, 0) end
    redis.call('PEXPIRE', key, RATES_TTL_MS)
  end
  if nano ~= 0 then
    local key = spent_key(position)
    if redis.call('INCRBY', key, whole(nano)) < 0 then redis.call('SET', key, 0) end
    redis.call('PEXPIRE', key, whole(SPENT_TTL_MS))
  end
end

-- 3. What is used now, read once for each position.
local found = {}
for position, limit in ipairs(limits) do
  local use = { r = {}, t = {}, sum_r = 0, sum_t = 0 }
  if limit[1] >= 0 or limit[2] >= 0 then
    local past, fields = {}, redis.call('HGETALL', rates_key(position))
    for i = 1, #fields, 2 do
      local kind, number, value = string.sub(fields[i], 1, 1), tonumber(string.sub(fields[i], 2)), tonumber(fields[i + 1])
      if number < oldest or number > slice then past[#past + 1] = fields[i] end
      if number > slice then  -- the clock was put back: it was taken just now, then
        redis.call('HINCRBY', rates_key(position), kind .. whole(slice), value)
        number = slice
      end
      if number >= oldest then
        use[kind][number] = (use[kind][number] or 0) + value
        use['sum_' .. kind] = use['sum_' .. kind] + value
      end
    end
    if #past > 0 then redis.call('HDEL', rates_key(position), unpack(past)) end
  end
  use.spent = limit[3] >= 0 and tonumber(redis.call('GET', spent_key(position)) or 0) or 0
  found[position] = use
end

local function wait_ms(taken, missing)
  for number = oldest, slice do
    missing = missing - (taken[number] or 0)
    if missing <= 0 then return (number + SLICES) * SLICE_MS - now end
  end
  return SLICES * SLICE_MS
end

-- 4. The wishes, in order.
local REQUESTS, TOKENS, BUDGET = 1, 2, 3
local verdicts = {}
for i, each in ipairs(takes) do
  local position, requests, tokens, nano = unpack(each)
  local limit, use, refused, wait = limits[position], found[position], 0, 0
  local wanted_r, wanted_t = math.min(requests, limit[1]), math.min(tokens, limit[2])
  if limit[1] >= 0 and use.sum_r + wanted_r > limit[1] then
    refused, wait = REQUESTS, wait_ms(use.r, use.sum_r + wanted_r - limit[1])
  elseif limit[2] >= 0 and use.sum_t + wanted_t > limit[2] then
    refused, wait = TOKENS, wait_ms(use.t, use.sum_t + wanted_t - limit[2])
  elseif limit[3] >= 0 and use.spent + math.max(1, nano) > limit[3] then
    refused = BUDGET
  else
    if limit[1] >= 0 then use.sum_r, use.r[slice] = use.sum_r + requests, (use.r[slice] or 0) + requests end
    if limit[2] >= 0 then use.sum_t, use.t[slice] = use.sum_t + tokens, (use.t[slice] or 0) + tokens end
    use.spent = use.spent + nano
    use.changed = true
  end
  verdicts[i] = { refused, wait }
end

local rows = {}
for position, limit in ipairs(limits) do
  local use = found[position]
  if use.changed then
    if limit[1] >= 0 or limit[2] >= 0 then
      redis.call('HSET', rates_key(position), 'r' .. whole(slice), use.r[slice] or 0, 't' .. whole(slice), use.t[slice] or 0)
      redis.call('PEXPIRE', rates_key(position), RATES_TTL_MS)
    end
    if limit[3] >= 0 then redis.call('SET', spent_key(position), whole(use.spent), 'PX', whole(SPENT_TTL_MS)) end
  end
  rows[position] = { use.sum_r, use.sum_t, use.spent }
end
return cmsgpack.pack({ slice, verdicts, rows })
