-- before_ms, limit
local keys = redis.call('ZRANGEBYSCORE', OVER, '-inf', '(' .. ARGV[1], 'LIMIT', 0, ARGV[2])
for _, key in ipairs(keys) do
  local a = redis.call('HMGET', ALERT .. key, 'chain', 'identifier', 'seq', 'over_ms', 'name', 'twin')
  local function outlives(what) redis.call('ZADD', FORGET, a[4], what) end
  outlives('s:' .. key)
  outlives('n:' .. a[5])
  if a[6] and redis.call('GET', TWIN .. a[6]) == key then outlives('t:' .. a[6]) end
  for _, id in ipairs(redis.call('ZRANGE', DELIVERIES_OF .. key, 0, -1)) do
    local d = redis.call('HMGET', DELIVERY .. id, 'state', 'chain', 'endpoint', 'seq')
    -- References of our own are known longer than what was sent.
    local r = redis.call('HGET', RENDERING .. id, 'rendering')
    if r then
      local rendering = cjson.decode(r)
      if rendering.translated then
        outlives('o:' .. rendering.reference.identifier .. '\n' .. rendering.reference.sender)
        for _, other in ipairs(rendering.earlier) do outlives('o:' .. other.identifier .. '\n' .. other.sender) end
      end
    end
    if LISTED[d[1]] then redis.call('ZREM', STATE .. d[1], id) end
    redis.call('ZREM', DELIVERIES, id)
    redis.call('ZREM', ISSUED .. d[2] .. ':' .. d[3], member(id, d[4]))
    redis.call('DEL', DELIVERY .. id, RENDERING .. id)
  end
  redis.call('ZREM', OVER, key)
  redis.call('ZREM', ALERTS, key)
  redis.call('ZREM', ALERT_KEYS, key)
  redis.call('ZREM', NAMED .. a[2], key)
  redis.call('ZREM', CHAIN .. a[1], member(key, a[3]))
  if redis.call('EXISTS', CHAIN .. a[1]) == 0 then redis.call('DEL', FOLLOWERS .. a[1]) end
  redis.call('DEL', ALERT .. key, DELIVERIES_OF .. key, EVENTS .. key)
end
return #keys
