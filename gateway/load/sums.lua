-- Adds to sums that forget. KEYS 1: a hash of floats. ARGV 1: how many queries' worth of memory fades,
-- 2: over how many queries it does; then field, amount, ...  Returns all fields and their values.

local fade = math.exp(-tonumber(ARGV[1]) / tonumber(ARGV[2]))
local sums = {}
local stored = redis.call('HGETALL', KEYS[1])
for i = 1, #stored, 2 do sums[stored[i]] = tonumber(stored[i + 1]) * fade end
for i = 3, #ARGV, 2 do sums[ARGV[i]] = (sums[ARGV[i]] or 0) + tonumber(ARGV[i + 1]) end

local flat = {}
for field, value in pairs(sums) do
  flat[#flat + 1] = field
  flat[#flat + 1] = string.format('%.17g', value)
end
if #ARGV > 2 and #flat > 0 then redis.call('HSET', KEYS[1], unpack(flat)) end
return flat
