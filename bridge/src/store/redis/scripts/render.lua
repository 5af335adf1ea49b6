-- id, epoch, rendering, body, then sender and identifier of each reference that is ours
local d = redis.call('HMGET', DELIVERY .. ARGV[1], 'alert', 'epoch')
if not d[1] then return 'missing' end
if (d[2] or '0') ~= ARGV[2] then return 'taken-over' end
redis.call('HSET', RENDERING .. ARGV[1], 'rendering', ARGV[3], 'body', ARGV[4])
for i = 5, #ARGV, 2 do
  redis.call('HSET', OURS .. ARGV[i + 1], ARGV[i], d[1])
end
return 'ok'
