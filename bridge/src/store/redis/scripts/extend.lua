-- lease_ms, then id and epoch of each
for i = 2, #ARGV, 2 do
  local d = redis.call('HMGET', DELIVERY .. ARGV[i], 'state', 'seq', 'lane', 'epoch')
  if d[1] == 'attempting' and (d[4] or '0') == ARGV[i + 1] then redis.call('ZADD', LEASED .. d[3], 'XX', ARGV[1], member(ARGV[i], d[2])) end
end
return redis.status_reply('OK')
