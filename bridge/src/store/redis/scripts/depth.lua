local out = { redis.call('XLEN', INBOX), redis.call('ZCARD', OPEN .. 'urgent'), redis.call('ZCARD', OPEN .. 'routine'),
  redis.call('ZCARD', STATE .. 'dead'), redis.call('SCARD', HELD) }
local oldest
for _, lane in ipairs({ 'urgent', 'routine' }) do
  local first = redis.call('ZRANGE', OPEN .. lane, 0, 0, 'WITHSCORES')
  if first[1] and (not oldest or tonumber(first[2]) < oldest[2]) then oldest = { first[1], tonumber(first[2]) } end
end
out[6] = oldest and redis.call('HGET', DELIVERY .. oldest[1], 'queued_at') or ''
return out
