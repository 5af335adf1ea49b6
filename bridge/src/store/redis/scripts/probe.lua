redis.call('INCR', PROBE)
return redis.call('GET', PROBE)
