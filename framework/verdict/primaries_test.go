package verdict

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cutset-dev/cutset/framework/history"
)

// reign is what one of shard 1's instances says to the observer, every 250 ms, in a stretch of time.
type reign struct {
	instance string
	from, to time.Duration
	timeline int
	answer   string // accepts, claims (takes no write), follows, silent
}

// observed adds the observer's samples to a story, and writes of clients that an instance acknowledged.
func observed(st *story, acks map[string][2]time.Duration, reigns ...reign) {
	st.edit = func(rs []history.Record) []history.Record {
		id := rs[0].Case
		for _, r := range reigns {
			for at := r.from; at < r.to; at += 250 * time.Millisecond {
				sample := &history.Sample{Instance: r.instance, Shard: 1, Server: r.instance + ":5433", Took: 10 * time.Millisecond, Timeline: r.timeline}
				sample.Primary = r.answer == "accepts" || r.answer == "claims"
				sample.Accepted = r.answer == "accepts"
				if r.answer == "claims" || r.answer == "silent" {
					sample.Error = "timeout"
				}
				rs = append(rs, history.Record{At: at, Case: id, Sample: sample})
			}
		}
		for i := range rs {
			if op := rs[i].Op; op != nil && op.Shard == 1 && op.Kind == history.OpWrite && op.Outcome == history.OK {
				for instance, during := range acks {
					if rs[i].At >= during[0] && rs[i].At < during[1] {
						op.Server = instance + ":5433"
					}
				}
			}
		}
		slices.SortStableFunc(rs, func(a, b history.Record) int { return int(a.At - b.At) })
		return rs
	}
}

func TestTwoPrimaries(t *testing.T) {
	const a, b = "s1-m1", "s1-m2"
	for _, c := range []struct {
		name    string
		acks    map[string][2]time.Duration
		reigns  []reign
		message string // of a finding; "" for none
		from    time.Duration
		to      time.Duration
		note    string // "" for none
	}{
		{name: "a clean failover", reigns: []reign{
			{a, 0, 2 * s, 1, "accepts"},
			{a, 2 * s, 14 * s, 0, "silent"},
			{a, 14 * s, 20 * s, 2, "follows"},
			{b, 0, 5 * s, 1, "follows"},
			{b, 5 * s, 20 * s, 2, "accepts"},
		}},
		{name: "a switchover at once", reigns: []reign{
			{a, 0, 5 * s, 1, "accepts"}, {a, 5 * s, 20 * s, 1, "follows"}, {b, 0, 5 * s, 1, "follows"}, {b, 5 * s, 20 * s, 2, "accepts"},
		}},
		{
			name: "both accept", acks: map[string][2]time.Duration{a: {0, 10 * s}, b: {10 * s, 20 * s}},
			reigns:  []reign{{a, 0, 11 * s, 1, "accepts"}, {b, 0, 9 * s, 1, "follows"}, {b, 9 * s, 20 * s, 2, "accepts"}},
			message: "shard 1 had two writable primaries for 1.7 s, 7.0 s to 8.8 s after the injection: s1-m1 (timeline 1) and s1-m2 (timeline 2); s1-m1, deposed, acknowledged 19 writes of clients meanwhile",
			from:    9 * s, to: 10750 * time.Millisecond,
		},
		{
			name: "clients alone prove the old one", acks: map[string][2]time.Duration{a: {9 * s, 12 * s}},
			reigns:  []reign{{a, 0, 2 * s, 1, "accepts"}, {b, 5 * s, 20 * s, 2, "accepts"}, {a, 19 * s, 20 * s, 2, "follows"}},
			message: "s1-m1, deposed, acknowledged 60 writes of clients meanwhile", from: 9 * s, to: 12 * s,
		},
		{
			name: "cut off, and accepts nothing", note: "s1-m1 (timeline 1) and s1-m2 (timeline 2) both said for",
			reigns: []reign{
				{a, 0, 2 * s, 1, "accepts"},
				{a, 2 * s, 9 * s, 1, "claims"},
				{a, 9 * s, 20 * s, 0, "silent"},
				{b, 0, 5 * s, 1, "follows"},
				{b, 5 * s, 20 * s, 2, "accepts"},
			},
		},
		{name: "one late acknowledgement is no interval", note: "both said", acks: map[string][2]time.Duration{a: {9 * s, 9*s + 40*time.Millisecond}}, reigns: []reign{
			{a, 0, 2 * s, 1, "accepts"}, {a, 2 * s, 12 * s, 1, "claims"}, {b, 5 * s, 20 * s, 2, "accepts"},
		}},
		{name: "frozen in between", reigns: []reign{
			{a, 0, 2 * s, 1, "accepts"},
			{a, 2 * s, 3 * s, 0, "silent"},
			{a, 19 * s, 20 * s, 3, "accepts"},
			{b, 5 * s, 18 * s, 2, "accepts"},
			{b, 18 * s, 20 * s, 2, "follows"},
		}},
		{name: "primary again, and nobody looked", reigns: []reign{
			{a, 0, 2 * s, 1, "accepts"}, {a, 10 * s, 20 * s, 1, "accepts"}, {b, 4 * s, 9 * s, 2, "accepts"},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			st := healthy()
			st.down[1] = nil
			observed(st, c.acks, c.reigns...)
			v := judge(t, st)
			if c.message == "" {
				if v.Outcome != Pass {
					t.Errorf("got %s: %s", v.Outcome, v.Summary())
				}
				if c.note == "" && len(v.Notes) > 0 || c.note != "" && !strings.Contains(strings.Join(v.Notes, "; "), c.note) {
					t.Errorf("got notes %q, want %q", v.Notes, c.note)
				}
				return
			}
			if len(v.Findings) != 1 || v.Outcome != Fail || v.Findings[0].Judge != splitBrain || !strings.Contains(v.Summary(), c.message) {
				t.Fatalf("got %s: %s; want %q", v.Outcome, v.Summary(), c.message)
			}
			f := v.Findings[0]
			near := func(got, want time.Duration) bool { return (got - want).Abs() < 300*time.Millisecond }
			if !slices.Equal(f.Instances, []string{a, b}) || !near(f.From, c.from) || !near(f.To, c.to) {
				t.Errorf("got %v from %s to %s, want %s and %s from %s to %s", f.Instances, f.From, f.To, a, b, c.from, c.to)
			}
			if len(v.Notes) > 0 {
				t.Errorf("what is a finding is also a note: %q", v.Notes)
			}
		})
	}
}

// The instance is named where a lost write was acknowledged.
func TestInstanceOfALostWrite(t *testing.T) {
	st := healthy()
	st.lose = []int64{1<<32 + 15} // at 750 ms
	observed(st, map[string][2]time.Duration{"s1-m1": {0, 2 * s}}, reign{"s1-m1", 0, 2 * s, 1, "accepts"})
	if f := judge(t, st).Findings[0]; f.Writes[0].Instance != "s1-m1" {
		t.Errorf("got %+v, want s1-m1 named", f.Writes)
	}
}
