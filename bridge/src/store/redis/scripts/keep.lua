-- feed, id, reference, in_force, expires_ms, over_ms, entry, body, then references of what it takes the place of
local feed, id = ARGV[1], ARGV[2]
local key = FEED_ENTRY .. feed .. ':' .. id
local known = redis.call('HGET', key, 'place')
if known then return tonumber(known) end
local place = redis.call('HINCRBY', FEED .. feed, 'last', 1)
redis.call('SADD', FEEDS, feed)
redis.call('HSET', key, 'place', place, 'reference', ARGV[3], 'entry', ARGV[7], 'body', ARGV[8])
redis.call('ZADD', FEED_ORDER .. feed, place, id)
redis.call('ZADD', FEED_OVER .. feed, ARGV[6], member(id, place))
for i = 9, #ARGV do
  local replaced = redis.call('HGET', FEED_NAMES .. feed, ARGV[i])
  if replaced then redis.call('ZREM', FEED_STANDS .. feed, replaced) end
end
redis.call('HSET', FEED_NAMES .. feed, ARGV[3], id)
if ARGV[4] == '1' then redis.call('ZADD', FEED_STANDS .. feed, ARGV[5], id) end
return place
