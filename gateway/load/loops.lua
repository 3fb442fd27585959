-- Who may be gone on from, and with which model. KEYS: one for each id. ARGV 1: seconds to keep it; 2: the model to
-- note, or "" to look: then the model of the first id that is known, which is kept anew, or "".

if ARGV[2] ~= '' then
  for _, key in ipairs(KEYS) do redis.call('SET', key, ARGV[2], 'EX', ARGV[1]) end
  return ARGV[2]
end
for _, key in ipairs(KEYS) do
  local model = redis.call('GET', key)
  if model then
    redis.call('EXPIRE', key, ARGV[1])
    return model
  end
end
return ''
