-- id, release, call, events
local key = QUARANTINE .. ARGV[1]
if redis.call('EXISTS', key) == 0 then return false end
if not was_run(ARGV[3]) then
  note(4)
  redis.call('HSET', key, 'released', ARGV[2])
  redis.call('SREM', HELD, ARGV[1])
end
return redis.call('HMGET', key, 'entry', 'times', 'released', 'raw')
