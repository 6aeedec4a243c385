package verdict

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cutset-dev/cutset/framework/history"
)

// repeats are runs of one case, whose first shard is away for the times given, in seconds.
func repeats(t *testing.T, quantiles map[string]time.Duration, away ...float64) []Verdict {
	t.Helper()
	var all []history.Record
	for i, outage := range away {
		st := healthy()
		st.down[1] = [][2]time.Duration{{2 * s, 2*s + time.Duration(outage*float64(s))}}
		if outage < 0 { // the fault did not bite
			st.down[1], st.faults[1].Active = nil, false
		}
		st.budget.Quantiles = quantiles
		id := fmt.Sprint("c1@", i+1)
		for _, r := range st.records(id) {
			if r.At += time.Duration(i) * 30 * s; r.Planned != nil {
				r.Planned.Of, r.Planned.Repeat, r.Planned.Repeats = "c1", i+1, len(away)
			}
			if r.Op != nil { // rows of one repeat are never those of another
				r.Op.ID += int64(i) << 40
			}
			if r.Audit != nil {
				r.Audit.Ranges = nil
				for _, op := range all {
					if op.Op != nil && op.Op.Kind == history.OpWrite && op.Op.Shard == r.Audit.Shard && op.Op.Outcome == history.OK {
						r.Audit.Add(op.Op.ID)
					}
				}
			}
			all = append(all, r)
		}
	}
	vs, err := Judge(seq(all))
	if err != nil || len(vs) != len(away) {
		t.Fatalf("got %d verdicts, %v", len(vs), err)
	}
	return vs
}

func TestQuantilesOfRepeats(t *testing.T) {
	budget := func(key string, limit time.Duration) map[string]time.Duration {
		return map[string]time.Duration{key: limit}
	}
	for _, c := range []struct {
		name      string
		quantiles map[string]time.Duration
		away      []float64
		want      string // "" if the last repeat has nothing against it
	}{
		{"no budget", nil, []float64{3, 9, 9}, ""},
		{"median within", budget("p50", 5*s), []float64{9, 3, 4}, ""},
		{"median beyond", budget("p50", 5*s), []float64{9, 3, 6}, "p50 of the outages in 3 repeats is 6.0 s (6.0 s load-normalized, budget 5.0 s)"},
		{"one in ten may be long at p90", budget("p90", 5*s), []float64{3, 3, 9, 3, 3, 3, 3, 3, 3, 3}, ""},
		{"two in ten may not", budget("p90", 5*s), []float64{3, 3, 9, 3, 3, 3, 8, 3, 3, 3}, "p90 of the outages in 10 repeats is 8.0 s"},
		{"one that says nothing does not count", budget("p50", 5*s), []float64{6, -1, 6, 3}, "p50 of the outages in 3 repeats is 6.0 s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			vs := repeats(t, c.quantiles, c.away...)
			last := vs[len(vs)-1]
			if c.want == "" && last.Outcome != Pass {
				t.Errorf("got %s: %s", last.Outcome, last.Summary())
			}
			if c.want != "" && (last.Outcome != Fail || last.Findings[0].Judge != distribution || !strings.HasPrefix(last.Summary(), c.want)) {
				t.Errorf("got %s: %s; want %s", last.Outcome, last.Summary(), c.want)
			}
			for _, v := range vs[:len(vs)-1] {
				if strings.Contains(v.Summary(), "repeats") {
					t.Errorf("%s answers for the repeats: %s", v.Case, v.Summary())
				}
			}
		})
	}
}
