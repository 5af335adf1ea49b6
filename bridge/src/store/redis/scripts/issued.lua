-- line
local out = {}
for _, m in ipairs(redis.call('ZRANGE', ISSUED .. ARGV[1], 0, -1)) do
  local id = id_of(m)
  local d = redis.call('HMGET', DELIVERY .. id, 'alert', 'receipt')
  local rendering = redis.call('HGET', RENDERING .. id, 'rendering')
  local e = envelope_of(d[1])
  if rendering and e[1] then out[#out + 1] = { d[2] or '', rendering, e[1], e[2], e[3] } end
end
return out
