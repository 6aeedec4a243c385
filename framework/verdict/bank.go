package verdict

import "fmt"

// balanced: transfers between a shard's accounts leave their sum as it is, whatever becomes of them.
func balanced(e *Evidence) (found []Finding) {
	for _, shard := range e.Planned.Shards {
		var f *Finding
		for _, a := range e.sums[shard] {
			want := e.sums[shard][0].op.Value
			if a.op.Value == want {
				continue
			}
			if f == nil {
				found = append(found, Finding{
					Judge: consistency, Outcome: Fail, Blame: Product, Shard: shard, From: a.from, To: a.to,
					Message: fmt.Sprintf("shard %d: the accounts add up to %d instead of %d%s, according to %s",
						shard, a.op.Value, want, e.sinceInjection(a.interval), e.serverName(shard, a.op.Server)),
				})
				f = &found[len(found)-1]
			}
			f.Count++
		}
	}
	return found
}

// serverName is the name of the instance at an address, or the address where it is not known.
func (e *Evidence) serverName(shard int, server string) string {
	if instance := e.instanceAt(shard, server); instance != "" {
		return instance
	}
	return server
}
