-- before_ms, limit
local found = redis.call('ZRANGEBYSCORE', FORGET, '-inf', '(' .. ARGV[1], 'LIMIT', 0, ARGV[2])
local forgotten = 0
for _, m in ipairs(found) do
  local kind, rest = string.sub(m, 1, 2), string.sub(m, 3)
  if kind == 'm:' then
    -- Names of living chains may still lead through it.
    local into = redis.call('GET', MERGED .. rest)
    while into and redis.call('EXISTS', MERGED .. into) == 1 do into = redis.call('GET', MERGED .. into) end
    if into and redis.call('EXISTS', CHAIN .. into) == 1 then
      redis.call('ZADD', FORGET, tonumber(ARGV[1]) + 2592000000, m)
    else
      redis.call('DEL', MERGED .. rest)
      redis.call('ZREM', FORGET, m)
    end
  else
    if kind == 's:' then
      redis.call('DEL', SEEN .. rest)
    elseif kind == 'n:' then
      redis.call('DEL', NAME .. rest)
    elseif kind == 't:' then
      redis.call('DEL', TWIN .. rest)
    else
      local identifier, sender = string.match(rest, '^(.-)\n(.*)$')
      redis.call('HDEL', OURS .. identifier, sender)
    end
    redis.call('ZREM', FORGET, m)
    -- A twin is a part of what was seen.
    if kind ~= 't:' then forgotten = forgotten + 1 end
  end
end
return forgotten
