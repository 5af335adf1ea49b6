-- id, entry, raw, times, call, events
local key = QUARANTINE .. ARGV[1]
if was_run(ARGV[5]) then return 'ok' end
note(6)
if redis.call('EXISTS', key) == 1 then
  redis.call('HINCRBY', key, 'times', 1)
  return 'ok'
end
redis.call('HSET', key, 'entry', ARGV[2], 'raw', ARGV[3], 'times', ARGV[4])
redis.call('ZADD', QUARANTINED, redis.call('INCR', SEQ), ARGV[1])
redis.call('SADD', HELD, ARGV[1])
return 'ok'
