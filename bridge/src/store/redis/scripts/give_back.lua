-- id, due_at, due_ms
local id = ARGV[1]
local key = DELIVERY .. id
local d = redis.call('HMGET', key, 'state', 'seq', 'lane')
if not d[1] then return 'missing' end
if d[1] ~= 'attempting' then return 'ok' end
local attempts = redis.call('HINCRBY', key, 'attempts', -1)
turn(id, d[2], d[1], attempts == 0 and 'queued' or 'waiting')
redis.call('ZREM', LEASED .. d[3], member(id, d[2]))
redis.call('HSET', key, 'due_at', ARGV[2], 'due_ms', ARGV[3])
become_due(id, ARGV[3])
return 'ok'
