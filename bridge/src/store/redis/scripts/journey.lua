-- key
local key = ARGV[1]
local alert = envelope_of(key)
if not alert[1] then return false end
local deliveries, others = {}, {}
for _, id in ipairs(redis.call('ZRANGE', DELIVERIES_OF .. key, 0, -1)) do
  deliveries[#deliveries + 1] =
    { id, redis.call('HGETALL', DELIVERY .. id), redis.call('HGET', RENDERING .. id, 'rendering') }
end
for _, m in ipairs(redis.call('ZRANGE', CHAIN .. alert[2], 0, -1)) do
  local other = id_of(m)
  if other ~= key then others[#others + 1] = redis.call('HGET', ALERT .. other, 'envelope') end
end
return { alert[1], alert[2], alert[3] or '', redis.call('HGET', SEEN .. key, 'repeats') or '0', deliveries,
  redis.call('LRANGE', EVENTS .. key, 0, -1), others }
