package verdict

import (
	"strings"
	"testing"
	"time"

	"github.com/cutset-dev/cutset/framework/history"
)

// How loaded the host was while the harness stood still, nobody knows.
func TestAStallIsNotLoadNormalized(t *testing.T) {
	st := healthy()
	st.load = 4
	st.edit = func(rs []history.Record) []history.Record {
		return append([]history.Record{{At: 3 * s, Lapse: &history.Lapse{Kind: history.Stall, Took: 4 * s}}}, rs...)
	}
	want := 4*s + 3*s/4 // of 7 s
	if got := judge(t, st).Shards[0].OutageNormalized; (got - want).Abs() > 100*time.Millisecond {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestHarnessIsInnocent(t *testing.T) {
	away := func(st *story) { st.down[1] = [][2]time.Duration{{2 * s, 12900 * time.Millisecond}} } // 10.9 s of 10 s
	lost := func(st *story) { st.lose = []int64{1<<32 + 15} }
	late := func(st *story) { st.down[2] = [][2]time.Duration{{8 * s, 16 * s}}; st.budget.Settle = 4 * s }
	neverBack := func(st *story) { // 6 s of 5 s
		st.down, st.budget.Outage = map[int][][2]time.Duration{2: {{2 * s, 21 * s}}}, 5*s
	}
	notRedundant := func(st *story) {
		st.problem = &history.Phase{Name: history.Redundant, Problem: "1 of 2 standbys", Blame: "product", MissedBy: 3 * s}
	}
	awayAndNotRedundant := func(st *story) { away(st); notRedundant(st) }
	stall, jump := history.Stall, history.Jump
	for _, c := range []struct {
		name    string
		spoil   func(*story)
		at      time.Duration
		lapse   history.Lapse
		outcome Outcome
		message string
	}{
		{"an outage, and the harness stood still", away, 4 * s, history.Lapse{Kind: stall, Took: 700 * time.Millisecond}, Indeterminate, "the harness itself stood still for 0.7 s of that"},
		{"an outage, and a stall too short for it", away, 4 * s, history.Lapse{Kind: stall, Took: 300 * time.Millisecond}, Fail, "shard 1 must stay available"},
		{"an outage, and a stall before it", away, 1 * s, history.Lapse{Kind: stall, Took: 900 * time.Millisecond}, Fail, "shard 1 must stay available"},
		{"an outage, and a stall that reaches into it", away, 1 * s, history.Lapse{Kind: stall, Took: 3 * s}, Indeterminate, "stood still for 2.0 s"},
		{"an outage, and the clock jumped", away, 4 * s, history.Lapse{Kind: jump, Took: 20 * time.Millisecond, By: -5 * s}, Indeterminate, "the harness's clock jumped by 5.0 s"},
		{"an outage, and a look came late", away, 4 * s, history.Lapse{Kind: history.Dropped, Took: 5 * s}, Fail, "shard 1 must stay available"},
		{"settled late, and the harness stood still", late, 4 * s, history.Lapse{Kind: stall, Took: s}, Indeterminate, "stood still for 1.0 s"},
		{"not back, and the harness stood still", neverBack, 15 * s, history.Lapse{Kind: stall, Took: s}, Indeterminate, "stood still for 1.0 s"},
		{"not redundant, and the harness stood still", notRedundant, 15 * s, history.Lapse{Kind: stall, Took: 2 * s}, Indeterminate, "stood still for 2.0 s"},
		{"not redundant for longer than the harness can account for", notRedundant, 15 * s, history.Lapse{Kind: stall, Took: 1400 * time.Millisecond}, Fail, "1 of 2 standbys"},
		{"an outage, and not redundant later, when the harness stood still", awayAndNotRedundant, 15 * s, history.Lapse{Kind: stall, Took: 2 * s}, Fail, "shard 1 must stay available"},
		{"a lost write, and the harness stood still", lost, 0, history.Lapse{Kind: stall, Took: 20 * s}, Fail, "lost 1 acknowledged writes"},
		{"nothing, and the harness stood still", func(*story) {}, 4 * s, history.Lapse{Kind: stall, Took: 3 * s}, Pass, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			st := healthy()
			c.spoil(st)
			st.edit = func(rs []history.Record) []history.Record {
				return append([]history.Record{{At: c.at, Lapse: &c.lapse}}, rs...)
			}
			v := judge(t, st)
			if v.Outcome != c.outcome || c.message != "" && !strings.Contains(v.Summary(), c.message) {
				t.Errorf("got %s: %s; want %s with %q", v.Outcome, v.Summary(), c.outcome, c.message)
			}
			if c.outcome == Indeterminate && v.Findings[0].Blame != Harness {
				t.Errorf("the %s is to blame", v.Findings[0].Blame)
			}
			if len(v.Notes) != 1 {
				t.Errorf("got notes %q, want one of the lapse", v.Notes)
			}
		})
	}
}
