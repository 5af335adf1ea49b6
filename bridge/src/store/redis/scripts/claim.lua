-- lane, now_at, now_ms, lease_ms, limit
local lane, now_ms, limit = ARGV[1], ARGV[3], ARGV[5]

-- Leases that ran out: the worker is gone, and its attempt may have arrived.
for _, m in ipairs(redis.call('ZRANGEBYSCORE', LEASED .. lane, '-inf', now_ms, 'LIMIT', 0, limit)) do
  local id = id_of(m)
  turn(id, redis.call('HGET', DELIVERY .. id, 'seq'), 'attempting', 'waiting')
  redis.call('HSET', DELIVERY .. id, 'due_at', ARGV[2], 'due_ms', now_ms, 'maybe', 1)
  redis.call('ZREM', LEASED .. lane, m)
  become_due(id, now_ms)
end

local out = {}
for _, m in ipairs(redis.call('ZRANGEBYSCORE', DUE .. lane, '-inf', now_ms, 'LIMIT', 0, limit)) do
  local id = id_of(m)
  local key = DELIVERY .. id
  local d = redis.call('HMGET', key, 'state', 'seq', 'attempts', 'epoch', 'chain', 'endpoint')
  turn(id, d[2], d[1], 'attempting')
  redis.call('HSET', key, 'attempts', d[3] + 1, 'epoch', (d[4] or 0) + 1, 'attempted_at', ARGV[2])
  redis.call('ZREM', DUE .. lane, m)
  redis.call('ZADD', LEASED .. lane, ARGV[4], m)
  local r = redis.call('HMGET', RENDERING .. id, 'rendering', 'body')
  out[#out + 1] =
    { id, redis.call('HGETALL', key), r[1], r[2], redis.call('EXISTS', ISSUED .. d[5] .. ':' .. d[6]) }
end
return out
