-- name, holder, now_ms, until_ms
local key = LEASE .. ARGV[1]
local l = redis.call('HMGET', key, 'holder', 'until')
if l[1] and l[1] ~= ARGV[2] and tonumber(l[2]) > tonumber(ARGV[3]) then return 0 end
redis.call('HSET', key, 'holder', ARGV[2], 'until', ARGV[4])
return 1
