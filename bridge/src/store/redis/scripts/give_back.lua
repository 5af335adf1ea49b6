-- id, epoch, due_at, due_ms
local id = ARGV[1]
local key = DELIVERY .. id
local d = redis.call('HMGET', key, 'state', 'seq', 'lane', 'epoch')
if not d[1] then return 'missing' end
if (d[4] or '0') ~= ARGV[2] then return 'taken-over' end
if d[1] ~= 'attempting' then return 'ok' end
local attempts = uncount(key)
turn(id, d[2], d[1], attempts == 0 and 'queued' or 'waiting')
redis.call('ZREM', LEASED .. d[3], member(id, d[2]))
redis.call('HSET', key, 'due_at', ARGV[3], 'due_ms', ARGV[4])
become_due(id, ARGV[4])
return 'ok'
