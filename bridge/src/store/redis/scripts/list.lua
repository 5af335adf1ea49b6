-- what, state, first, last
local out = {}
local function each(index, read)
  for _, id in ipairs(redis.call('ZREVRANGE', index, ARGV[3], ARGV[4])) do out[#out + 1] = read(id) end
  return out
end
if ARGV[1] == 'alerts' then
  return each(ALERTS, envelope_of)
end
if ARGV[1] == 'quarantined' then
  return each(QUARANTINED, function(id) return redis.call('HMGET', QUARANTINE .. id, 'entry', 'times', 'released') end)
end
local function delivery(id) return { id, redis.call('HGETALL', DELIVERY .. id) } end
if ARGV[2] == '' then return each(DELIVERIES, delivery) end
if LISTED[ARGV[2]] then return each(STATE .. ARGV[2], delivery) end
-- Those in a state without a list: from the newest on, as far as it takes.
local place, wanted, first, last = 0, 0, tonumber(ARGV[3]), tonumber(ARGV[4])
repeat
  local ids = redis.call('ZREVRANGE', DELIVERIES, place, place + 999)
  place = place + 1000
  for _, id in ipairs(ids) do
    if wanted > last then return out end
    if redis.call('HGET', DELIVERY .. id, 'state') == ARGV[2] then
      if wanted >= first then out[#out + 1] = delivery(id) end
      wanted = wanted + 1
    end
  end
until #ids == 0
return out
