-- What the scripts share. Times that are compared are milliseconds; times that are shown are text.

-- A member of a time-ordered set: equal times keep the order of routing.
local function member(id, seq) return string.format('%016d:%s', seq, id) end
local function id_of(m) return string.sub(m, 18) end

local FINAL = { delivered = true, dead = true, expired = true }

-- Moves a delivery to the set of its new state.
local function turn(id, seq, from, to)
  if from == to then return end
  redis.call('ZREM', STATE .. from, id)
  redis.call('ZADD', STATE .. to, seq, id)
  redis.call('HSET', DELIVERY .. id, 'state', to)
end

-- Makes the first of a line its head, due no later than now.
local function promote(line, now_at, now_ms)
  local first = redis.call('ZRANGE', LINE .. line, 0, 0)[1]
  if not first then return end
  local d = redis.call('HMGET', DELIVERY .. first, 'head', 'due_ms', 'lane', 'seq')
  if d[1] == '1' then return end
  local due = tonumber(d[2])
  if due > tonumber(now_ms) then
    due = tonumber(now_ms)
    redis.call('HSET', DELIVERY .. first, 'due_at', now_at, 'due_ms', now_ms)
  end
  redis.call('HSET', DELIVERY .. first, 'head', 1)
  redis.call('ZADD', DUE .. d[3], due, member(first, d[4]))
end
