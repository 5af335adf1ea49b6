-- lane
local first
for _, index in ipairs({ DUE, LEASED }) do
  local m = redis.call('ZRANGE', index .. ARGV[1], 0, 0, 'WITHSCORES')
  if m[2] and (not first or tonumber(m[2]) < tonumber(first)) then first = m[2] end
end
return first or false
