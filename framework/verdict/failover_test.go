package verdict

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cutset-dev/cutset/framework/history"
)

// told is an event of shard 1, at a time in the story.
func told(at time.Duration, instance string, name history.EventName) history.Record {
	return history.Record{At: at, Event: &history.Event{Instance: instance, Shard: 1, Name: name, Text: "a line"}}
}

// failedOver is a story in which shard 1 is away from 2 s to 9 s; the injection is at 2 s, and s1-m2 serves after.
func failedOver(events ...history.Record) *story {
	st := healthy()
	observed(st, map[string][2]time.Duration{"s1-m1": {0, 2 * s}, "s1-m2": {9 * s, 20 * s}},
		reign{"s1-m1", 0, 2 * s, 1, "accepts"}, reign{"s1-m2", 0, 8 * s, 1, "follows"}, reign{"s1-m2", 9 * s, 20 * s, 2, "accepts"})
	rest := st.edit
	st.edit = func(rs []history.Record) []history.Record {
		rs = rest(rs)
		for _, r := range events {
			r.Case = rs[0].Case
			rs = append(rs, r)
		}
		return rs
	}
	return st
}

func TestFailoverInPhases(t *testing.T) {
	const a, b, c = "s1-m1", "s1-m2", "s1-m3"
	served := 9*s + ms + 2 // the first write after the outage begins at 9 s and 2 ns, and takes 1 ms
	want := func(locked, promoted time.Duration) *Failover {
		return &Failover{
			From: a, To: b, Detect: locked - 2*s, Promote: promoted - locked, Serve: served - promoted,
			Total: served - 2*s, TotalNormalized: served - 2*s, Redundancy: 4 * s,
		}
	}
	for _, c := range []struct {
		name   string
		events []history.Record
		spoil  func(*story)
		want   *Failover
	}{
		{"lock, promotion, service", []history.Record{told(7*s, b, history.Locked), told(8*s, b, history.Promoted)}, nil, want(7*s, 8*s)},
		{"told in any order, with others", []history.Record{
			told(8*s, b, history.Promoted), told(16*s, a, history.Demoted), told(7*s, b, history.Locked), told(1*s, a, history.Locked), told(1*s, a, history.Promoted),
		}, nil, want(7*s, 8*s)},
		{"a third one that takes the lock and is not promoted", []history.Record{told(6*s, c, history.Locked), told(7*s, b, history.Locked), told(8*s, b, history.Promoted)}, nil, want(7*s, 8*s)},
		{"a third one that is promoted and never serves", []history.Record{
			told(5*s, c, history.Locked), told(6*s, c, history.Promoted), told(7*s, b, history.Locked), told(8*s, b, history.Promoted),
		}, nil, want(7*s, 8*s)},
		{"the supervisor writes its line late", []history.Record{told(8*s+5*ms, b, history.Locked), told(8*s, b, history.Promoted)}, nil, want(8*s, 8*s)},
		{"the server writes its line late", []history.Record{told(7*s, b, history.Locked), told(9*s+9*ms, b, history.Promoted)}, nil, want(7*s, served)},
		{"on a busy host", []history.Record{told(7*s, b, history.Locked), told(8*s, b, history.Promoted)}, func(st *story) { st.load = 2 }, func() *Failover {
			f := want(7*s, 8*s)
			f.TotalNormalized /= 2
			return f
		}()},
		{"redundancy is not back", []history.Record{told(7*s, b, history.Locked), told(8*s, b, history.Promoted)}, func(st *story) {
			st.problem = &history.Phase{Name: history.Redundant, Problem: "1 of 2 standbys", Blame: "product"}
		}, func() *Failover {
			f := want(7*s, 8*s)
			f.Redundancy = 0
			return f
		}()},
		{"nobody tells", nil, nil, nil},
		{"no promotion is told", []history.Record{told(7*s, b, history.Locked)}, nil, nil},
		{"no lock is told", []history.Record{told(8*s, b, history.Promoted)}, nil, nil},
		{"after the heal", []history.Record{told(14*s, b, history.Locked), told(15*s, b, history.Promoted)}, nil, nil},
		{"the primary itself came back", []history.Record{told(7*s, a, history.Locked), told(8*s, a, history.Promoted)}, nil, nil},
		{"it served nothing before the heal", []history.Record{told(7*s, b, history.Locked), told(8*s, b, history.Promoted)}, func(st *story) {
			st.down[1] = [][2]time.Duration{{2 * s, 15 * s}}
		}, nil},
		{"no fault", []history.Record{told(7*s, b, history.Locked), told(8*s, b, history.Promoted)}, func(st *story) { delete(st.steps, history.Inject) }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			st := failedOver(c.events...)
			if c.spoil != nil {
				c.spoil(st)
			}
			v := judge(t, st)
			if diff := cmp.Diff(c.want, v.Shards[0].Failover); diff != "" {
				t.Error("wanted and got: ", diff)
			}
			if f := v.Shards[0].Failover; f != nil && f.Detect+f.Promote+f.Serve != f.Total {
				t.Errorf("the phases of %+v do not add up", f)
			}
		})
	}
}

// Where nobody knows whose address it is, the first write after the promotion counts.
func TestFailoverToAnUnknownAddress(t *testing.T) {
	st := failedOver(told(7*s, "s1-m2", history.Locked), told(8*s, "s1-m2", history.Promoted))
	rest := st.edit
	st.edit = func(rs []history.Record) []history.Record {
		return slices.DeleteFunc(rest(rs), func(r history.Record) bool { return r.Sample != nil })
	}
	if f := judge(t, st).Shards[0].Failover; f == nil || f.Serve != s+ms+2 {
		t.Errorf("got %+v, want service 1 s after the promotion", f)
	}
}

// What is told late is not part of how long the case took.
func TestEventsDoNotProlongTheCase(t *testing.T) {
	plain, late := judge(t, failedOver()), judge(t, failedOver(told(100*s, "s1-m2", history.Demoted)))
	if plain.Took != late.Took {
		t.Errorf("the case took %s, and with an event after its end %s", plain.Took, late.Took)
	}
}
