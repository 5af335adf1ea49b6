-- limit
local out = {}
for _, id in ipairs(redis.call('ZRANGE', QUARANTINED, 0, ARGV[1] - 1)) do
  out[#out + 1] = redis.call('HMGET', QUARANTINE .. id, 'entry', 'times', 'released')
end
return out
