-- names
local out = {}
for i, name in ipairs(ARGV) do out[i] = redis.call('HEXISTS', NAME .. name, 'accepted') end
return out
