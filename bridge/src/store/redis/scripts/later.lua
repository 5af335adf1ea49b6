-- chain, sent_ms
local out = {}
for _, m in ipairs(redis.call('ZRANGEBYSCORE', CHAIN .. ARGV[1], ARGV[2], '+inf')) do
  local key = id_of(m)
  if redis.call('HGET', ALERT .. key, 'routed') == '1' then out[#out + 1] = envelope_of(key) end
end
return out
