-- bytes
redis.call('INCR', PROBE)
if ARGV[1] ~= '' then
  redis.call('SET', PROBE_BODY, ARGV[1])
  redis.call('DEL', PROBE_BODY)
end
return redis.status_reply('OK')
