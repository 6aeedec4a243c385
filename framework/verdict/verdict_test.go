package verdict

import (
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cutset-dev/cutset/framework/history"
)

const s = time.Second

// story is a case of one fault on m1, with two shards, of which shard 2 must be unavailable. Its steps are
// at 2 s (inject), 3 s (bit), 13 s (heal), 14 s (healed), 18 s (redundant) and 20 s (ended). A
// healthy story passes; each test spoils one thing.
type story struct {
	down    map[int][][2]time.Duration // by shard: when it serves nothing
	budget  history.Budget
	faults  []history.Fault
	steps   map[history.PhaseName]time.Duration
	problem *history.Phase
	load    float64
	every   time.Duration
	lose    []int64 // ids that the audit misses
	twice   []int64
	silent  bool // clients do not try while they are refused
	noAudit bool
	edit    func([]history.Record) []history.Record // the last touch
}

func healthy() *story {
	return &story{
		down:   map[int][][2]time.Duration{1: {{2 * s, 9 * s}}, 2: {{2 * s, 16 * s}}},
		budget: history.Budget{Outage: 10 * s, Redundancy: 30 * s, Traffic: 10},
		faults: []history.Fault{
			{Node: "m1", When: "before"},
			{Node: "m1", When: "bit", Active: true},
			{Node: "m1", When: "lasted", Active: true},
			{Node: "m1", When: "healed"},
		},
		steps: map[history.PhaseName]time.Duration{
			history.Started: 1, history.Steady: 2*s - 1, history.Inject: 2 * s, history.Bit: 3 * s,
			history.Heal: 13 * s, history.Healed: 14 * s, history.Redundant: 18 * s, history.Ended: 20 * s,
		},
		load: 1, every: 50 * time.Millisecond,
	}
}

func (st *story) records(id string) []history.Record {
	rs := []history.Record{
		{At: 1, Case: id, Planned: &history.Planned{Kind: "crash", Level: "machine", Nodes: []string{"m1"}, Shards: []int{1, 2}, Unavailable: []int{2}, Budget: st.budget}},
		{At: 1, Load: &history.Load{Factor: st.load}},
		{At: 1, Case: id, Roles: &history.Roles{Primaries: map[int]string{1: "s1-m1", 2: "s2-m1"}}},
	}
	for name, at := range st.steps {
		if st.problem == nil || st.problem.Name != name {
			rs = append(rs, history.Record{At: at, Case: id, Phase: &history.Phase{Name: name}})
		}
	}
	if st.problem != nil {
		rs = append(rs, history.Record{At: st.steps[st.problem.Name], Case: id, Phase: st.problem})
	}
	for i := range st.faults {
		rs = append(rs, history.Record{At: 3 * s, Case: id, Fault: &st.faults[i]})
	}
	for _, shard := range []int{1, 2} {
		rs = append(rs, st.ops(id, shard)...)
	}
	rs = append(rs, history.Record{At: 20 * s, Case: id, Roles: &history.Roles{Primaries: map[int]string{1: "s1-m2", 2: "s2-m1"}}})
	slices.SortStableFunc(rs, func(a, b history.Record) int { return int(a.At - b.At) })
	if st.edit != nil {
		rs = st.edit(rs)
	}
	return rs
}

// ops are one write and one read at every tick, and the audit of what was written.
func (st *story) ops(id string, shard int) (rs []history.Record) {
	audit := &history.Audit{Shard: shard, Step: 1, Twice: st.twice}
	for at := time.Duration(2); at < 20*s; at += st.every {
		row := int64(shard)<<32 + int64(at/st.every)
		outcome := history.OK
		if slices.ContainsFunc(st.down[shard], func(d [2]time.Duration) bool { return at >= d[0] && at < d[1] }) {
			if st.silent {
				continue
			}
			outcome = history.Refused
		}
		if outcome == history.OK && !slices.Contains(st.lose, row) {
			audit.Add(row)
		}
		for _, kind := range kinds {
			op := &history.Op{Client: "c", Shard: shard, Kind: kind, ID: row, Took: time.Millisecond, Outcome: outcome}
			rs = append(rs, history.Record{At: at, Case: id, Op: op})
		}
	}
	if !st.noAudit {
		rs = append(rs, history.Record{At: 21 * s, Case: id, Audit: audit})
	}
	return rs
}

func seq(rs []history.Record) iter.Seq2[history.Record, error] {
	return func(yield func(history.Record, error) bool) {
		for _, r := range rs {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func judge(t *testing.T, st *story) Verdict {
	t.Helper()
	vs, err := Judge(seq(st.records("c1")))
	if err != nil || len(vs) != 1 {
		t.Fatalf("got %d verdicts, %v; want one", len(vs), err)
	}
	return vs[0]
}

func TestHealthyStoryPasses(t *testing.T) {
	v := judge(t, healthy())
	if v.Outcome != Pass {
		t.Errorf("a healthy story is %s: %s", v.Outcome, v.Summary())
	}
	if one := v.Shards[0]; one.Outage < 6900*time.Millisecond || one.Outage > 7100*time.Millisecond || !one.FailedOver() {
		t.Errorf("shard 1 was away for 7 s and failed over, got %+v", one)
	}
	if two := v.Shards[1]; two.Recovery < 1900*time.Millisecond || two.Recovery > 2100*time.Millisecond || two.FailedOver() {
		t.Errorf("shard 2 was back 2 s after the heal and did not fail over, got %+v", two)
	}
}

// Every judge finds its own kind of trouble, and blames who is to blame.
func TestSpoiltStories(t *testing.T) {
	for _, c := range []struct {
		name    string
		spoil   func(*story)
		judge   string
		outcome Outcome
		blame   Blame
		message string
	}{
		{"outage too long", func(st *story) { st.down[1] = [][2]time.Duration{{2 * s, 12500 * time.Millisecond}} }, availability, Fail, Product, "shard 1 must stay available, and served no write for 10.5 s"},
		{"never came back", func(st *story) { st.down[1] = [][2]time.Duration{{2 * s, 15 * s}} }, availability, Fail, Product, "shard 1 must stay available, and never served a write again until the heal"},
		{"served while cut", func(st *story) { st.down[2] = [][2]time.Duration{{2 * s, 11 * s}, {12 * s, 16 * s}} }, availability, Fail, Product, "shard 2 must be unavailable, and served 20 writes, the last 9.0 s after the fault bit"},
		{"never recovered", func(st *story) {
			st.down[2] = [][2]time.Duration{{2 * s, 21 * s}}
			st.budget.Outage = 5 * s
			st.down[1] = nil
		}, recovery, Fail, Product, "shard 2 never served a write for 6.0 s after the heal"},
		{"outage after the heal", func(st *story) { st.down[1] = [][2]time.Duration{{14 * s, 19 * s}}; st.budget.Outage = 4 * s }, recovery, Fail, Product, "shard 1 served no write for 5.0 s after the heal"},
		{"lost write", func(st *story) { st.lose = []int64{1<<32 + 15} }, durability, Fail, Product, "shard 1 lost 1 acknowledged writes"},
		{"write applied twice", func(st *story) { st.twice = []int64{7} }, durability, Fail, Product, "applied 1 writes more than once"},
		{"no audit", func(st *story) { st.noAudit = true }, durability, Indeterminate, Harness, "shard 1 was not audited"},
		{"did not bite", func(st *story) { st.faults[1].Active = false }, proof, Indeterminate, Harness, "did not bite"},
		{"did not last", func(st *story) { st.faults[2].Active = false }, proof, Indeterminate, Harness, "did not last"},
		{"active before", func(st *story) { st.faults[0].Active = true }, proof, Indeterminate, Harness, "before it was injected"},
		{"not healed", func(st *story) { st.faults[3].Active = true }, proof, Indeterminate, Harness, "still in force"},
		{"nobody looked", func(st *story) { st.faults = nil }, proof, Indeterminate, Harness, "nobody looked"},
		{"too little traffic", func(st *story) { st.every = 500 * time.Millisecond }, load, Indeterminate, Infrastructure, "fewer than the 10"},
		{"nobody tried", func(st *story) { st.silent = true }, load, Indeterminate, Harness, "no client tried shard 2 while the fault was active"},
		{"nobody tried afterwards", func(st *story) {
			st.edit = func(rs []history.Record) []history.Record {
				return slices.DeleteFunc(rs, func(r history.Record) bool { return r.Op != nil && r.Op.Shard == 1 && r.At > 13*s })
			}
		}, load, Indeterminate, Harness, "no client tried shard 1 after the heal"},
		{"settled too late", func(st *story) { st.down[2] = [][2]time.Duration{{8 * s, 16 * s}}; st.budget.Settle = 4 * s }, availability, Fail, Product, "the last 5.0 s after the fault bit (4.0 s allowed)"},
		{"held too short", func(st *story) { st.down[2] = [][2]time.Duration{{12 * s, 16 * s}}; st.budget.Settle = 10 * s }, availability, Indeterminate, Harness, "held too short"},
		{"topology moved", func(st *story) {
			st.problem = &history.Phase{Name: history.Steady, Problem: "the topology moved", Blame: "infrastructure"}
		}, course, Indeterminate, Infrastructure, "the topology moved"},
		{"redundancy not back", func(st *story) {
			st.problem = &history.Phase{Name: history.Redundant, Problem: "1 of 2 standbys", Blame: "product"}
		}, course, Fail, Product, "1 of 2 standbys"},
		{"cut short", func(st *story) { delete(st.steps, history.Ended) }, course, Indeterminate, Harness, "cut short"},
	} {
		t.Run(c.name, func(t *testing.T) {
			st := healthy()
			c.spoil(st)
			v := judge(t, st)
			if v.Outcome != c.outcome {
				t.Errorf("got %s, want %s: %s", v.Outcome, c.outcome, v.Summary())
			}
			if !slices.ContainsFunc(v.Findings, func(f Finding) bool {
				return f.Judge == c.judge && f.Outcome == c.outcome && f.Blame == c.blame && strings.Contains(f.Message, c.message)
			}) {
				t.Errorf("no finding of judge %s with %q, blaming the %s, in %+v", c.judge, c.message, c.blame, v.Findings)
			}
		})
	}
}

// On a host that is short of resources, the same outage counts for less.
func TestBudgetsAreLoadNormalized(t *testing.T) {
	st := healthy()
	st.down[1] = [][2]time.Duration{{2 * s, 12900 * time.Millisecond}}
	if v := judge(t, st); v.Outcome != Fail {
		t.Errorf("an outage of 10.9 s over a budget of 10 s is %s", v.Outcome)
	}
	st.load = 2
	v := judge(t, st)
	if v.Outcome != Pass {
		t.Errorf("an outage of 10.9 s at a load factor of 2 is %s: %s", v.Outcome, v.Summary())
	}
	if half := v.Shards[0].OutageNormalized; half < 5*s || half > 6*s {
		t.Errorf("got %s load-normalized, want half of 10.9 s", half)
	}
}

// A case that never got as far as a fault is held against nobody.
func TestNothingIsJudgedThatDidNotHappen(t *testing.T) {
	st := healthy()
	st.problem = &history.Phase{Name: history.Steady, Problem: "no traffic", Blame: "infrastructure"}
	st.down = nil
	for _, step := range []history.PhaseName{history.Inject, history.Bit, history.Heal, history.Healed, history.Redundant} {
		delete(st.steps, step)
	}
	st.faults = nil
	if v := judge(t, st); v.Outcome != Indeterminate || len(v.Findings) != 1 {
		t.Errorf("got %s, %+v; want the one problem", v.Outcome, v.Findings)
	}
}

// Lost data outranks everything that makes the rest of a case doubtful.
func TestLossIsAFailureHoweverTheCaseWent(t *testing.T) {
	st := healthy()
	st.faults[2].Active = false
	st.lose = []int64{1<<32 + 15}
	if v := judge(t, st); v.Outcome != Fail || v.Findings[0].Judge != durability || !slices.Equal(v.Findings[0].IDs, st.lose) {
		t.Errorf("got %s, %+v; want the lost write first", v.Outcome, v.Findings)
	}
}

// A write is held against the case that lost it, not against each one after.
func TestLossIsFoundOnce(t *testing.T) {
	first, second := healthy(), healthy()
	first.lose = []int64{1<<32 + 15}
	rs := slices.Concat(first.records("c1"), second.records("c2"))
	vs, err := Judge(seq(rs))
	if err != nil || len(vs) != 2 {
		t.Fatal(vs, err)
	}
	if vs[0].Outcome != Fail || vs[1].Outcome != Pass {
		t.Errorf("got %s and %s, want fail and pass", vs[0].Outcome, vs[1].Outcome)
	}
}

// A machine that is cut off may go on serving until it notices.
func TestSettling(t *testing.T) {
	st := healthy()
	st.down[2] = [][2]time.Duration{{8 * s, 16 * s}}
	st.budget.Settle = 6 * s
	if v := judge(t, st); v.Outcome != Pass {
		t.Errorf("a shard that falls silent 5 s after the fault, with 6 s allowed, is %s: %s", v.Outcome, v.Summary())
	}
}

func TestNothingToJudge(t *testing.T) {
	if _, err := Judge(seq(nil)); err == nil {
		t.Error("a history without cases has verdicts")
	}
}
