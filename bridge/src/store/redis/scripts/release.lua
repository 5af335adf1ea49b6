-- id, release
local key = QUARANTINE .. ARGV[1]
if redis.call('EXISTS', key) == 0 then return false end
redis.call('HSET', key, 'released', ARGV[2])
redis.call('SREM', HELD, ARGV[1])
return redis.call('HMGET', key, 'entry', 'times', 'released', 'raw')
