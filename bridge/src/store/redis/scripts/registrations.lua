-- after, limit
local found = {}
local named = redis.call('ZRANGEBYSCORE', REGISTERED_ORDER, '(' .. ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])
for i = 1, #named, 2 do
  found[#found + 1] = { named[i], named[i + 1], redis.call('HGET', REGISTERED, named[i]) }
end
return found
