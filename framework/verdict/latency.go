package verdict

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/cutset-dev/cutset/framework/history"
)

const latency = "latency"

const (
	slowest = 0.9 // of ten writes, one may take any time
	// Writes that it takes to tell. Where they are slow, few of them are served in the time that a fault is held.
	enoughBefore, enoughDuring = 30, 10
	// notSlow is what no write is called slow for: on a busy host of two cores, healthy ones take that long now and then.
	notSlow = 50 * time.Millisecond
)

// slower: a shard that must stay available serves its writes, outages apart, about as fast as before the fault.
func slower(e *Evidence) (found []Finding) {
	factor := e.Planned.Budget.Slowdown
	if factor <= 0 { // a history from before there was such a limit
		return nil
	}
	for _, shard := range e.Planned.Shards {
		l := e.latency(shard)
		if l == nil || slices.Contains(e.Planned.Unavailable, shard) {
			continue
		}
		limit := max(notSlow, time.Duration(float64(l.Before)*factor))
		if l.During <= limit {
			continue
		}
		calm := e.calm(shard)
		found = append(found, Finding{
			Judge: latency, Outcome: Slower, Blame: Product, Shard: shard, From: calm.from, To: calm.to,
			Message: fmt.Sprintf("shard %d was available but slower: nine of ten writes took up to %s while the fault was active, and up to %s before it (load-normalized, limit %s)",
				shard, milliseconds(l.During), milliseconds(l.Before), milliseconds(limit)),
		})
	}
	return found
}

// latency is nil where too few writes were served to tell.
func (e *Evidence) latency(shard int) *Latency {
	before := e.tookIn(shard, e.between(history.Started, history.Inject))
	during := e.tookIn(shard, e.calm(shard))
	if len(before) < enoughBefore || len(during) < enoughDuring {
		return nil
	}
	return &Latency{Before: percentile(before, slowest), During: percentile(during, slowest)}
}

// calm is the time after the last outage of a shard's writes while the fault was active, until the heal.
func (e *Evidence) calm(shard int) interval {
	active := e.between(history.Bit, history.Heal)
	rest := active
	for gap := range e.gaps(shard, history.OpWrite, active) {
		if gap.length() > quiet {
			rest.from = gap.to
		}
	}
	return rest
}

// tookIn says how long the writes took that a shard served in the window, load-normalized, in order of length. What was under way while
// the harness itself stood still says nothing about the shard.
func (e *Evidence) tookIn(shard int, window interval) (took []time.Duration) {
	stood := func(op interval) bool {
		return slices.ContainsFunc(e.lapses, func(l lapse) bool { return l.Kind == history.Stall && l.common(op).length() >= 0 })
	}
	for _, op := range e.servedBy(shard, history.OpWrite) {
		if op.from >= window.from && op.to <= window.to && !stood(op) {
			took = append(took, e.weighted(op))
		}
	}
	slices.Sort(took)
	return took
}

// percentile is, by the nearest rank, the least of the sorted values that at least this share of them does not exceed.
func percentile[T any](sorted []T, share float64) T {
	return sorted[max(int(math.Ceil(share*float64(len(sorted))))-1, 0)]
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
}
