-- feed, way (after, before, in force), place, limit, now_ms
local feed, way, place, limit = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local order, ids, out = FEED_ORDER .. feed, {}, {}
if way == 'after' then
  ids = redis.call('ZRANGEBYSCORE', order, '(' .. ARGV[3], '+inf', 'LIMIT', 0, limit)
elseif way == 'before' then
  ids = redis.call('ZREVRANGEBYSCORE', order, '(' .. ARGV[3], '-inf', 'LIMIT', 0, limit)
else
  local found = {}
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', FEED_STANDS .. feed, '(' .. ARGV[5], '+inf')) do
    local at = tonumber(redis.call('ZSCORE', order, id))
    if at < place then found[#found + 1] = { at, id } end
  end
  table.sort(found, function(one, other) return one[1] > other[1] end)
  for i = 1, math.min(limit, #found) do ids[i] = found[i][2] end
end
for i, id in ipairs(ids) do out[i] = redis.call('HMGET', FEED_ENTRY .. feed .. ':' .. id, 'place', 'entry') end
return out
