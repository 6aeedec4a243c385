package verdict

import (
	"strings"
	"testing"
	"time"

	"github.com/cutset-dev/cutset/framework/history"
)

func TestSumIsConstant(t *testing.T) {
	for _, c := range []struct {
		name    string
		sums    []int64 // one a second, from 1 s on; a negative one was not answered
		message string  // "" for none
		count   int
	}{
		{"constant", []int64{4000, 4000, -1, 4000}, "", 0},
		{"half a transfer", []int64{4000, 4000, 3993, 3993, 4000}, "shard 1: the accounts add up to 3993 instead of 4000, 1.0 s to 1.0 s after the injection, according to s1-m1", 2},
	} {
		st := healthy()
		observed(st, nil, reign{"s1-m1", 0, 2 * s, 1, "accepts"})
		sample := st.edit
		st.edit = func(rs []history.Record) []history.Record {
			for i, sum := range c.sums {
				op := &history.Op{Client: "b", Shard: 1, Kind: history.OpSum, Value: sum, Outcome: history.OK, Server: "s1-m1:5433"}
				if sum < 0 {
					op.Outcome = history.Unknown
				}
				rs = append(rs, history.Record{At: s * time.Duration(1+i), Case: rs[0].Case, Op: op})
			}
			return sample(rs)
		}
		v := judge(t, st)
		if c.message == "" {
			if v.Outcome != Pass {
				t.Errorf("%s: got %s: %s", c.name, v.Outcome, v.Summary())
			}
			continue
		}
		if v.Outcome != Fail || v.Findings[0].Judge != consistency || v.Findings[0].Count != c.count || !strings.Contains(v.Summary(), c.message) {
			t.Errorf("%s: got %s: %s (%d); want %q", c.name, v.Outcome, v.Summary(), v.Findings[0].Count, c.message)
		}
	}
}
