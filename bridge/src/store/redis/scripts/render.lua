-- id, rendering, body, then sender and identifier of each reference that is ours
local alert = redis.call('HGET', DELIVERY .. ARGV[1], 'alert')
if not alert then return 'missing' end
redis.call('HSET', RENDERING .. ARGV[1], 'rendering', ARGV[2], 'body', ARGV[3])
for i = 4, #ARGV, 2 do
  redis.call('HSET', OURS .. ARGV[i + 1], ARGV[i], alert)
end
return 'ok'
