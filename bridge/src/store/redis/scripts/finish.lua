-- id, ended_at, ended_ms, state, due_at, due_ms, error, maybe, receipt, call, epoch, tried, events
local id, to = ARGV[1], ARGV[4]
local key = DELIVERY .. id
local d = redis.call('HMGET', key, 'state', 'seq', 'lane', 'chain', 'endpoint', 'alert', 'head', 'epoch', 'maybe', 'error')
if not d[1] then return 'missing' end
if (d[8] or '0') ~= ARGV[11] then
  -- Our own call again, whose answer was lost before another claimed what it had put off.
  return redis.call('EXISTS', CALL .. ARGV[10]) == 1 and 'ok' or 'taken-over'
end
if FINAL[d[1]] or was_run(ARGV[10]) then return 'ok' end
local a = redis.call('HMGET', ALERT .. d[6], 'sent_ms', 'waits', 'over_ms')
note(13, nil, a[1] and d[6])
if ARGV[12] == '0' then uncount(key) end
local m, line = member(id, d[2]), d[4] .. ':' .. d[5]
if d[1] == 'attempting' then redis.call('ZREM', LEASED .. d[3], m) else redis.call('ZREM', DUE .. d[3], m) end
turn(id, d[2], d[1], to)
if to == 'waiting' then
  redis.call('HSET', key, 'error', ARGV[7], 'due_at', ARGV[5], 'due_ms', ARGV[6])
  if ARGV[8] == '1' then redis.call('HSET', key, 'maybe', 1) end
  if d[7] == '1' then become_due(id, ARGV[6]) end
  return 'ok'
end
if to == 'delivered' then
  if d[10] then redis.call('HDEL', key, 'error') end
  redis.call('HSET', key, 'ended_at', ARGV[2], 'head', 0, 'receipt', ARGV[9])
else
  redis.call('HSET', key, 'ended_at', ARGV[2], 'head', 0, 'error', ARGV[7])
end
-- In the order of `sent`, as the chain.
if to == 'delivered' or d[9] == '1' then redis.call('ZADD', ISSUED .. line, a[1], m) end
redis.call('ZREM', OPEN .. d[3], id)
redis.call('ZREM', LINE .. line, id)
if redis.call('HINCRBY', ALERT .. d[6], 'open', -1) == 0 and a[2] == '0' then redis.call('ZADD', OVER, a[3], d[6]) end
promote(line, ARGV[2], ARGV[3])
return 'ok'
