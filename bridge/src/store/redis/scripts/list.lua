-- what, state, first, last
local out = {}
local function each(index, read)
  for _, id in ipairs(redis.call('ZREVRANGE', index, ARGV[3], ARGV[4])) do out[#out + 1] = read(id) end
  return out
end
if ARGV[1] == 'alerts' then
  return each(ALERTS, envelope_of)
end
if ARGV[1] == 'quarantined' then
  return each(QUARANTINED, function(id) return redis.call('HMGET', QUARANTINE .. id, 'entry', 'times', 'released') end)
end
return each(ARGV[2] == '' and DELIVERIES or STATE .. ARGV[2], function(id)
  return { id, redis.call('HGETALL', DELIVERY .. id) }
end)
