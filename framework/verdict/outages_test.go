package verdict

import (
	"slices"
	"testing"
	"time"

	"github.com/cutset-dev/cutset/framework/history"
)

func TestOutagesAreIntervals(t *testing.T) {
	st := healthy()
	st.load = 2
	// Two outages, one that began before the fault and ended in it, and a hiccup.
	st.down[1] = [][2]time.Duration{{1 * s, 3 * s}, {4 * s, 4*s + 300*time.Millisecond}, {6 * s, 9 * s}}
	st.edit = func(rs []history.Record) []history.Record { // reads miss only the second
		for _, r := range rs {
			if r.Op != nil && r.Op.Shard == 1 && r.Op.Kind == history.OpRead && r.At < 6*s {
				r.Op.Outcome = history.OK
			}
		}
		return rs
	}
	one := judge(t, st).Shards[0]
	for _, c := range []struct {
		name           string
		got            *Outages
		count          int
		longest, total time.Duration
		from           time.Duration // of the last
	}{
		{"writes", one.WriteOutages, 2, 3 * s, 4 * s, 6 * s},
		{"reads", one.ReadOutages, 1, 3 * s, 3 * s, 6 * s},
	} {
		near := func(got, want time.Duration) bool { return (got - want).Abs() < 200*time.Millisecond }
		if c.got.Count != c.count || len(c.got.List) != c.count || !near(c.got.Longest, c.longest) || !near(c.got.Total, c.total) {
			t.Errorf("%s: got %+v, want %d outages, longest %s, together %s", c.name, c.got, c.count, c.longest, c.total)
		}
		if !near(2*c.got.LongestNormalized, c.longest) || !near(2*c.got.TotalNormalized, c.total) {
			t.Errorf("%s: got %+v, want half of it load-normalized", c.name, c.got)
		}
		if last := c.got.List[len(c.got.List)-1]; !near(last.From, c.from) || !near(last.To, c.from+3*s) || !near(2*last.Normalized, 3*s) {
			t.Errorf("%s: the last outage is %+v, want one from %s for 3 s", c.name, last, c.from)
		}
	}
}

// No outage is zero outages; without a fault there is nothing to say.
func TestNoOutage(t *testing.T) {
	st := healthy()
	st.down[1] = nil
	if one := judge(t, st).Shards[0]; one.WriteOutages == nil || one.WriteOutages.Count != 0 || one.WriteOutages.Longest != 0 {
		t.Errorf("got %+v, want no outage", one.WriteOutages)
	}
	delete(st.steps, history.Inject)
	if one := judge(t, st).Shards[0]; one.WriteOutages != nil {
		t.Errorf("got outages %+v of a case without a fault", one.WriteOutages)
	}
}

func TestListedOutagesAreBounded(t *testing.T) {
	st := healthy()
	st.down[1] = nil
	for at := 3 * s; at < 19*s; at += 600 * time.Millisecond {
		st.down[1] = append(st.down[1], [2]time.Duration{at, at + 550*time.Millisecond})
	}
	w := judge(t, st).Shards[0].WriteOutages
	if w.Count != len(st.down[1]) || len(w.List) != mostOutages || !slices.IsSortedFunc(w.List, func(a, b Outage) int { return int(a.From - b.From) }) {
		t.Errorf("got %d outages of %d, %d listed", w.Count, len(st.down[1]), len(w.List))
	}
}
