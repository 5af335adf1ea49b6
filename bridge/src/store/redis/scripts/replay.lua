-- id, now_at, now_ms, give_up_at, call, delivered, events. `delivered`: a delivered one, to be issued again.
local id = ARGV[1]
local key = DELIVERY .. id
local d = redis.call('HMGET', key, 'state', 'seq', 'lane', 'chain', 'endpoint', 'alert', 'receipt')
if not d[1] then return 'missing' end
if was_run(ARGV[5]) then return 'ok' end
if ARGV[6] == '1' then
  if d[1] ~= 'delivered' then return 'not-delivered' end
elseif d[1] ~= 'dead' and d[1] ~= 'expired' then
  return 'not-ended'
end
local line = LINE .. d[4] .. ':' .. d[5]
local head = redis.call('ZCARD', line) == 0
turn(id, d[2], d[1], 'queued')
redis.call('HSET', key, 'due_at', ARGV[2], 'due_ms', ARGV[3], 'give_up_at', ARGV[4], 'head', head and 1 or 0)
redis.call('HDEL', key, 'ended_at')
-- What the endpoint took once stays there.
if not d[7] then redis.call('ZREM', ISSUED .. d[4] .. ':' .. d[5], member(id, d[2])) end
redis.call('ZADD', line, d[2], id)
redis.call('ZADD', OPEN .. d[3], d[2], id)
redis.call('HINCRBY', ALERT .. d[6], 'open', 1)
redis.call('ZREM', OVER, d[6])
if head then redis.call('ZADD', DUE .. d[3], ARGV[3], member(id, d[2])) end
note(7)
return 'ok'
