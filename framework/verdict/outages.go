package verdict

import (
	"iter"
	"time"

	"github.com/cutset-dev/cutset/framework/history"
)

// quiet is how long no answer has to come before that is an outage. The clients of a shard ask about every 20 ms, and on a
// busy host answers can be a few tenths of a second apart.
const quiet = 500 * time.Millisecond

const mostOutages = 20 // listed of a kind

// Outages are the intervals of more than half a second, from the injection to the end of the case, in which a shard
// answered no operation of one kind with success; predicted ones too. Durations are in nanoseconds.
type Outages struct {
	Count             int           `json:"count"`
	Longest           time.Duration `json:"longest"`
	LongestNormalized time.Duration `json:"longestNormalized"`
	Total             time.Duration `json:"total"`
	TotalNormalized   time.Duration `json:"totalNormalized"`
	List              []Outage      `json:"list"` // the first 20
}

// Outage is one of them: from the last answer to the next. Times are since the start of the run.
type Outage struct {
	From       time.Duration `json:"from"`
	To         time.Duration `json:"to"`
	Normalized time.Duration `json:"normalized"` // its length, shortened by how short the host was of resources
}

// outages are nil for a case without a fault.
func (e *Evidence) outages(shard int, kind history.OpKind) *Outages {
	injected, ok := e.phases[history.Inject]
	if !ok {
		return nil
	}
	all := &Outages{List: []Outage{}}
	for gap := range e.gaps(shard, kind, interval{injected, e.stopped()}) {
		if gap.length() <= quiet {
			continue
		}
		normalized := e.normalize(gap)
		all.Count++
		all.Total += gap.length()
		all.TotalNormalized += normalized
		all.Longest, all.LongestNormalized = max(all.Longest, gap.length()), max(all.LongestNormalized, normalized)
		if len(all.List) < mostOutages {
			all.List = append(all.List, Outage{gap.from, gap.to, normalized})
		}
	}
	return all
}

// stopped is when the clients stopped, or were last heard of.
func (e *Evidence) stopped() time.Duration {
	if at, ok := e.phases[history.Ended]; ok {
		return at
	}
	return e.ended
}

// gaps cuts the window where an operation was answered with success.
func (e *Evidence) gaps(shard int, kind history.OpKind, window interval) iter.Seq[interval] {
	return func(yield func(interval) bool) {
		last := window.from
		for _, op := range e.servedBy(shard, kind) {
			if op.to <= window.from || op.to >= window.to {
				continue
			}
			if !yield(interval{last, op.to}) {
				return
			}
			last = op.to
		}
		yield(interval{last, window.to})
	}
}

// longestGap is the longest part of the window in which no operation was answered with success.
func (e *Evidence) longestGap(shard int, kind history.OpKind, window interval) interval {
	longest := interval{window.from, window.from}
	for gap := range e.gaps(shard, kind, window) {
		if gap.length() > longest.length() {
			longest = gap
		}
	}
	return longest
}
