-- feed, before_ms, limit
local feed = ARGV[1]
local old = redis.call('ZRANGEBYSCORE', FEED_OVER .. feed, '-inf', '(' .. ARGV[2], 'LIMIT', 0, ARGV[3])
local swept = tonumber(redis.call('HGET', FEED .. feed, 'swept') or 0)
for _, m in ipairs(old) do
  local id = id_of(m)
  local key = FEED_ENTRY .. feed .. ':' .. id
  local e = redis.call('HMGET', key, 'place', 'reference')
  if redis.call('HGET', FEED_NAMES .. feed, e[2]) == id then redis.call('HDEL', FEED_NAMES .. feed, e[2]) end
  redis.call('ZREM', FEED_ORDER .. feed, id)
  redis.call('ZREM', FEED_STANDS .. feed, id)
  redis.call('ZREM', FEED_OVER .. feed, m)
  redis.call('DEL', key)
  swept = math.max(swept, tonumber(e[1]))
end
if #old > 0 then redis.call('HSET', FEED .. feed, 'swept', swept) end
return #old
