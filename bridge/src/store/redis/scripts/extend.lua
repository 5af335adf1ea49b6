-- lease_ms, ids
for i = 2, #ARGV do
  local d = redis.call('HMGET', DELIVERY .. ARGV[i], 'state', 'seq', 'lane')
  if d[1] == 'attempting' then redis.call('ZADD', LEASED .. d[3], 'XX', ARGV[1], member(ARGV[i], d[2])) end
end
return redis.status_reply('OK')
