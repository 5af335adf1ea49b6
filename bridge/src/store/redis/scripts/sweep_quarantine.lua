-- ids
for _, id in ipairs(ARGV) do
  redis.call('DEL', QUARANTINE .. id)
  redis.call('ZREM', QUARANTINED, id)
  redis.call('SREM', HELD, id)
end
return redis.status_reply('OK')
