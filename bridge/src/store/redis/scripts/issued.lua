-- line
local out = {}
for _, id in ipairs(redis.call('ZRANGE', ISSUED .. ARGV[1], 0, -1)) do
  local d = redis.call('HMGET', DELIVERY .. id, 'alert', 'receipt')
  local rendering = redis.call('HGET', RENDERING .. id, 'rendering')
  local envelope = redis.call('HGET', ALERT .. d[1], 'envelope')
  if rendering and envelope then out[#out + 1] = { d[1], d[2], rendering, envelope } end
end
return out
