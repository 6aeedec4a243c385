package verdict

import (
	"strings"
	"testing"
	"time"

	"github.com/cutset-dev/cutset/framework/history"
)

const ms = time.Millisecond

// withLatency lets the writes of shard 1 take as long as given before the fault, in it, and from 11 s on in it.
func withLatency(before, during, late time.Duration) *story {
	st := healthy()
	st.budget.Slowdown = 5
	st.edit = func(rs []history.Record) []history.Record {
		for _, r := range rs {
			if r.Op == nil || r.Op.Shard != 1 || r.Op.Kind != history.OpWrite || r.Op.Outcome != history.OK {
				continue
			}
			switch {
			case r.At < 2*s:
				r.Op.Took = before
			case r.At < 11*s:
				r.Op.Took = during
			case r.At < 13*s:
				r.Op.Took = late
			}
		}
		return rs
	}
	return st
}

func TestSlower(t *testing.T) {
	for _, c := range []struct {
		name    string
		story   *story
		spoil   func(*story)
		outcome Outcome
		message string
	}{
		{"as fast as before", withLatency(4*ms, 4*ms, 4*ms), nil, Pass, ""},
		{"slower", withLatency(4*ms, 300*ms, 300*ms), nil, Slower, "shard 1 was available but slower: nine of ten writes took up to 300 ms while the fault was active, and up to 4 ms before it (load-normalized, limit 50 ms)"},
		{"slower, and fast enough", withLatency(4*ms, 45*ms, 45*ms), nil, Pass, ""},
		{"slower, and was slow before", withLatency(70*ms, 340*ms, 340*ms), nil, Pass, ""},
		{"more than so many times slower", withLatency(70*ms, 360*ms, 360*ms), nil, Slower, "limit 350 ms"},
		{"slower for half of the time", withLatency(4*ms, 4*ms, 300*ms), nil, Slower, "300 ms"},
		{"slower, on a busy host", withLatency(4*ms, 300*ms, 300*ms), func(st *story) { st.load = 8 }, Pass, ""},
		{"slower, without a limit", withLatency(4*ms, 300*ms, 300*ms), func(st *story) { st.budget.Slowdown = 0 }, Pass, ""},
		{"slower only before an outage", withLatency(4*ms, 300*ms, 4*ms), func(st *story) { st.down[1] = [][2]time.Duration{{9 * s, 11 * s}} }, Pass, ""},
		{"slower, and too few writes to tell", withLatency(4*ms, 300*ms, 300*ms), func(st *story) { st.down[1] = [][2]time.Duration{{4 * s, 12600 * ms}} }, Pass, ""},
		{"slower, and away until the heal", withLatency(4*ms, 300*ms, 300*ms), func(st *story) { st.down[1] = [][2]time.Duration{{9 * s, 13 * s}} }, Pass, ""},
		{"slower, and away for too long", withLatency(4*ms, 300*ms, 300*ms), func(st *story) { st.budget.Outage = 5 * s }, Fail, "slower"},
		{"slower, and the fault did not last", withLatency(4*ms, 300*ms, 300*ms), func(st *story) { st.faults[2].Active = false }, Indeterminate, "slower"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.spoil != nil {
				c.spoil(c.story)
			}
			v := judge(t, c.story)
			if v.Outcome != c.outcome || !strings.Contains(v.Summary(), c.message) {
				t.Errorf("got %s: %s; want %s with %q", v.Outcome, v.Summary(), c.outcome, c.message)
			}
			if v.Outcome == Slower && (len(v.Findings) != 1 || v.Findings[0].Judge != latency || v.Findings[0].Blame != Product || v.Findings[0].Shard != 1) {
				t.Errorf("got %+v", v.Findings)
			}
			if last := len(v.Findings) - 1; last > 0 && v.Findings[last].Outcome != Slower {
				t.Errorf("the last finding is %+v, want the slower one", v.Findings[last])
			}
		})
	}
}

// What was under way while the harness stood still is held against nobody.
func TestSlowWhileTheHarnessStoodStill(t *testing.T) {
	for _, c := range []struct {
		lapse   history.Lapse
		outcome Outcome
	}{
		{history.Lapse{Kind: history.Stall, Took: 4500 * ms}, Pass},
		{history.Lapse{Kind: history.Stall, Took: 200 * ms}, Slower},
		{history.Lapse{Kind: history.Dropped, Took: 4500 * ms}, Slower},
	} {
		st := withLatency(4*ms, 300*ms, 300*ms)
		slow := st.edit
		st.edit = func(rs []history.Record) []history.Record {
			return append([]history.Record{{At: 8800 * ms, Lapse: &c.lapse}}, slow(rs)...)
		}
		if v := judge(t, st); v.Outcome != c.outcome {
			t.Errorf("%+v: got %s: %s; want %s", c.lapse, v.Outcome, v.Summary(), c.outcome)
		}
	}
}

func TestLatencyIsInTheVerdict(t *testing.T) {
	v := judge(t, withLatency(4*ms, 20*ms, 30*ms))
	if got := v.Shards[0].Latency; got == nil || got.Before != 4*ms || got.During != 30*ms {
		t.Errorf("got %+v, want 4 ms and 30 ms", got)
	}
	if got := v.Shards[1].Latency; got != nil {
		t.Errorf("got %+v of a shard that served nothing in the fault", got)
	}
}

func TestPercentile(t *testing.T) {
	for _, c := range []struct {
		n    int
		want time.Duration
	}{{1, 1}, {10, 9}, {11, 10}, {100, 90}} {
		var sorted []time.Duration
		for i := range c.n {
			sorted = append(sorted, time.Duration(i+1))
		}
		if got := percentile(sorted, slowest); got != c.want {
			t.Errorf("of %d: got the %d-th, want the %d-th", c.n, got, c.want)
		}
	}
}
